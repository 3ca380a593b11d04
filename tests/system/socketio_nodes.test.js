// SPDX-License-Identifier: MIT
// Several nodes on one Redis are one Socket.IO server: applications, rooms and broadcasts reach all of them, and a poll
// may come to any.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { meet, startNodes } from './lib/nodes.js';
import { startRedis } from './lib/redis.js';
import { startRoundRobin } from './lib/roundrobin.js';
import { connect, matrix, open, VERSIONS } from './lib/socketio.js';
import { waitFor, within } from './lib/wait.js';

const OPTIONS = { 'messaging.authenticate_time': '1h' };

async function startCrowd(t, count = 2, options = {}) {
  const redis = await startRedis(t);
  return { redis, nodes: await startNodes(t, redis, count, { ...OPTIONS, ...options }) };
}

// One request, which is not kept open: { status, body }.
async function ask(node, path, { method = 'GET', body, signal } = {}) {
  const response = await within(fetch(`${node.url}${path}`, { method, body, signal }), `${method} ${path}`);
  return { status: response.status, body: await response.text(), type: response.headers.get('content-type') };
}

// A session that polls, made at `node`: the path for its requests.
async function shakeHands(node, eio = 4) {
  const { body } = await ask(node, `/socket.io/?EIO=${eio}&transport=polling`);
  const { sid } = JSON.parse(body.slice(body.indexOf('{'), body.indexOf('}') + 1));
  return `/socket.io/?EIO=${eio}&transport=polling&sid=${sid}`;
}

const TAKEN = 'nereidd_socketio_relayed_total{way="in"}';
const POLLING = 'nereidd_socketio_connections{transport="polling"}';
const UNKNOWN = { status: 400, body: '{"code":1,"message":"Session ID unknown"}', type: 'application/json' };

describe('applications on two nodes', () => {
  test('Sockets: one room', async (t) => {
    const { nodes } = await startCrowd(t);
    const [alice, bob] = [
      await connect(nodes[0], { version: '4', transport: 'websocket' }),
      await connect(nodes[1], { version: '2.5', transport: 'polling' }),
    ];
    assert.deepEqual(await alice.ask('register', 'alice'), [true]);
    assert.deepEqual(await bob.ask('register', 'alice'), [false], 'her name is taken on every node');
    assert.deepEqual(await bob.ask('register', 'bob'), [true]);
    await alice.event('message', ({ from, message }) => from === 'Server' && message === 'bob has joined the chat');
    bob.emit('message', { from: 'somebody else', message: 'Hello' });
    await alice.event('message', ({ from, message }) => from === 'bob' && message === 'Hello');
    alice.emit('message', { from: 'alice', message: 'Hi' });
    await bob.event('message', ({ from, message }) => from === 'alice' && message === 'Hi');
    bob.close();
    await alice.event('message', ({ from, message }) => from === 'Server' && message === 'bob left the chat');
  });

  test('maxtalk: who listens on one node is told of what is said on the other', async (t) => {
    const { nodes } = await startCrowd(t);
    const [alice] = await meet(nodes, 'alice', 'bob');
    const conversation = await alice.thread('bob');
    const listen = async (node, username) => {
      const client = await connect(node, { version: '4', transport: 'websocket', nsp: '/max' });
      client.emit('join', { username, timestamp: 1 });
      const [{ conversations }] = await client.event('listening');
      assert.ok(conversations.includes(conversation));
      return client;
    };
    const first = await listen(nodes[0], 'alice');
    const second = await listen(nodes[1], 'bob');
    assert.equal((await first.event('joined'))[0].username, 'bob');
    first.emit('talk', { conversation, timestamp: 1234567890123, messageID: 'one' });
    assert.deepEqual((await second.event('update'))[0], {
      username: 'alice',
      conversation,
      timestamp: 1234567890123,
      messageID: 'one',
    });
    second.emit('talk', { conversation, timestamp: 2, messageID: 'two' });
    assert.equal((await first.event('update', ({ messageID }) => messageID === 'two'))[0].username, 'bob');
  });
});

