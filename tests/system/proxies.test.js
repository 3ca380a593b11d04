// SPDX-License-Identifier: MIT
// Two nodes on one Redis behind HAProxy and behind nginx, which are set up as contrib/two-nodes says. Any request goes
// to either node, and clients do not notice: not in streams, not in polls, not when a node goes.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import net from 'node:net';
import { describe, test } from 'node:test';

import { Journal } from './lib/journal.js';
import { meet, startNodes } from './lib/nodes.js';
import { BASE, basic, withQuery } from './lib/person.js';
import { addressesOf, haproxy, nginx, startProxy } from './lib/proxies.js';
import { startRedis } from './lib/redis.js';
import { connect } from './lib/socketio.js';
import { comes, soonButForOne } from './lib/soon.js';
import { waitFor, within } from './lib/wait.js';

const STREAMS = 'nereidd_sessions{protocol="nereid-stream"}';
const POLLS = 'nereidd_sessions{protocol="nereid-poll"}';

async function startBehind(t, kind, options) {
  const redis = await startRedis(t);
  const nodes = await startNodes(t, redis, 2, options);
  const proxy = await startProxy(t, kind, nodes.map(addressesOf));
  await meet(nodes, 'alice', 'bob', 'carol');
  return { redis, nodes, proxy };
}

function eachNode(nodes, metric) {
  return Promise.all(nodes.map((node) => node.metric(metric)));
}

// Starts a node again where it was, for the proxy has its address.
async function startAgain(node) {
  Object.assign(node.options, { 'http.listen': node.address(), 'admin.listen': node.address('admin') });
  await node.start();
  await node.becomesReady();
}

// --- clients by hand, for what the library of a language hides

const streamHead = (version, format) =>
  `GET ${withQuery(`${BASE}/stream`, { format })} HTTP/${version}\r\n` +
  `Host: chat.example.org\r\nAuthorization: ${basic('alice')}\r\n\r\n`;

