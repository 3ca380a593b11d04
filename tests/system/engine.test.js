// SPDX-License-Identifier: MIT
// Engine.IO on the wire, in revisions 4 and 3: what is refused and how, polling, WebSockets, the upgrade, heartbeats, limits.
// What needs an echo runs against the server of the official suites, all else against nereidd.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import fs from 'node:fs/promises';
import http from 'node:http';
import { describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';

import { startGateway } from './lib/gateway.js';
import { basic } from './lib/person.js';
import { RawSocket } from './lib/raw.js';
import { RawWebSocket } from './lib/socketio.js';
import { startSuite } from './lib/suite.js';
import { waitFor, within } from './lib/wait.js';

const REFUSALS = [
  'Transport unknown',
  'Session ID unknown',
  'Bad handshake method',
  'Bad request',
  'Forbidden',
  'Unsupported protocol version',
];
const SEPARATOR = '\x1e';

// One request on a connection of its own.
async function ask(server, target, { method = 'GET', headers = {}, body } = {}) {
  const request = http.request(server.url + target, { method, headers, agent: false });
  request.end(body);
  const [response] = await within(once(request, 'response'), `${method} ${target}`);
  const pieces = [];
  for await (const piece of response) pieces.push(piece);
  const bytes = Buffer.concat(pieces);
  return { status: response.statusCode, headers: response.headers, bytes, body: bytes.toString() };
}

function assertRefused(answer, code, status = code === 4 ? 403 : 400) {
  assert.equal(answer.status, status, answer.body);
  assert.equal(answer.headers['content-type'], 'application/json');
  assert.deepEqual(JSON.parse(answer.body), { code, message: REFUSALS[code] });
}

// A client that polls, by hand.
class Poller {
  constructor(server, { revision = 4, path = '/engine.io/', query = '', headers = {} } = {}) {
    Object.assign(this, { server, revision, path, query, headers });
  }

  static async open(server, options) {
    const poller = new Poller(server, options);
    const answer = await ask(server, poller.target('polling'), { headers: poller.headers });
    assert.equal(answer.status, 200, answer.body);
    poller.answer = answer;
    const text = poller.revision === 4 ? answer.body : answer.body.slice(answer.body.indexOf(':') + 1);
    poller.hello = JSON.parse(text.slice(1, text.indexOf('}') + 1));
    poller.sid = poller.hello.sid;
    return poller;
  }

  target(transport, { revision = this.revision, sid = this.sid, more = '' } = {}) {
    const version = revision === null ? '' : `&EIO=${revision}`;
    return `${this.path}?transport=${transport}${version}${sid ? `&sid=${sid}` : ''}${this.query}${more}`;
  }

  get(options) {
    return ask(this.server, this.target('polling', options));
  }

  post(body, { headers = {}, ...options } = {}) {
    return ask(this.server, this.target('polling', options), { method: 'POST', headers, body });
  }

  webSocket(options) {
    return RawWebSocket.open(this.server, this.target('websocket', options));
  }

  async send(text) {
    const answer = await this.post(this.pack(text));
    assert.equal(answer.status, 200, answer.body);
    assert.equal(answer.body, 'ok');
  }

  pack(text) {
    return this.revision === 4 ? text : `${text.length}:${text}`;
  }

  // The packets of an answer, text only.
  unpack(body) {
    if (this.revision === 4) return body.split(SEPARATOR);
    const packets = [];
    while (body) {
      const colon = body.indexOf(':');
      const end = colon + 1 + Number(body.slice(0, colon));
      packets.push(body.slice(colon + 1, end));
      body = body.slice(end);
    }
    return packets;
  }

  async isGone() {
    assertRefused(await this.get(), 1);
  }
}

// What a WebSocket handshake is answered with, where it is refused.
async function refusedSocket(server, target, headers = {}) {
  return ask(server, target, {
    headers: {
      Connection: 'Upgrade',
      Upgrade: 'websocket',
      'Sec-WebSocket-Version': '13',
      'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==',
      ...headers,
    },
  });
}

const openFiles = async (pid) => (await fs.readdir(`/proc/${pid}/fd`)).length;

describe('Engine.IO handshakes', () => {
  test('are refused with the documented codes, in the documented order', async (t) => {
    const gateway = await startGateway(t);
    const path = '/socket.io/';
    const cases = [
      ['', 0],
      ['?EIO=4', 0],
      ['?EIO=4&transport=abc', 0],
      ['?EIO=4&transport=__proto__', 0],
      ['?EIO=4&transport=polling&transport=abc', 0],
      ['?transport=polling', 5],
      ['?EIO=abc&transport=polling', 5],
      ['?EIO=5&transport=polling', 5],
      ['?EIO=44&transport=polling', 5],
      ['?EIO=&transport=polling', 5],
      ['?EIO=4&transport=websocket', 3],
      ...['', '__proto__', 'constructor', 'A'.repeat(1000), '%22%27', 'a%20b', '%00'.slice(0, 0), '%F0%9F%98%80'].map(
        (sid) => [`?EIO=4&transport=polling&sid=${sid}`, 1],
      ),
      ['?EIO=4&transport=websocket&sid=AAAAAAAAAAAAAAAAAAAAAAAA', 1],
    ];
    for (const [query, code] of cases) assertRefused(await ask(gateway, path + query), code);
    for (const method of ['POST', 'PUT', 'DELETE', 'PATCH'])
      assertRefused(await ask(gateway, `${path}?EIO=4&transport=polling`, { method }), 2);
    assert.equal((await ask(gateway, `${path}?EIO=4&transport=polling`, { method: 'HEAD' })).status, 400);
    assert.equal((await ask(gateway, '/socket.io?EIO=4&transport=polling')).status, 200, 'without its last slash');
    assert.equal((await ask(gateway, `${path}?x=1&EIO=9&EIO=4&t=Ab&transport=polling`)).status, 200, 'the last wins');
  });

  test('tell what there is to know, and each a sid of its own', async (t) => {
    const gateway = await startGateway(t, { 'socketio.ping_interval': '7s', 'socketio.max_payload': 5000 });
    const sids = new Set();
    for (let i = 0; i < 50; i++) sids.add((await Poller.open(gateway, { path: '/socket.io/' })).sid);
    assert.equal(sids.size, 50);
    for (const sid of sids) assert.match(sid, /^[A-Za-z0-9_-]{24}$/);
    const { hello, answer } = await Poller.open(gateway, { path: '/socket.io/' });
    assert.deepEqual(Object.keys(hello), ['sid', 'upgrades', 'pingInterval', 'pingTimeout', 'maxPayload']);
    assert.deepEqual(
      { ...hello, sid: '' },
      { sid: '', upgrades: ['websocket'], pingInterval: 7000, pingTimeout: 20000, maxPayload: 5000 },
    );
    assert.equal(answer.headers['content-type'], 'text/plain; charset=UTF-8');
    assert.equal(answer.headers['cache-control'], 'no-store');
    assert.equal(answer.headers['set-cookie'], undefined);
  });

  test('of the old revisions can be switched off', async (t) => {
    const gateway = await startGateway(t, { 'socketio.old_clients': 'no' });
    for (const revision of [2, 3]) assertRefused(await ask(gateway, `/socket.io/?EIO=${revision}&transport=polling`), 5);
    assert.equal((await ask(gateway, '/socket.io/?EIO=4&transport=polling')).status, 200);
  });

  test('know a login, and refuse a wrong one', async (t) => {
    const gateway = await startGateway(t);
    const target = '/socket.io/?EIO=4&transport=polling';
    assert.equal((await ask(gateway, target)).status, 200);
    assert.equal((await ask(gateway, target, { headers: { Authorization: basic('alice', 'x') } })).status, 200);
    for (const Authorization of ['Bearer 11111111-2222-4333-8444-555555555555', 'Basic !!', 'Nonsense']) {
      const answer = await ask(gateway, target, { headers: { Authorization } });
      assert.equal(answer.status, 403, `${Authorization}: ${answer.body}`);
      assert.equal(JSON.parse(answer.body).code, 4);
    }
  });

  test('are limited in all and per address, and what is abandoned goes away', async (t) => {
    const gateway = await startGateway(t, {
      'socketio.sessions': 5,
      'socketio.sessions_per_address': 3,
      'socketio.ping_interval': '1500ms',
      'socketio.ping_timeout': '1s',
    });
    const target = '/socket.io/?EIO=4&transport=polling';
    for (let i = 0; i < 3; i++) assert.equal((await ask(gateway, target)).status, 200);
    const refused = await ask(gateway, target);
    assert.equal(refused.status, 429);
    assert.equal(JSON.parse(refused.body).code, 4);
    assert.equal(await gateway.limitHits('socketio_sessions_per_address'), 1);
    await waitFor(async () => (await ask(gateway, target)).status === 200, 'there is room again');
    const other = await startGateway(t, { 'socketio.sessions': 2 });
    await Promise.all([ask(other, target), ask(other, target)]);
    const full = await ask(other, target);
    assert.equal(full.status, 503);
    assert.ok(full.headers['retry-after'] > 0);
    assert.equal((await refusedSocket(other, '/socket.io/?EIO=4&transport=websocket')).status, 503);
    assert.equal(await other.limitHits('socketio_sessions'), 2);
  });
});

describe('Engine.IO and a flood of handshakes', () => {
  test('holds little of what nobody comes back for, and not for long', async (t) => {
    const gateway = await startGateway(t, { 'socketio.ping_interval': '5s', 'socketio.ping_timeout': '50ms' });
    const agent = new http.Agent({ keepAlive: true, maxSockets: 4 });
    t.after(() => agent.destroy());
    const resident = async () =>
      1024 * Number(/VmRSS:\s+(\d+)/.exec(await fs.readFile(`/proc/${gateway.pid}/status`, 'utf8'))[1]);
    const enter = async (count) => {
      for (let i = 0; i < count; i++) {
        const [response] = await once(http.get(`${gateway.url}/socket.io/?EIO=4&transport=polling`, { agent }), 'response');
        response.resume();
        await once(response, 'end');
      }
    };
    const flood = (count) => Promise.all(Array.from({ length: 4 }, () => enter(count / 4)));
    const sessions = 'nereidd_socketio_connections{transport="polling"}';
    await flood(400);
    const [before, open] = [await resident(), await gateway.metric(sessions)];
    await flood(2000);
    const grown = (await gateway.metric(sessions)) - open;
    const each = ((await resident()) - before) / grown;
    if (grown > 1500) assert.ok(each < 2048 || process.env.ASAN_OPTIONS, `${each} bytes for each`);
    await gateway.metricBecomes(sessions, 0);
  });
});

describe('Engine.IO and origins', () => {
  const good = 'https://good.example';
  const foreign = ['https://evil.example', 'null', 'https://good.example.evil', 'HTTPS://good.example', `${good}:443`];

  test('a foreign page is refused over polling and WebSocket alike', async (t) => {
    const gateway = await startGateway(t, { 'http.allow_origins': good });
    const poller = await Poller.open(gateway, { path: '/socket.io/' });
    for (const Origin of foreign) {
      const headers = { Origin };
      assertRefused(await ask(gateway, '/socket.io/?EIO=4&transport=polling', { headers }), 4);
      assertRefused(await ask(gateway, poller.target('polling'), { headers }), 4);
      assertRefused(await ask(gateway, poller.target('polling'), { method: 'POST', headers, body: '40' }), 4);
      assertRefused(await refusedSocket(gateway, '/socket.io/?EIO=4&transport=websocket', headers), 4);
      assertRefused(await refusedSocket(gateway, poller.target('websocket'), headers), 4);
      const { headers: said } = await ask(gateway, '/socket.io/?EIO=4&transport=polling', { headers });
      assert.equal(said['access-control-allow-origin'], undefined);
    }
    assert.equal((await poller.post('40')).status, 200, 'the session did not suffer');
  });

  test('a listed one and our own are not', async (t) => {
    const gateway = await startGateway(t, { 'http.allow_origins': good });
    for (const Origin of [good, gateway.url]) {
      const answer = await ask(gateway, '/socket.io/?EIO=4&transport=polling', { headers: { Origin } });
      assert.equal(answer.status, 200);
      assert.equal(answer.headers['access-control-allow-origin'], Origin === good ? good : undefined);
      assert.equal(answer.headers.vary, 'Origin');
      const socket = await RawWebSocket.open(gateway, '/socket.io/?EIO=4&transport=websocket', { headers: { Origin } });
      assert.match(await socket.frame(), /^0\{/);
    }
  });
});

describe('Engine.IO payloads', { concurrency: 4 }, () => {
  test('come back as they were sent', async (t) => {
    const suite = await startSuite(t);
    const bodies = [
      [4, '4hello'],
      [4, ['4a', '4é€😀', '4', 'bAQIDBA==', 'b'].join(SEPARATOR)],
      [3, '6:4hello3:4é€3:4😀1:4'],
      [2, '6:4hello'],
    ];
    for (const [revision, body] of bodies) {
      const poller = await Poller.open(suite, { revision, query: '&b64=1' });
      assert.equal((await poller.post(body)).body, 'ok');
      const answer = await poller.get();
      assert.equal(answer.body, body);
      assert.equal(answer.headers['content-type'], 'text/plain; charset=UTF-8');
    }
    const old = await Poller.open(suite, { revision: 3, query: '&b64=1' });
    await old.post('6:4hello10:b4AQIDBA==');
    assert.equal((await old.get()).body, '6:4hello10:b4AQIDBA==');
  });

  test('of revision 3 are binary where something is, unless the client cannot take that', async (t) => {
    const suite = await startSuite(t);
    const body = Buffer.from('0006ff3468656c6c6f0105ff0401020304', 'hex');
    const headers = { 'Content-Type': 'application/octet-stream' };
    const poller = await Poller.open(suite, { revision: 3 });
    assert.equal((await poller.post(body, { headers })).body, 'ok');
    const answer = await poller.get();
    assert.equal(answer.headers['content-type'], 'application/octet-stream');
    assert.deepEqual(answer.bytes, body);
    const plain = await Poller.open(suite, { revision: 3, query: '&b64=1' });
    await plain.post(body, { headers });
    assert.equal((await plain.get()).body, '6:4hello10:b4AQIDBA==');
  });

  test('of clients of 1.x are answered as they write', async (t) => {
    const suite = await startSuite(t);
    const poller = await Poller.open(suite, { revision: 3 });
    const doubled = Buffer.from(Buffer.from('4né😀').toString('latin1')).toString();
    await poller.post(`8:${doubled}`);
    assert.equal((await poller.get()).body, `8:${doubled}`);
  });

  test('that are malformed end the session', async (t) => {
    const suite = await startSuite(t);
    const octets = { 'Content-Type': 'application/octet-stream' };
    const bad = [
      [4, ''],
      [4, 'abc'],
      [4, '7'],
      [4, ':'],
      [4, '-'],
      [4, SEPARATOR.repeat(900_000)],
      [4, `4a${SEPARATOR}`],
      [4, 'bAQI'.repeat(3) + '*'],
      [4, '\ufeff4a'],
      [4, gzipSync('4hello'), { 'Content-Encoding': 'gzip' }],
      [4, Buffer.from([0x34, 0xed, 0xa0, 0x80])],
      [4, '4hello', octets],
      [4, '2'],
      [4, Array(10_001).fill('6').join(SEPARATOR)],
      [4, Array(100_000).fill('6').join(SEPARATOR)],
      [3, ''],
      [3, '4hello'],
      [3, '99999999999:4a'],
      [3, '-1:4a'],
      [3, '1e3:4a'],
      [3, '5:4€'],
      [3, '2:4😀'],
      [3, '1:3'],
      [3, Buffer.alloc(402, 1), octets],
    ];
    const before = await openFiles(suite.child.pid);
    for (const [revision, body, headers] of bad) {
      const poller = await Poller.open(suite, { revision });
      const answer = await poller.post(body, { headers });
      assertRefused(answer, 3);
      await poller.isGone();
    }
    await waitFor(async () => (await openFiles(suite.child.pid)) <= before + 1, 'no descriptor is left behind');
  });

  test('may come without a type', async (t) => {
    const suite = await startSuite(t);
    const poller = await Poller.open(suite);
    for (const type of [undefined, 'text/plain;charset=UTF-8', 'application/json', 'nonsense']) {
      const headers = type ? { 'Content-Type': type } : {};
      assert.equal((await poller.post('4x', { headers })).status, 200);
    }
    assert.equal((await poller.get()).body, Array(4).fill('4x').join(SEPARATOR));
  });

  test('too large are refused, and the session goes on', async (t) => {
    const suite = await startSuite(t, '--max-payload=2000');
    const poller = await Poller.open(suite);
    assert.equal((await poller.post(`4${'x'.repeat(1999)}`)).status, 200);
    assert.equal((await poller.post(`4${'x'.repeat(2000)}`)).status, 413);
    assert.equal((await poller.get()).body.length, 2000);
    const socket = await RawWebSocket.open(suite, '/engine.io/?EIO=4&transport=websocket');
    socket.send(`4${'x'.repeat(1999)}`);
    assert.equal((await socket.frame((frame) => frame[0] === '4')).length, 2000);
    socket.send(`4${'x'.repeat(2000)}`);
    assert.equal(await socket.closed(), 1009);
  });
});

describe('Engine.IO polling', { concurrency: 4 }, () => {
  test('a second poll ends the session', async (t) => {
    const suite = await startSuite(t);
    for (const revision of [4, 3]) {
      const poller = await Poller.open(suite, { revision });
      const answers = await Promise.all([poller.get(), poller.get()]); // whichever is the second
      const [first, second] = answers.sort((a, b) => a.status - b.status);
      assertRefused(second, 3);
      assert.deepEqual([first.status, first.body], [200, poller.pack('1')]);
      await poller.isGone();
    }
  });

  test('a close answers the poll with a noop', async (t) => {
    const suite = await startSuite(t);
    for (const revision of [4, 3]) {
      const poller = await Poller.open(suite, { revision });
      const poll = poller.get();
      await Poller.open(suite); // the poll has been seen by now
      await poller.send('1');
      assert.equal((await poll).body, poller.pack('6'));
      await poller.isGone();
      assertRefused(await poller.post('4x'), 1);
      assertRefused(await refusedSocket(suite, poller.target('websocket')), 1);
    }
  });

  test('another transport, revision or method is refused, and the session goes on', async (t) => {
    const suite = await startSuite(t);
    const poller = await Poller.open(suite);
    for (const revision of [3, 2, null, 'abc']) {
      assertRefused(await poller.get({ revision }), 3);
      assertRefused(await poller.post('4x', { revision }), 3);
      assertRefused(await refusedSocket(suite, poller.target('websocket', { revision })), 3);
    }
    assertRefused(await ask(suite, poller.target('websocket')), 3);
    for (const method of ['PUT', 'DELETE']) assertRefused(await ask(suite, poller.target('polling'), { method }), 3);
    await poller.send('4still here');
    assert.equal((await poller.get()).body, '4still here');
    const socket = await RawWebSocket.open(suite, '/engine.io/?EIO=4&transport=websocket');
    const { sid } = JSON.parse((await socket.frame()).slice(1));
    assertRefused(await poller.get({ sid }), 3);
    assertRefused(await poller.post('4x', { sid }), 3);
    socket.send('4fine');
    assert.equal(await socket.frame(), '4fine');
  });

  test('a poll whose client goes away ends the session', async (t) => {
    const suite = await startSuite(t);
    const poller = await Poller.open(suite);
    const raw = await RawSocket.connect(suite, new URL(suite.url).host);
    raw.send([`GET ${poller.target('polling')} HTTP/1.1`, 'Host: x']);
    await Poller.open(suite); // the poll has been seen by now
    raw.close();
    await waitFor(async () => (await poller.post('6')).status === 400, 'the session is gone');
  });
});

describe('Engine.IO over JSONP', () => {
  test('is off unless it is wanted', async (t) => {
    const gateway = await startGateway(t);
    assertRefused(await ask(gateway, '/socket.io/?EIO=3&transport=polling&j=0'), 3);
  });

  test('hands payloads to a callback of digits, and takes forms', async (t) => {
    const suite = await startSuite(t);
    const target = '/engine.io/?EIO=3&transport=polling&j=';
    const hello = await ask(suite, `${target}1);alert(1)//`);
    assert.equal(hello.headers['content-type'], 'text/javascript; charset=UTF-8');
    assert.equal(hello.headers['x-content-type-options'], 'nosniff');
    const [, digits, text] = /^___eio\[(\d*)\]\((".*")\);$/.exec(hello.body);
    assert.equal(digits, '11');
    const { sid } = JSON.parse(JSON.parse(text).slice(JSON.parse(text).indexOf('{')));
    const message = '4</script>\u2028é+ \\n';
    const form = (payload) => `d=${encodeURIComponent(payload.replaceAll('\\n', '\\\\n').replaceAll('\n', '\\n'))}`;
    const headers = { 'Content-Type': 'application/x-www-form-urlencoded' };
    const body = form(`${message.length}:${message}`);
    assert.equal((await ask(suite, `${target}2&sid=${sid}`, { method: 'POST', headers, body })).body, 'ok');
    const answer = await ask(suite, `${target}2&sid=${sid}`);
    assert.equal(answer.body.startsWith('___eio[2]("'), true);
    assert.ok(!/[<\u2028]/.test(answer.body), 'nothing in it ends a script');
    assert.equal(JSON.parse(answer.body.slice(10, -2)), `${message.length}:${message}`);
    assertRefused(await ask(suite, `/engine.io/?EIO=3&transport=polling&sid=${sid}`), 3);
    assertRefused(await ask(suite, '/engine.io/?EIO=4&transport=polling&j=0'), 3);
  });

  test('is not for who is known by a login', async (t) => {
    const gateway = await startGateway(t, { 'socketio.jsonp': 'yes' });
    const target = '/socket.io/?EIO=3&transport=polling&j=0';
    assert.equal((await ask(gateway, target)).status, 200);
    assertRefused(await ask(gateway, target, { headers: { Authorization: basic('alice', 'x') } }), 4);
  });
});

describe('Engine.IO over WebSocket', { concurrency: 4 }, () => {
  test('echoes text and binary in both revisions', async (t) => {
    const suite = await startSuite(t);
    for (const revision of [4, 3]) {
      const socket = await RawWebSocket.open(suite, `/engine.io/?EIO=${revision}&transport=websocket`);
      assert.deepEqual(JSON.parse((await socket.frame()).slice(1)).upgrades, []);
      const binary = Buffer.from(revision === 4 ? [1, 2, 3] : [4, 1, 2, 3]);
      for (const frame of ['4hello', '4é€😀', binary]) {
        socket.send(frame);
        assert.deepEqual(await socket.frame(), frame);
      }
    }
    const plain = await RawWebSocket.open(suite, '/engine.io/?EIO=3&transport=websocket&b64=1');
    await plain.frame();
    plain.send('b4AQI=');
    assert.equal(await plain.frame(), 'b4AQI=');
  });

  test('closes on what is no packet, and on a ping in the wrong direction', async (t) => {
    const suite = await startSuite(t);
    for (const [revision, frame] of [
      [4, 'abc'],
      [4, ''],
      [4, '2'],
      [4, '1'],
      [3, '3'],
      [3, Buffer.from([7])],
      [3, Buffer.alloc(0)],
      [4, 'b***'],
    ]) {
      const socket = await RawWebSocket.open(suite, `/engine.io/?EIO=${revision}&transport=websocket`);
      await socket.frame();
      socket.send(frame);
      await socket.closed(2000);
    }
  });

  // A WebSocket by hand: frames of any bytes. The mask is none, which makes them easy to write.
  const frame = (first, payload, length = payload.length) => {
    const head = length < 126 ? [0x80 | length] : [0x80 | 126, length >> 8, length & 255];
    return Buffer.concat([Buffer.from([first, ...head, 0, 0, 0, 0]), Buffer.from(payload)]);
  };

  async function openRaw(suite, options) {
    const raw = await RawSocket.connect(suite, suite.url.slice(7), options);
    raw.send([
      'GET /engine.io/?EIO=4&transport=websocket HTTP/1.1',
      'Host: h',
      'Connection: Upgrade',
      'Upgrade: websocket',
      'Sec-WebSocket-Version: 13',
      'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
      'Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits',
      `Sec-WebSocket-Protocol: ${Array.from({ length: 100 }, (_, i) => `p${i}`).join(', ')}`,
    ]);
    return raw;
  }

  test('offers neither compression nor protocols, and takes what comes with the handshake', async (t) => {
    const suite = await startSuite(t);
    const raw = await openRaw(suite);
    raw.write(frame(0x81, '4at once'));
    const head = (await raw.until(/^[^]*?\r\n\r\n/))[0];
    assert.match(head, /^HTTP\/1\.1 101 /);
    assert.doesNotMatch(head, /extensions|protocol:/i);
    await raw.until(/4at once/);
  });

  test('closes on what breaks its rules, with the code for that', async (t) => {
    const suite = await startSuite(t);
    const fragments = Array.from({ length: 66 }, (_, i) => frame(i ? 0 : 1, '4'));
    const cases = {
      'an unmasked frame': [Buffer.from([0x81, 2, 0x34, 0x61]), 1002],
      'a reserved bit': [frame(0xc1, '4a'), 1002],
      'opcode 3': [frame(0x83, '4a'), 1002],
      'opcode 11': [frame(0x8b, ''), 1002],
      'a fragmented ping': [frame(0x09, 'a'), 1002],
      'a ping of 126 bytes': [frame(0x89, 'x'.repeat(126)), 1002],
      'text that is not UTF-8': [frame(0x81, [0x34, 0xff]), 1007],
      'a continuation of nothing': [frame(0x80, 'a'), 1002],
      'too many fragments': [Buffer.concat(fragments), 1008],
      'fragments without anything in them': [Buffer.concat([frame(1, ''), ...Array(100_000).fill(frame(0, ''))]), 1008],
      'a length of 2^63': [Buffer.from([0x81, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]), 1002],
      'a message above the limit': [Buffer.from([0x81, 0xff, 0, 0, 0, 0, 0, 0x0f, 0x42, 0x41, 0, 0, 0, 0, 0x34]), 1009],
      'close code 0': [frame(0x88, [0, 0]), 1002],
      'close code 1005': [frame(0x88, [3, 0xed]), 1002],
      'a close of one byte': [frame(0x88, [3]), 1002],
    };
    for (const [name, [bytes, code]] of Object.entries(cases)) {
      const raw = await openRaw(suite);
      await raw.until(/"sid"/);
      raw.write(bytes);
      await raw.untilClosed(name);
      const close = raw.received.lastIndexOf(Buffer.from([0x88]));
      assert.ok(close >= 0, `${name}: a close frame`);
      const hasCode = raw.received[close + 1] === 2;
      assert.equal(hasCode ? raw.received.readUInt16BE(close + 2) : null, code, name);
      raw.close();
    }
  });

  test('does not gather pongs for who does not read them', async (t) => {
    const suite = await startSuite(t);
    const raw = await openRaw(suite, { reading: false });
    const pings = Buffer.concat(Array(1000).fill(frame(0x89, 'x'.repeat(125))));
    await waitFor(
      async () => {
        raw.write(pings);
        await sleep(1);
        return raw.error || raw.closed;
      },
      'the server has had enough',
      20_000,
    );
    const other = await RawWebSocket.open(suite, '/engine.io/?EIO=4&transport=websocket');
    assert.match(await other.frame(), /^0/);
  });

  test('refuses handshakes that are none', async (t) => {
    const suite = await startSuite(t);
    const target = '/engine.io/?EIO=4&transport=websocket';
    const cases = [
      [{ 'Sec-WebSocket-Key': 'short' }, 400],
      [{ 'Sec-WebSocket-Version': '8' }, 426],
      [{ Connection: 'close' }, 400],
      [{ Upgrade: 'h2c' }, 400],
    ];
    for (const [headers, status] of cases) assert.equal((await refusedSocket(suite, target, headers)).status, status);
    const { sid } = await Poller.open(suite);
    for (const [headers, status] of cases)
      assert.equal((await refusedSocket(suite, `${target}&sid=${sid}`, headers)).status, status);
  });
});

describe('Engine.IO upgrades', { concurrency: 4 }, () => {
  async function upgrade(poller) {
    const socket = await poller.webSocket();
    socket.send('2probe');
    assert.equal(await socket.frame(), '3probe');
    socket.send('5');
    socket.send('4hello');
    assert.equal(await socket.frame(), '4hello');
    return socket;
  }

  test('end polling, and other WebSockets are closed', async (t) => {
    const suite = await startSuite(t);
    for (const revision of [4, 3]) {
      const poller = await Poller.open(suite, { revision });
      const socket = await upgrade(poller);
      assertRefused(await poller.get(), 3);
      assertRefused(await poller.post(poller.pack('4x')), 3);
      await (await poller.webSocket()).closed();
      socket.send('4fine');
      assert.equal(await socket.frame(), '4fine');
    }
  });

  test('let polls go with a noop meanwhile, whatever waits with its message', async (t) => {
    const suite = await startSuite(t);
    const poller = await Poller.open(suite);
    const pending = poller.get();
    const socket = await poller.webSocket();
    socket.send('2probe');
    assert.equal(await socket.frame(), '3probe');
    assert.equal((await pending).body, '6');
    const began = performance.now();
    assert.equal((await poller.get()).body, '6');
    assert.ok(performance.now() - began < 10_000, 'it waits for no ping');
    await (await poller.webSocket()).closed();
    await poller.send('4while upgrading');
    assert.equal((await poller.get()).body, '4while upgrading');
    socket.send('5');
    socket.send('4after');
    assert.equal(await socket.frame(), '4after');
  });

  test('that come to nothing leave the session polling', async (t) => {
    const suite = await startSuite(t, '--upgrade-timeout=1500');
    const poller = await Poller.open(suite);
    for (const frames of [['4hello'], ['5'], ['2'], ['xyz'], ['2probe', '2probe'], ['2probe', '4x'], [], ['2probe']]) {
      const socket = await poller.webSocket();
      for (const frame of frames) socket.send(frame);
      await socket.closed();
    }
    const lost = await poller.webSocket();
    lost.send('2probe');
    await lost.frame();
    lost.close();
    await poller.send('4still here');
    assert.equal((await poller.get()).body, '4still here');
    await upgrade(poller);
  });

  test('in one go are heard before the poll that follows at once', async (t) => {
    const suite = await startSuite(t);
    for (let i = 0; i < 30; i++) {
      const poller = await Poller.open(suite);
      const socket = await poller.webSocket();
      socket.send('2probe');
      socket.send('5');
      assertRefused(await poller.get(), 3);
      socket.send('4hello');
      assert.equal(await socket.frame((frame) => frame !== '3probe'), '4hello');
      socket.close();
    }
  });

  // A client as the real ones are, that counts up while it upgrades, with random pauses, and gets everything back.
  async function runOnce(suite, { revision, fails }) {
    const poller = await Poller.open(suite, { revision, query: '&b64=1' });
    const pause = () => sleep(Math.random() * 4);
    const got = [];
    let [polls, sent] = [true, 0];
    const polling = (async () => {
      while (polls) {
        const { status, body } = await poller.get();
        assert.equal(status, 200, body);
        got.push(...poller.unpack(body).filter((packet) => packet[0] === '4'));
      }
    })();
    const post = () => poller.send(`4${sent++}`);
    for (let i = 0; i < 2; i++) await post();
    const socket = await poller.webSocket();
    const probing = (async () => {
      await pause();
      socket.send('2probe');
      assert.equal(await socket.frame(), '3probe');
      await pause();
      if (fails) socket.close();
      else polls = false;
    })();
    for (let i = 0; i < 4; i++) {
      await pause();
      await post();
    }
    await probing;
    if (fails) {
      for (let i = 0; i < 2; i++) await post();
      await waitFor(() => got.length >= sent, 'all come by polling');
      polls = false;
      await poller.send('4last');
      await polling;
      assert.equal(got.pop(), '4last');
    } else {
      await polling; // a noop ends it
      socket.send('5');
      for (let i = 0; i < 3; i++) socket.send(`4${sent++}`);
      while (got.length < sent) got.push(await socket.frame());
    }
    assert.deepEqual(got, Array.from({ length: sent }, (_, i) => `4${i}`));
    socket.close();
  }

  test('lose nothing, repeat nothing and keep the order, a thousand times', async (t) => {
    const suite = await startSuite(t);
    let left = 1000;
    const run = async () => {
      while (left-- > 0) await runOnce(suite, { revision: left % 3 ? 4 : 3, fails: left % 5 === 0 });
    };
    await Promise.all(Array.from({ length: 16 }, run));
  });
});

describe('Engine.IO heartbeats', { concurrency: 4 }, () => {
  const CALM = ['--ping-interval=1500', '--ping-timeout=1500'];

  // A machine that is busy may be late, never early; a server that is late by itself is late each time. It counts in
  // whole ms, by a clock that may be one behind.
  async function isExact(measure, due) {
    const measured = [];
    for (let i = 0; i < 10; i++) {
      measured.push(await measure());
      assert.ok(measured.at(-1) > due - 2, `too early: ${measured.at(-1)} of ${due}`);
      if (measured.at(-1) < due + 100) return;
    }
    assert.fail(`not within 100 ms of ${due}: ${measured}`);
  }

  test('come when they are due, and silence is borne just as long as promised', async (t) => {
    const suite = await startSuite(t, '--ping-interval=300', '--ping-timeout=200');
    const open = async (revision) => {
      const began = performance.now(); // before the server's own clock
      const socket = await RawWebSocket.open(suite, `/engine.io/?EIO=${revision}&transport=websocket`);
      return { socket, began };
    };
    await isExact(async () => {
      const { socket, began } = await open(4);
      await socket.frame((frame) => frame === '2');
      socket.close();
      return performance.now() - began;
    }, 300);
    for (const revision of [4, 3])
      await isExact(async () => {
        const { socket, began } = await open(revision);
        await socket.frames.rest();
        return performance.now() - began;
      }, 500);
  });

  test('over polling: pings and pongs in both directions', async (t) => {
    const suite = await startSuite(t, ...CALM);
    const poller = await Poller.open(suite);
    const old = await Poller.open(suite, { revision: 3 });
    for (let i = 0; i < 3; i++) {
      assert.equal((await poller.get()).body, '2');
      await poller.send('3');
      await old.send('2');
      assert.equal((await old.get()).body, '1:3');
    }
  });

  test('of many clients survive that the server sleeps', async (t) => {
    const suite = await startSuite(t, ...CALM);
    const sockets = [];
    for (let i = 0; i < 40; i++) {
      const revision = i % 2 ? 4 : 3;
      const socket = await RawWebSocket.open(suite, `/engine.io/?EIO=${revision}&transport=websocket`);
      if (revision === 4) socket.socket.on('message', (data) => data.toString() === '2' && socket.send('3'));
      else socket.timer = setInterval(() => socket.send('2'), 1500);
      sockets.push(socket);
      await sleep(35); // each is due at another time
    }
    t.after(() => sockets.forEach(({ timer }) => clearInterval(timer)));
    for (let i = 0; i < 2; i++) {
      await sockets.at(-1).frame((frame) => frame === '2'); // the answer is on its way
      suite.child.kill('SIGSTOP');
      await sleep(1800);
      suite.child.kill('SIGCONT');
    }
    await sleep(3200);
    assert.equal(sockets.filter(({ code }) => code !== null).length, 0, 'nobody was cut off');
  });
});