describe('polls at any node', () => {
  for (const { version, transport, name } of matrix(VERSIONS, ['polling']))
    test(`${name}: events go both ways in order, whichever node a request comes to`, async (t) => {
      const { nodes } = await startCrowd(t, 3);
      const balancer = await startRoundRobin(t, nodes);
      const [client, other] = [
        await connect(balancer, { version, transport }),
        await connect(nodes[2], { version: '4', transport: 'websocket' }),
      ];
      assert.deepEqual(await client.ask('register', 'alice'), [true]);
      assert.deepEqual(await other.ask('register', 'bob'), [true]);
      const MANY = 50;
      for (let i = 0; i < MANY; i++) {
        client.emit('message', { from: 'alice', message: `from alice ${i}` });
        other.emit('message', { from: 'bob', message: `from bob ${i} жы` });
        if (i % 10 === 0) await other.event('message', ({ message }) => message === `from alice ${i}`);
      }
      await client.event('message', ({ message }) => message === `from bob ${MANY - 1} жы`);
      await other.event('message', ({ message }) => message === `from alice ${MANY - 1}`);
      const said = (from, by) =>
        from
          .all('message')
          .map(([message]) => message)
          .filter(({ from: name }) => name === by)
          .map(({ message }) => message);
      assert.deepEqual(
        said(client, 'bob'),
        Array.from({ length: MANY }, (_, i) => `from bob ${i} жы`),
      );
      assert.deepEqual(
        said(other, 'alice'),
        Array.from({ length: MANY }, (_, i) => `from alice ${i}`),
      );
      assert.ok(
        balancer.counts.every((count) => count > 2),
        String(balancer.counts),
      );
    });

  test('a client that would upgrade goes on polling where the WebSocket comes to another node', async (t) => {
    const { nodes } = await startCrowd(t);
    // Polls go to the first, WebSockets to the second.
    const balancer = await startRoundRobin(t, nodes, (request) => (request.headers.upgrade ? 1 : 0));
    const client = open(balancer, { version: '4', transport: 'upgrade' });
    await client.connects();
    await waitFor(() => balancer.upgrades > 0, 'it tries to upgrade');
    assert.deepEqual(await client.ask('register', 'alice'), [true]);
    assert.equal(client.running, 'polling');
    assert.equal(client.connected, true);
  });

  test('binary, heartbeats and both revisions', async (t) => {
    const { nodes } = await startCrowd(t, 2, { 'socketio.ping_interval': '300ms', 'socketio.ping_timeout': '5s' });
    for (const version of ['2.5', '4']) {
      const balancer = await startRoundRobin(t, nodes);
      const client = await connect(balancer, { version, transport: 'polling' });
      const bytes = Buffer.alloc(50000, 7);
      const emit = {
        event: 'picture',
        room: client.id,
        args: [{ _placeholder: true, num: 0 }],
        attachments: [bytes.toString('base64')],
      };
      const { status } = await fetch(`${nodes[0].adminUrl}/emit`, { method: 'POST', body: JSON.stringify(emit) });
      assert.equal(status, 200);
      assert.deepEqual(Buffer.from((await client.event('picture'))[0]), bytes);
      const before = balancer.counts[0];
      await waitFor(() => balancer.counts[0] > before + 4, 'heartbeats go on');
      assert.equal(client.connected, true);
      client.close();
    }
  });

  test('a session of nobody is unknown at once', async (t) => {
    const { nodes } = await startCrowd(t);
    const path = await shakeHands(nodes[0]);
    const other = path.replace(/sid=..../, 'sid=AAAA');
    const began = Date.now();
    assert.deepEqual(await ask(nodes[1], other), UNKNOWN);
    assert.deepEqual(await ask(nodes[1], other, { method: 'POST', body: '40' }), UNKNOWN);
    assert.deepEqual(await ask(nodes[1], path.replace(/.{4}$/, 'AAAA')), UNKNOWN, 'its node says so');
    assert.deepEqual(await ask(nodes[1], path.replace('EIO=4', 'EIO=3')), {
      status: 400,
      body: '{"code":3,"message":"Bad request"}',
      type: 'application/json',
    });
    assert.ok(Date.now() - began < 5000);
    assert.equal((await ask(nodes[1], path, { method: 'POST', body: '40' })).body, 'ok');
    assert.match((await ask(nodes[1], path)).body, /^40\{"sid"/);
  });

  test('the sessions of a node that was killed are unknown at once', async (t) => {
    const { redis, nodes } = await startCrowd(t);
    const path = await shakeHands(nodes[0]);
    assert.equal((await ask(nodes[1], path, { method: 'POST', body: '40' })).body, 'ok');
    await nodes[0].kill();
    await waitFor(
      async () => (await redis.cli('PUBSUB', 'CHANNELS', 'chat:relay:*')).split('\n').length === 1,
      'Redis has noticed',
    );
    assert.deepEqual(await ask(nodes[1], path), UNKNOWN);
  });

  // A poll of a session of the first node that waits there, though it was sent to the second; `give` gives it up.
  async function waitingPoll([first, second]) {
    const path = await shakeHands(first);
    await ask(first, path, { method: 'POST', body: '40' });
    assert.match((await ask(second, path)).body, /^40/);
    const taken = await first.metric(TAKEN);
    const stop = new AbortController();
    const answer = ask(second, path, { signal: stop.signal });
    await waitFor(async () => (await first.metric(TAKEN)) > taken, 'the poll is there');
    return { path, answer, give: () => stop.abort() };
  }

  test('a poll that its client gives up is given up at its own node, too', async (t) => {
    const { nodes } = await startCrowd(t);
    const poll = await waitingPoll(nodes);
    assert.equal(await nodes[0].metric(POLLING), 1);
    poll.give();
    await assert.rejects(poll.answer);
    // As if it had been there: that is the end of a session that polls.
    await nodes[0].metricBecomes(POLLING, 0);
    assert.deepEqual(await ask(nodes[1], poll.path), UNKNOWN);
  });

  test('a second poll ends the session, wherever it comes to', async (t) => {
    const { nodes } = await startCrowd(t);
    const poll = await waitingPoll(nodes);
    assert.equal((await ask(nodes[0], poll.path)).status, 400);
    assert.equal((await poll.answer).body, '1');
    assert.deepEqual(await ask(nodes[1], poll.path), UNKNOWN);
  });

  test('a node that ends answers the polls that wait at others', async (t) => {
    const { nodes } = await startCrowd(t);
    const poll = await waitingPoll(nodes);
    await nodes[1].stop();
    assert.deepEqual(await poll.answer, UNKNOWN);
  });

  test('a node that ends answers the polls that wait there for others', async (t) => {
    const { nodes } = await startCrowd(t);
    const poll = await waitingPoll(nodes);
    await nodes[0].stop();
    assert.equal((await poll.answer).status, 200);
    assert.deepEqual(await ask(nodes[1], poll.path), UNKNOWN);
  });

  test('a poll whose node is killed while it waits is answered within a heartbeat', async (t) => {
    const { nodes } = await startCrowd(t, 2, { 'socketio.ping_interval': '3s', 'socketio.ping_timeout': '3s' });
    const poll = await waitingPoll(nodes);
    await nodes[0].kill();
    assert.deepEqual(await poll.answer, UNKNOWN);
  });

  test('nonsense on a channel of nodes is passed over', async (t) => {
    const { redis, nodes } = await startCrowd(t);
    const poll = await waitingPoll(nodes);
    const tags = await redis.list('PUBSUB', 'CHANNELS', 'chat:relay:*');
    assert.equal(tags.length, 2);
    const bad = [
      '',
      'x',
      '9:x',
      '3:ask',
      '4:done4:AAAA1:1',
      '3:ask4:AAAA1:13:GET4:text1:4--0:0:-',
      '99999999999999999999999:x',
    ];
    for (const tag of tags) for (const text of bad) await redis.cli('PUBLISH', tag, text);
    for (const tag of tags)
      for (const text of [
        '4:gone4:AAAA1:1',
        '4:done4:AAAA1:13:20010:text/plain1:02:ok',
        '3:ask4:AAAA1:13:GET4:text1:4--4:none0:',
      ])
        await redis.cli('PUBLISH', tag, text);
    for (const node of nodes) await node.metricBecomes('nereidd_socketio_remote_bad_total', bad.length);
    assert.equal((await ask(nodes[1], poll.path, { method: 'POST', body: '41' })).body, 'ok');
    poll.give();
    await assert.rejects(poll.answer);
  });

  test('without Redis a poll at another node is refused', async (t) => {
    const { redis, nodes } = await startCrowd(t);
    const path = await shakeHands(nodes[0]);
    await redis.kill();
    await waitFor(async () => !(await nodes[1].ready()), 'Redis is away');
    assert.deepEqual(await ask(nodes[1], path), UNKNOWN);
    await redis.start();
  });
});
