// SPDX-License-Identifier: MIT
// Socket.IO 0.9: its own client over both transports, and its protocol by hand.
import assert from 'node:assert/strict';
import fs from 'node:fs/promises';
import path from 'node:path';
import { describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

import { makeFolder, startGateway } from './lib/gateway.js';
import { startNodes } from './lib/nodes.js';
import { startRedis } from './lib/redis.js';
import { startRoundRobin } from './lib/roundrobin.js';
import { connect, matrix, RawWebSocket } from './lib/socketio.js';
import { waitFor, within } from './lib/wait.js';

const MARK = '\ufffd';

// All times of 0.9 stand in a fixed proportion to this one (25 s): so a poll is held for 960 ms (20 s), and 2.88 s (60 s)
// without a transport are too many.
const SHORT = { 'socketio.ping_interval': '1200ms' };

// A 0.9 client by hand: a session, and one request at a time.
class Hand {
  static async shake(gateway, query = '') {
    const response = await fetch(`${gateway.url}/socket.io/1/${query}`);
    assert.equal(response.status, 200);
    const hand = new Hand();
    hand.gateway = gateway;
    [hand.sid, hand.heartbeat, hand.close, hand.transports] = (await response.text()).split(':');
    gateway.secrets.add(hand.sid);
    return hand;
  }

  // One that has been told that it is connected, and has polled for that.
  static async connected(gateway, query) {
    const hand = await Hand.shake(gateway, query);
    assert.deepEqual(await hand.poll(), ['1::']);
    return hand;
  }

  url(transport = 'xhr-polling') {
    return `${this.gateway.url}/socket.io/1/${transport}/${this.sid}`;
  }

  // The packets of one answer.
  async poll() {
    const response = await within(fetch(this.url()), 'a poll is answered');
    assert.equal(response.status, 200);
    assert.match(response.headers.get('content-type'), /^text\/plain; charset=utf-8$/i);
    assert.equal(response.headers.get('cache-control'), 'no-store');
    return packetsOf(await response.text());
  }

  // Polls until this packet comes; noops do not count.
  async until(packet) {
    for (let i = 0; i < 20; i++) if ((await this.poll()).includes(packet)) return;
    assert.fail(`it never came: ${packet}`);
  }

  async post(body, headers = { 'Content-Type': 'text/plain;charset=UTF-8' }) {
    const response = await fetch(this.url(), { method: 'POST', body, headers });
    return { status: response.status, body: await response.text() };
  }

  async send(...packets) {
    assert.deepEqual(await this.post(payloadOf(packets)), { status: 200, body: '1' });
  }

  // A poll that certainly waits by now: of two the earlier one is answered when the later one comes.
  async waiting() {
    const polls = [0, 1].map(() => {
      const stop = new AbortController();
      const poll = { drop: () => stop.abort(), answered: false };
      poll.packets = fetch(this.url(), { signal: stop.signal })
        .then((response) => response.text())
        .finally(() => (poll.answered = true));
      poll.packets.catch(() => {});
      return poll;
    });
    const first = await within(Promise.race(polls.map((poll) => poll.packets)), 'one of two polls is answered');
    assert.equal(first, '8::');
    return polls.find((poll) => !poll.answered);
  }

  // Takes a name in the room, and polls until nothing of that is on the way any more.
  async registers(name) {
    const wanted = new Set([REGISTERED, fromServer(`${name} has joined the chat`)]);
    await this.send(register(name));
    for (let i = 0; wanted.size && i < 20; i++) for (const packet of await this.poll()) wanted.delete(packet);
    assert.deepEqual([...wanted], []);
  }

  webSocket(headers) {
    return RawWebSocket.open(this.gateway, `/socket.io/1/websocket/${this.sid}`, { headers });
  }

  async isGone() {
    assert.deepEqual(await this.poll(), ['7:::1+0']);
  }
}

function payloadOf(packets) {
  return packets.length === 1 ? packets[0] : packets.map((text) => MARK + text.length + MARK + text).join('');
}

function packetsOf(text) {
  if (!text.startsWith(MARK)) return [text];
  const packets = [];
  for (let at = 0; at < text.length; ) {
    const [whole, length] = /^\ufffd(\d+)\ufffd/.exec(text.slice(at));
    at += whole.length + Number(length);
    packets.push(text.slice(at - Number(length), at));
  }
  return packets;
}

const event = (name, ...args) => `5:::${JSON.stringify({ name, args })}`;
const register = (name) => `5:1+::${JSON.stringify({ name: 'register', args: [name] })}`;
const REGISTERED = '6:::1+[true]';
const fromServer = (text) => event('message', { from: 'Server', message: text });

// Where whoever logs in has to be known, and nobody is.
async function startWithLogins(t) {
  const users = path.join(await makeFolder(t), 'users');
  await fs.writeFile(users, '', { mode: 0o600 });
  return startGateway(t, { 'auth.methods': 'basic', 'auth.users': users });
}

// Somebody of today, who sees who comes and goes.
async function watcher(gateway) {
  const client = await connect(gateway, { transport: 'websocket' });
  assert.deepEqual(await client.ask('register', 'watcher'), [true]);
  return client;
}

const isSaid = (client, text) => client.event('message', ({ message }) => message === text);

describe('the client 0.9.17', { concurrency: 4 }, () => {
  for (const { name, ...how } of matrix(['0.9'])) {
    test(`talks to today's: ${name}`, async (t) => {
      const gateway = await startGateway(t);
      const old = await connect(gateway, how);
      assert.equal(old.running, how.transport === 'polling' ? 'polling' : 'websocket');
      const young = await watcher(gateway);
      assert.deepEqual(await old.ask('register', 'old'), [true]);
      assert.deepEqual(await old.ask('register', 'old'), [false]);
      await isSaid(young, 'old has joined the chat');
      const texts = ['plain', 'with "quotes" and : colons', 'héllo €', '😀 astral', `${MARK}3${MARK}1::`];
      texts.push('x'.repeat(3000));
      for (const message of texts) old.emit('message', { from: 'somebody else', message });
      for (const message of texts) assert.deepEqual((await isSaid(young, message))[0].from, 'old');
      for (const message of texts) young.emit('message', { from: 'watcher', message });
      for (const message of texts) assert.deepEqual((await isSaid(old, message))[0].from, 'watcher');
      old.disconnect();
      await isSaid(young, 'old left the chat');
    });

    test(`has namespaces: ${name}`, async (t) => {
      const gateway = await startGateway(t);
      const old = await connect(gateway, how);
      const max = old.of('/max');
      await max.connects();
      max.emit('join', { username: 'old', timestamp: 1 });
      assert.deepEqual(await max.event('listening'), [{ conversations: [] }]);
      assert.equal(await old.of('/nowhere').refused(), 'unauthorized');
      assert.deepEqual(await old.ask('register', 'old'), [true]);
      max.disconnect();
      assert.deepEqual(await old.ask('register', 'other'), [false], 'the connection lives on');
    });

    test(`begins with a namespace: ${name}`, async (t) => {
      const gateway = await startGateway(t);
      const max = await connect(gateway, { ...how, nsp: '/max' });
      max.emit('join', { username: 'old', timestamp: 1 });
      await max.event('listening');
    });

    test(`comes back by itself: ${name}`, async (t) => {
      const gateway = await startGateway(t);
      const old = await connect(gateway, { ...how, reconnection: true });
      await gateway.restart().catch(() => gateway.start());
      await old.disconnects();
      old.socket.socket.options.port = gateway.address().split(':').pop(); // which is another now
      await old.connects();
      assert.deepEqual(await old.ask('register', 'old'), [true]);
    });
  }

  test('tells who it is by the query of its handshake, and is not believed', async (t) => {
    const gateway = await startWithLogins(t);
    const max = await connect(gateway, { version: '0.9', nsp: '/max', query: { token: 'none' } });
    const [answer] = await max.ask('join', { username: 'old', timestamp: 1 });
    assert.equal(typeof answer.error, 'string', JSON.stringify(answer));
  });
});

describe('the handshake', { concurrency: 4 }, () => {
  test('tells sid, timeouts and transports', async (t) => {
    const gateway = await startGateway(t);
    const hand = await Hand.shake(gateway, '?t=1347815255145');
    assert.match(hand.sid, /^[A-Za-z0-9_-]{20,24}$/);
    assert.deepEqual([hand.heartbeat, hand.close, hand.transports], ['60', '60', 'websocket,xhr-polling']);
    const post = await fetch(`${gateway.url}/socket.io/1`, { method: 'POST', body: 'x' });
    assert.equal(post.status, 200);
    assert.notEqual((await post.text()).split(':')[0], hand.sid);
  });

  test('is refused by other protocols, methods and places', async (t) => {
    const gateway = await startGateway(t);
    const ask = async (path, init) => {
      const response = await fetch(gateway.url + path, init);
      return [response.status, await response.text()];
    };
    assert.deepEqual(await ask('/socket.io/0/'), [500, 'Protocol version not supported.']);
    assert.deepEqual(await ask('/socket.io/2/?t=1'), [500, 'Protocol version not supported.']);
    assert.deepEqual(await ask('/socket.io/2/websocket/abc'), [500, 'Protocol version not supported.']);
    assert.equal((await ask('/socket.io/x/'))[0], 404);
    assert.equal((await ask('/socket.io/1/', { method: 'DELETE' }))[0], 405);
    assert.equal((await ask('/socket.io/1/xhr-polling'))[0], 404);
    assert.equal((await ask('/socket.io/'))[0], 400);
  });

  test('is refused to foreign pages, as is all else', async (t) => {
    const gateway = await startGateway(t, { 'http.allow_origins': 'http://listed.test' });
    const hand = await Hand.connected(gateway);
    const polling = `1/xhr-polling/${hand.sid}`;
    const paths = ['1/', polling, `${polling}?disconnect`, `1//${hand.sid}/?disconnect=1`];
    for (const origin of ['http://evil.test', 'null', 'http://listed.test.evil.test', 'http://LISTED.test']) {
      for (const path of paths) {
        const response = await fetch(`${gateway.url}/socket.io/${path}`, { headers: { origin } });
        assert.deepEqual([response.status, await response.text()], [403, 'handshake bad origin'], `${path} ${origin}`);
        assert.equal(response.headers.get('access-control-allow-origin'), null);
      }
      assert.equal((await hand.post('2::', { origin })).status, 403);
      await assert.rejects(hand.webSocket({ origin }), /403/);
    }
    for (const origin of ['http://listed.test', gateway.url]) {
      const response = await fetch(`${gateway.url}/socket.io/1/`, { headers: { origin } });
      assert.equal(response.status, 200, origin);
      const allowed = response.headers.get('access-control-allow-origin');
      assert.equal(allowed, origin === gateway.url ? null : origin);
    }
    const listed = await hand.webSocket({ origin: 'http://listed.test' });
    listed.send(register('listed'));
    await listed.frame((text) => text === REGISTERED);
  });

  test('is refused with credentials that are wrong, and fine without any', async (t) => {
    const gateway = await startWithLogins(t);
    for (const authorization of ['Basic eDp5', 'Bearer 00000000-0000-4000-8000-000000000000']) {
      const response = await fetch(`${gateway.url}/socket.io/1/`, { headers: { authorization } });
      assert.deepEqual([response.status, await response.text()], [403, 'handshake unauthorized'], authorization);
    }
    await Hand.connected(gateway);
  });

  test('knows a login', async (t) => {
    const gateway = await startGateway(t);
    const young = await watcher(gateway);
    const authorization = `Basic ${Buffer.from('alice:x').toString('base64')}`;
    const response = await fetch(`${gateway.url}/socket.io/1/`, { headers: { authorization } });
    const hand = Object.assign(new Hand(), { gateway, sid: (await response.text()).split(':')[0] });
    await hand.poll();
    await hand.send(register('bob'));
    await hand.until('6:::1+[false]');
    await hand.send(register('alice'));
    await isSaid(young, 'alice has joined the chat');
  });

  test('is limited in all, and by address', async (t) => {
    const gateway = await startGateway(t, { 'socketio.sessions': 2 });
    const hand = await Hand.connected(gateway);
    await Hand.connected(gateway);
    const refused = await fetch(`${gateway.url}/socket.io/1/`);
    assert.deepEqual([refused.status, await refused.text()], [503, 'handshake error']);
    assert.equal(await gateway.limitHits('socketio_sessions'), 1);
    await hand.send('0::');
    await Hand.connected(gateway);

    const other = await startGateway(t, { 'socketio.sessions_per_address': 1 });
    await Hand.connected(other);
    assert.equal((await fetch(`${other.url}/socket.io/1/`)).status, 429);
    assert.equal((await fetch(`${other.url}/socket.io/?EIO=4&transport=polling`)).status, 429, 'the same count');
    assert.equal(await other.limitHits('socketio_sessions_per_address'), 2);
  });

  test('is forgotten when nothing follows', async (t) => {
    const gateway = await startGateway(t, { ...SHORT, 'socketio.sessions': 1 });
    const hand = await Hand.shake(gateway);
    assert.deepEqual([hand.heartbeat, hand.close], ['3', '3'], 'seconds, rounded up');
    await waitFor(async () => (await fetch(`${gateway.url}/socket.io/1/`)).status === 200, 'there is room again');
    await hand.isGone();
  });

  test('comes as JSONP where that is wanted, and then is nobody’s', async (t) => {
    const gateway = await startGateway(t, { 'socketio.jsonp': 'yes' });
    const authorization = `Basic ${Buffer.from('alice:x').toString('base64')}`;
    const response = await fetch(`${gateway.url}/socket.io/1/?jsonp=17`, { headers: { authorization } });
    assert.match(response.headers.get('content-type'), /^text\/javascript/);
    assert.equal(response.headers.get('x-content-type-options'), 'nosniff');
    const [, sid] = /^io\.j\[17\]\("([\w-]+):60:60:websocket,xhr-polling"\);$/.exec(await response.text());
    const hand = Object.assign(new Hand(), { gateway, sid });
    await hand.poll();
    await hand.registers('somebody');
    for (const number of ['', 'x', '1);alert(1)//', '-1', '1'.repeat(10)]) {
      const plain = await fetch(`${gateway.url}/socket.io/1/?jsonp=${encodeURIComponent(number)}`);
      assert.match(plain.headers.get('content-type'), /^text\/plain/, number);
      assert.doesNotMatch(await plain.text(), /io\.j|alert/);
    }
  });

  test('does not come as JSONP where that is not wanted', async (t) => {
    const gateway = await startGateway(t);
    const response = await fetch(`${gateway.url}/socket.io/1/?jsonp=0`);
    assert.match(response.headers.get('content-type'), /^text\/plain/);
    assert.match(await response.text(), /^[\w-]+:60:60:/);
  });

  test('does not exist without socketio.legacy', async (t) => {
    const gateway = await startGateway(t, { 'socketio.legacy': 'no' });
    assert.equal((await fetch(`${gateway.url}/socket.io/1/`)).status, 404);
  });
});

describe('polling', { concurrency: 4 }, () => {
  test('gathers what comes between two polls', async (t) => {
    const gateway = await startGateway(t);
    const hand = await Hand.connected(gateway);
    await hand.send('1::/max', register('hand'), '2::');
    const packets = await hand.poll();
    assert.ok(packets.includes('1::/max'), JSON.stringify(packets));
    if (!packets.includes(REGISTERED)) await hand.until(REGISTERED);
    const young = await connect(gateway, { transport: 'websocket' });
    assert.deepEqual(await young.ask('register', 'young'), [true]);
    await hand.until(fromServer('young has joined the chat'));
    const messages = ['a', '😀', `${MARK}`, 'b'].map((message) => ({ from: 'young', message }));
    for (const message of messages) await young.ask('message', message);
    const got = [];
    while (got.length < messages.length) got.push(...(await hand.poll()));
    assert.deepEqual(got, messages.map((message) => event('message', message)));
  });

  test('answers with a noop after a while', async (t) => {
    const gateway = await startGateway(t, SHORT);
    const hand = await Hand.connected(gateway);
    const begin = performance.now();
    assert.deepEqual(await hand.poll(), ['8::']);
    assert.ok(performance.now() - begin >= 950, 'not before');
    assert.deepEqual(await hand.poll(), ['8::']);
  });

  test('gives up who stays away', async (t) => {
    const gateway = await startGateway(t, SHORT);
    const young = await connect(gateway, { transport: 'websocket', version: '4' });
    assert.deepEqual(await young.ask('register', 'young'), [true]);
    const hand = await Hand.connected(gateway);
    await hand.registers('hand');
    await isSaid(young, 'hand left the chat');
    await hand.isGone();
  });

  test('sees when a poll is dropped', async (t) => {
    const gateway = await startGateway(t, SHORT);
    const young = await watcher(gateway);
    const hand = await Hand.connected(gateway);
    await hand.registers('hand');
    const poll = await hand.waiting();
    poll.drop();
    await isSaid(young, 'hand left the chat');
    await hand.isGone();
  });

  test('gives the earlier of two polls a noop', async (t) => {
    const gateway = await startGateway(t);
    const hand = await Hand.connected(gateway);
    const poll = await hand.waiting();
    await hand.send(register('hand'));
    assert.match(await poll.packets, /6:::1\+\[true\]/);
  });

  test('knows no other sids', async (t) => {
    const gateway = await startGateway(t);
    const real = await Hand.connected(gateway);
    const sids = ['x', '__proto__', 'a'.repeat(20), 'a'.repeat(24), 'a'.repeat(1500), '%00'.repeat(3)];
    sids.push(real.sid.slice(0, -1), `${real.sid}x`, real.sid.toLowerCase());
    for (const sid of sids) {
      const hand = Object.assign(new Hand(), { gateway, sid });
      if (sid.startsWith('%')) {
        assert.equal((await fetch(hand.url())).status, 400);
        continue;
      }
      await hand.isGone();
      assert.deepEqual(await hand.post('3:::x'), { status: 200, body: '7:::1+0' });
      const socket = await hand.webSocket();
      assert.equal(await socket.frame(), '7:::1+0');
      assert.equal(await socket.closed(), 1000);
    }
    for (const transport of ['htmlfile', 'jsonp-polling', 'flashsocket', 'x'])
      assert.equal(await (await fetch(real.url(transport))).text(), '7:::0', transport);
    assert.equal((await fetch(real.url(), { method: 'DELETE' })).status, 405);
  });

  test('ends with a disconnect by packet or by request', async (t) => {
    const gateway = await startGateway(t);
    const young = await watcher(gateway);
    const ways = {
      packet: (hand) => hand.send('0::'),
      request: (hand) => fetch(`${hand.url()}?disconnect`),
      'page that is left': (hand) => fetch(`${gateway.url}/socket.io/1//${hand.sid}/?disconnect=1`),
    };
    for (const [name, leave] of Object.entries(ways)) {
      const hand = await Hand.connected(gateway);
      await hand.registers(name);
      const poll = await hand.waiting();
      await leave(hand);
      await isSaid(young, `${name} left the chat`);
      assert.equal(await poll.packets, '8::');
      await hand.isGone();
    }
  });

  test('refuses payloads that are none, and ends the session', async (t) => {
    const gateway = await startGateway(t, { 'socketio.packets': 3 });
    const bad = [
      'x', '9::', '5:::{', '5:::{"name":1}', '5:::{"args":[]}', '6:::x', `${MARK}`, `${MARK}5${MARK}1::`,
      `${MARK}99999999999${MARK}1::`, `${MARK}5${MARK}3:::😀`, `${MARK}3${MARK}2::rest`,
      payloadOf(['2::', '2::', '2::', '2::']), `5:::{"name":"x","args":[${'['.repeat(40)}${']'.repeat(40)}]}`,
      `5:::{"name":"${'x'.repeat(200)}"}`, '5:::{"name":"a","name":"b"}', '4:::1],[2',
      Buffer.from([0x33, 0x3a, 0x3a, 0x3a, 0xc3]), Buffer.from([0x33, 0x3a, 0x3a, 0x3a, 0xed, 0xa0, 0x80]),
    ]; // prettier-ignore
    for (const body of bad) {
      const hand = await Hand.connected(gateway);
      const { status } = await hand.post(body);
      assert.equal(status, 400, String(body).slice(0, 50));
      await hand.isGone();
    }
    assert.equal(await gateway.limitHits('socketio_packets'), 1);
    assert.equal(await gateway.metric('nereidd_socketio_ended_total{why="parse_error"}'), bad.length);
    assert.equal(await gateway.metric('nereidd_socketio_connections{transport="0.9-polling"}'), 0);
  });

  test('ignores what means nothing here', async (t) => {
    const gateway = await startGateway(t);
    const hand = await Hand.connected(gateway);
    await hand.send('8::', '7:::1+0', '2::', '5:::{"name":"disconnect"}', '5:::{"name":"nobody listens to this"}');
    await hand.send('5::/nowhere:{"name":"register","args":["x"]}', '6:::99+[1]', '0::/max', '1::');
    assert.deepEqual(await hand.poll(), ['1::'], 'connected again, told again');
    await hand.send('3:7::hello', '5:8::{"name":"nobody listens to this"}');
    const acks = [];
    while (acks.length < 2) acks.push(...(await hand.poll()));
    assert.deepEqual(acks, ['6:::7', '6:::8'], 'by the server itself');
    await hand.send('');
  });

  test('has a limit for what is posted', async (t) => {
    const gateway = await startGateway(t, { 'socketio.max_payload': '2K' });
    const hand = await Hand.connected(gateway);
    assert.equal((await hand.post(`3:::${'x'.repeat(2044)}`)).status, 200);
    assert.equal((await hand.post(`3:::${'x'.repeat(2045)}`)).status, 413);
  });

  test('cuts off who lets too much pile up', async (t) => {
    const gateway = await startGateway(t, { 'limits.queue': '16K' });
    const young = await watcher(gateway);
    const hand = await Hand.connected(gateway);
    await hand.registers('hand');
    const left = isSaid(young, 'hand left the chat');
    for (let i = 0; i < 20; i++) await young.ask('message', { from: 'watcher', message: 'x'.repeat(1000) });
    await left;
    await hand.isGone();
    assert.equal(await gateway.limitHits('queue'), 1);
  });
});

describe('the WebSocket', { concurrency: 4 }, () => {
  test('is asked whether it is still there', async (t) => {
    const gateway = await startGateway(t, SHORT);
    const hand = await Hand.shake(gateway);
    const socket = await hand.webSocket();
    assert.equal(await socket.frame(), '1::');
    let begin;
    for (let i = 0; i < 4; i++) {
      assert.equal(await socket.frame(), '2::');
      begin = performance.now();
      socket.send('2::');
    }
    await socket.closed();
    assert.ok(performance.now() - begin >= 2870, 'not before');
    assert.equal(await gateway.metric('nereidd_socketio_ended_total{why="ping_timeout"}'), 1);
    await hand.isGone();
  });

  test('is not given up for what was our own sleep', async (t) => {
    const gateway = await startGateway(t, SHORT);
    const polling = await Hand.connected(gateway);
    const hand = await Hand.shake(gateway);
    const socket = await hand.webSocket();
    assert.equal(await socket.frame(), '1::');
    gateway.child.kill('SIGSTOP'); // gateway.signal is for what ends it
    await sleep(6000); // far longer than silence is borne
    gateway.child.kill('SIGCONT');
    for (let i = 0; i < 3; i++) {
      assert.equal(await socket.frame(), '2::');
      socket.send('2::');
      await polling.send('2::');
      assert.deepEqual(await polling.poll(), ['8::']);
    }
    assert.equal(await gateway.metric('nereidd_socketio_ended_total{why="ping_timeout"}'), 0);
  });

  test('takes over from polling, and gives back', async (t) => {
    const gateway = await startGateway(t);
    const young = await watcher(gateway);
    const hand = await Hand.connected(gateway);
    await hand.registers('hand');
    const poll = await hand.waiting();
    const socket = await hand.webSocket();
    assert.equal(await poll.packets, '8::');
    await young.ask('message', { from: 'watcher', message: 'by WebSocket' });
    await socket.frame((text) => text.includes('by WebSocket'));
    assert.equal(await gateway.metric('nereidd_socketio_connections{transport="0.9-websocket"}'), 1);
    const polled = hand.poll();
    assert.equal(await socket.closed(), 1000);
    await young.ask('message', { from: 'watcher', message: 'by polling' });
    assert.deepEqual(await polled, [event('message', { from: 'watcher', message: 'by polling' })]);
    assert.equal(young.all('message').some(([{ message }]) => message.includes('left')), false);
    assert.equal(await gateway.metric('nereidd_socketio_connections{transport="0.9-polling"}'), 1);
    assert.equal(await gateway.metric('nereidd_socketio_connections{transport="0.9-websocket"}'), 0);
  });

  test('is given what had been waiting for a poll', async (t) => {
    const gateway = await startGateway(t);
    const hand = await Hand.connected(gateway);
    await hand.send('1::/max', '3:4::x');
    const socket = await hand.webSocket();
    assert.deepEqual([await socket.frame(), await socket.frame()], ['1::/max', '6:::4']);
  });

  test('ends the session when it goes', async (t) => {
    const gateway = await startGateway(t);
    const young = await watcher(gateway);
    const hand = await Hand.shake(gateway);
    const socket = await hand.webSocket();
    socket.send(register('hand'));
    await socket.frame((text) => text === REGISTERED);
    socket.close();
    await isSaid(young, 'hand left the chat');
    await hand.isGone();
  });

  test('is closed at what is no packet, and at binary', async (t) => {
    const gateway = await startGateway(t);
    for (const data of ['x', '5:::{', Buffer.from('2::')]) {
      const hand = await Hand.shake(gateway);
      const socket = await hand.webSocket();
      await socket.frame();
      socket.send(data);
      await socket.closed();
      await hand.isGone();
    }
  });

  test('takes nothing that is too long', async (t) => {
    const gateway = await startGateway(t, { 'socketio.max_payload': '2K' });
    const hand = await Hand.shake(gateway);
    const socket = await hand.webSocket();
    await socket.frame();
    socket.send(`3:::${'x'.repeat(2045)}`);
    assert.equal(await socket.closed(), 1009);
  });
});

describe('the end', { concurrency: 4 }, () => {
  test('is told to all transports when the gateway goes', async (t) => {
    const gateway = await startGateway(t);
    const waiting = await Hand.connected(gateway);
    const idle = await Hand.connected(gateway);
    const web = await Hand.shake(gateway);
    const socket = await web.webSocket();
    await socket.frame();
    const poll = await waiting.waiting();
    await idle.send('1::/max');
    await gateway.stop();
    assert.equal(await poll.packets, '8::');
    assert.equal(await socket.closed(), 1001);
  });

  test('comes with the last words, even between two polls', async (t) => {
    const gateway = await startGateway(t);
    const hand = await Hand.connected(gateway);
    await hand.send(event('authenticate', { token: 'none' }));
    await gateway.metricBecomes('nereidd_socketio_connections{transport="0.9-polling"}', 0);
    assert.deepEqual(await hand.post('2::'), { status: 200, body: '7:::1+0' });
    const packets = await hand.poll();
    assert.match(packets[0], /^5:[^:]*::\{"name":"unauthorized"/);
    assert.equal(packets.at(-1), '0::');
    await hand.isGone();
  });
});

// A WebSocket would have to come to the node of the handshake: it is not passed on.
describe('two nodes', () => {
  test('pass polls on to the node of the session', async (t) => {
    const redis = await startRedis(t);
    const [here, there] = await startNodes(t, redis, 2);
    const young = await watcher(there);
    const hand = await Hand.connected(here);
    hand.gateway = there;
    await hand.registers('hand');
    await isSaid(young, 'hand has joined the chat');
    const poll = await hand.waiting();
    await young.ask('message', { from: 'watcher', message: 'héllo 😀' });
    assert.deepEqual(packetsOf(await poll.packets), [event('message', { from: 'watcher', message: 'héllo 😀' })]);
    assert.deepEqual(await hand.post('x'), { status: 400, body: 'bad payload' });
    await hand.isGone();

    const lost = await Hand.connected(here);
    lost.gateway = there;
    const socket = await lost.webSocket();
    assert.equal(await socket.frame(), '7:::1+0');
    await here.stop();
    await lost.isGone();
  });

  test('let the client poll through a balancer', async (t) => {
    const redis = await startRedis(t);
    const nodes = await startNodes(t, redis, 2);
    const balancer = await startRoundRobin(t, nodes);
    const old = await connect(balancer, { version: '0.9', transport: 'polling' });
    const young = await watcher(nodes[1]);
    assert.deepEqual(await old.ask('register', 'old'), [true]);
    for (let i = 0; i < 10; i++) {
      old.emit('message', { from: 'old', message: `up ${i}` });
      await isSaid(young, `up ${i}`);
      young.emit('message', { from: 'watcher', message: `down ${i}` });
      await isSaid(old, `down ${i}`);
    }
  });
});