// An open stream in each form, once the first bytes have come, soon or whenever: `text` is what has come.
const forms = {
  'HTTP/1.0': async (proxy, soon) => {
    const raw = await proxy.connect();
    raw.write(streamHead('1.0', 'ndjson'));
    await comes(raw, '"presence"', soon);
    assert.match(raw.text, /^HTTP\/1\.[01] 200 /);
    assert.doesNotMatch(raw.text, /transfer-encoding/i);
    assert.match(raw.text, /\r\n\r\n\{"timestamp"/, 'no chunk size before the first line');
    return raw;
  },
  'HTTP/1.1': async (proxy, soon) => {
    const raw = await proxy.connect();
    raw.write(streamHead('1.1', 'sse'));
    await comes(raw, '"presence"', soon);
    assert.match(raw.text, /^HTTP\/1\.1 200 [^]*transfer-encoding: chunked[^]*\r\n\r\n[0-9a-f]+\r\n/i);
    return raw;
  },
  'HTTP/2': async (proxy, soon) => {
    const answer = await proxy.connect2(withQuery(`${BASE}/stream`, { format: 'ndjson' }), {
      authorization: basic('alice'),
    });
    assert.equal(answer.status, 200);
    await comes(answer, '"presence"', soon);
    return answer;
  },
};

// --- stand-ins for nodes

async function listen(t, server) {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  return `127.0.0.1:${server.address().port}`;
}

// Where /readyz says yes.
function startAdmin(t) {
  return listen(t, http.createServer((request, response) => response.end('ready\n')));
}

// Answers everything, and remembers what it was asked.
async function startGood(t) {
  const seen = [];
  const server = http.createServer((request, response) => {
    seen.push(`${request.method} ${request.url}`);
    request.resume().on('end', () => response.end('{}'));
  });
  return { seen, http: await listen(t, server), admin: await startAdmin(t) };
}

// Takes a request and closes without an answer, as a node does that is killed in the middle of it.
async function startDying(t) {
  const seen = [];
  const server = http.createServer((request) => {
    seen.push(`${request.method} ${request.url}`);
    request.resume().on('end', () => request.socket.destroy());
  });
  return { seen, http: await listen(t, server), admin: await startAdmin(t) };
}

// An address where nobody listens.
async function startAbsent(t) {
  const server = net.createServer();
  const address = await listen(t, server);
  server.close();
  await once(server, 'close');
  return { seen: [], http: address, admin: await startAdmin(t) };
}

function behind(kind, suite) {
  const there = { haproxy, nginx }[kind];
  describe(`two nodes behind ${kind}`, { skip: there ? false : `there is no ${kind}` }, () => suite(kind));
}

function describeProxy(kind) {
  for (const [form, open] of Object.entries(forms)) {
    test(`${form} streams on both nodes: the first bytes and each message at once`, async (t) => {
      const { nodes, proxy } = await startBehind(t, kind);
      const soon = soonButForOne(t);
      const streams = [await open(proxy, soon), await open(proxy, soon)];
      assert.deepEqual(await eachNode(nodes, STREAMS), [1, 1], 'one on each node');
      for (let i = 0; i < 4; i++) {
        await proxy.person('bob').send({ to: 'alice', message: `message ${i}` });
        for (const stream of streams) await comes(stream, `message ${i}`, soon);
      }
      for (const stream of streams) assert.equal(stream.text.match(/"message \d"/g).length, 4, 'each once');
    });
  }

  test('the marks of a probe come one by one', async (t) => {
    const { proxy } = await startBehind(t, kind);
    const probe = await proxy.connect2(`${BASE}/probe?marks=2&gap=3000`);
    await comes(probe, '"mark":1,');
    assert.ok(!probe.text.includes('"mark":2,'), 'before the last');
    await waitFor(() => probe.ended, 'the end');
  });

  test('a stream goes when its client goes, and others see that', async (t) => {
    const { nodes, proxy } = await startBehind(t, kind, { 'presence.grace': 0 });
    const others = await Promise.all(nodes.map((node) => node.person('bob').stream()));
    for (const open of Object.values(forms)) {
      const stream = await open(proxy);
      for (const other of others) await other.presence('alice', ({ available }) => available);
      stream.close();
      for (const other of others) await other.presence('alice', ({ available }) => !available);
    }
  });

  test('polls land now on one node, now on the other, and nothing is missed', async (t) => {
    const { nodes, proxy } = await startBehind(t, kind);
    const [alice, bob] = ['alice', 'bob'].map((name) => proxy.person(name));
    const texts = [];
    const landed = new Set();
    let { cursor } = await alice.poll({ wait: 0 });
    for (let i = 0; i < 12; i++) {
      // What is new about people comes first, and ends a poll too.
      const until = async () => {
        const before = texts.length;
        while (texts.length === before) {
          const envelope = await alice.poll({ since: cursor, wait: 30 });
          ({ cursor } = envelope);
          for (const { type, message } of envelope.stanzas) if (type === 'message') texts.push(message.text);
        }
      };
      const pending = until();
      const polls = await waitFor(async () => {
        const counts = await eachNode(nodes, POLLS);
        return counts.includes(1) && counts;
      }, 'the poll waits');
      landed.add(polls.indexOf(1));
      await bob.send({ to: 'alice', message: `news ${i}` });
      await within(pending, `news ${i}`);
    }
    assert.deepEqual(
      texts,
      Array.from({ length: 12 }, (_, i) => `news ${i}`),
    );
    assert.equal(landed.size, 2, 'on both nodes');
  });

  for (const transport of ['polling', 'websocket']) {
    test(`Socket.IO clients by ${transport} talk to each other, wherever their requests land`, async (t) => {
      const { nodes, proxy } = await startBehind(t, kind);
      const door = { url: proxy.url, clients: new Set() };
      t.after(() => door.clients.forEach((client) => client.close()));
      const clients = [];
      for (const name of ['anna', 'bert', 'cora', 'dora']) {
        const client = await connect(door, { transport, socketOptions: { rejectUnauthorized: false } });
        assert.deepEqual(await client.ask('register', name), [true]);
        clients.push(client);
      }
      for (const sender of clients) {
        const text = `said by ${clients.indexOf(sender)}`;
        assert.deepEqual(await sender.ask('message', { message: text }), [true]);
        for (const other of clients.filter((client) => client !== sender))
          await other.event('message', ({ message }) => message === text);
      }
      const relayed = await eachNode(nodes, 'nereidd_socketio_relayed_total{way="out"}');
      if (transport === 'polling') assert.ok(relayed[0] + relayed[1] > 0, 'some requests came to the other node');
      else assert.deepEqual(relayed, [0, 0]);
    });
  }

  test('a token of one node is good at the other, and ends at both', async (t) => {
    const { nodes, proxy } = await startBehind(t, kind);
    const holder = await proxy.person('alice').tokenHolder();
    const streams = [await holder.stream(), await holder.stream()];
    assert.deepEqual(await eachNode(nodes, STREAMS), [1, 1], 'one on each node');
    for (let i = 0; i < 4; i++) await holder.send({ to: 'bob', message: `by token ${i}` });
    for (const stream of streams) await stream.message('by token 3');
    await proxy.person('alice').revoke(holder.chatToken);
    for (const stream of streams) assert.equal((await stream.end()).error, 'no_token');
    for (let i = 0; i < 4; i++) assert.equal((await holder.get('/poll', { wait: 0 })).status, 404);
  });

  // Each goes on where it was cut; who sends asks again with the same id.
  async function startTraffic(t, proxy) {
    const journal = new Journal();
    for (const name of ['alice', 'bob', 'carol', 'alice']) await journal.follows(proxy.person(name));
    for (const name of ['alice', 'bob']) await journal.sends(proxy.person(name));
    await journal.goesOn(10);
    return journal;
  }

  test('a node is killed: clients go on with their cursors, nothing is lost or doubled', async (t) => {
    const { nodes, proxy } = await startBehind(t, kind);
    const journal = await startTraffic(t, proxy);
    for (const node of nodes) {
      await node.kill();
      await journal.goesOn(20);
      await startAgain(node);
      await journal.goesOn(10);
    }
    assert.ok(journal.cuts > 0, 'streams were cut');
    await journal.verify(t);
  });

  test('nodes end and start in turn, in good order: clients go on', async (t) => {
    const { nodes, proxy } = await startBehind(t, kind);
    const journal = await startTraffic(t, proxy);
    for (const node of nodes) {
      await node.stop();
      await journal.goesOn(10);
      await startAgain(node);
      await journal.goesOn(10);
    }
    await journal.verify(t);
  });

  test('while Redis is away: 503 with Retry-After, and streams stay', async (t) => {
    const { redis, nodes, proxy } = await startBehind(t, kind);
    const [alice, bob] = ['alice', 'bob'].map((name) => proxy.person(name));
    const streams = [await alice.stream(), await alice.stream()];
    redis.pause();
    await waitFor(async () => !(await nodes[0].ready()) && !(await nodes[1].ready()), 'the nodes are not ready');
    if (kind === 'haproxy') await waitFor(() => /no server available/.test(proxy.log), 'HAProxy has noticed');
    const refused = await bob.post('/send-message', { to: 'alice', message: 'too early' });
    assert.equal(refused.status, 503);
    assert.equal(refused.body.error, 'store_unavailable');
    assert.ok(Number(refused.headers.get('retry-after')) > 0);
    redis.resume();
    await waitFor(
      async () => (await bob.post('/send-message', { to: 'alice', message: 'in time' })).status === 200,
      'it goes on',
    );
    for (const stream of streams) await stream.message('in time');
    for (const stream of streams) assert.ok(!stream.stanzas.ended, 'the stream has stayed');
  });

  // Eight requests to a node that dies of each, and to one that does not: how often either had which, and the outcome.
  async function askAll(t, method) {
    const [dying, good] = [await startDying(t), await startGood(t)];
    const proxy = await startProxy(t, kind, [dying, good]);
    const outcomes = [];
    for (let i = 0; i < 8; i++) {
      const body = method === 'POST' ? 'a=b' : undefined;
      const answer = await fetch(`${proxy.url}/${i}`, { method, body }).catch(() => null);
      await answer?.text();
      const times = ({ seen }) => seen.filter((line) => line === `${method} /${i}`).length;
      const [lost, answered] = [times(dying), times(good)];
      outcomes.push({ lost, answered, ok: answer?.status === 200 });
    }
    assert.ok(dying.seen.length > 0, 'the dying node was asked');
    return outcomes;
  }

  test('a POST that has reached a node is not repeated', async (t) => {
    for (const { lost, answered, ok } of await askAll(t, 'POST'))
      assert.deepEqual([lost, answered], ok ? [0, 1] : [1, 0], 'it was with one node, once');
  });

  test('a GET that a node has not answered goes to the other', async (t) => {
    for (const { answered, ok } of await askAll(t, 'GET')) assert.deepEqual([answered, ok], [1, true]);
  });

  test('what could not be delivered to one node goes to the other', async (t) => {
    const [absent, good] = [await startAbsent(t), await startGood(t)];
    const proxy = await startProxy(t, kind, [absent, good]);
    for (let i = 0; i < 4; i++) {
      const answer = await fetch(`${proxy.url}/${i}`, { method: 'POST', body: 'a=b' });
      assert.equal(answer.status, 200);
      await answer.text();
      assert.equal(good.seen.filter((line) => line === `POST /${i}`).length, 1);
    }
  });
}

for (const kind of ['haproxy', 'nginx']) behind(kind, describeProxy);
