// SPDX-License-Identifier: MIT
// Services push to the clients of any node through Redis, with every emitter that there ever was, or by POST /emit.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { connectRedis, EMITTERS, newestEmitter, startNodeServer } from './lib/emitters.js';
import { startGateway } from './lib/gateway.js';
import { startNode, startNodes } from './lib/nodes.js';
import { exchange } from './lib/raw.js';
import { startRedis } from './lib/redis.js';
import { connect } from './lib/socketio.js';
import { waitFor, within } from './lib/wait.js';

// Nobody here logs in: `/` keeps them all the same.
const OPTIONS = { 'messaging.authenticate_time': '1h' };

const HEARD = 'nereidd_socketio_remote_total{way="in"}';
const TOLD = 'nereidd_socketio_remote_total{way="out"}';
const BAD = 'nereidd_socketio_remote_bad_total';

// Two nodes on one Redis.
async function startPair(t, options = {}) {
  const redis = await startRedis(t);
  return { redis, nodes: await startNodes(t, redis, 2, { ...OPTIONS, ...options }) };
}

// What was said to a client comes in its order: once it hears `word`, it has heard all that was for it.
async function hears(client, word) {
  await client.event('end', (said) => said === word);
  return client.events.items.filter(({ name }) => name !== 'end');
}

// Puts clients into rooms: { room: [client, …] }.
async function putIn(emitter, rooms) {
  for (const [room, clients] of Object.entries(rooms))
    for (const client of clients) {
      emitter.in(client.id).socketsJoin(room);
      emitter.to(room).emit('joined', room);
      await waitFor(() => {
        if (client.all('joined').some(([name]) => name === room)) return true;
        emitter.to(room).emit('joined', room);
        return false;
      }, `${client.name} is in ${room}`);
    }
  for (const client of new Set(Object.values(rooms).flat())) {
    await client.event('joined');
    client.events.items.length = 0;
  }
}

const DATE = new Date('2014-12-01T09:30:00.123Z');

describe('emitters', () => {
  for (const [name, makeEmitter] of Object.entries(EMITTERS)) {
    test(`${name} reaches everybody on both nodes, whatever they speak`, async (t) => {
      const { redis, nodes } = await startPair(t);
      const emitter = await makeEmitter(t, redis);
      const clients = [];
      for (const [version, transport] of [
        ['4', 'websocket'],
        ['3.1', 'polling'],
        ['2.5', 'polling'],
        ['1.7', 'polling'],
        ['0.9', 'websocket'],
      ])
        clients.push(await connect(nodes[clients.length % 2], { version, transport }));
      const value = { text: 'Привет 😀', yes: true, none: null, list: [1, -2, 3.5, 4294967296, 1.5e-7], ключ: {} };
      emitter.emit('update', value, DATE, 'x'.repeat(70000));
      for (const client of clients)
        assert.deepEqual(await client.event('update'), [value, DATE.toISOString(), 'x'.repeat(70000)], client.name);
      for (const node of nodes) {
        assert.equal(await node.metric(HEARD), 1);
        assert.equal(await node.metric(BAD), 0);
      }
    });

    test(`${name} reaches rooms and namespaces, and nobody else`, async (t) => {
      const { redis, nodes } = await startPair(t);
      const emitter = await makeEmitter(t, redis);
      const open = (i, nsp = '/') => connect(nodes[i], { version: '4', transport: 'websocket', nsp });
      const [red, blue, both, none] = [await open(0), await open(1), await open(0), await open(1)];
      const other = await open(1, '/max');
      await putIn(await newestEmitter(t, redis), { red: [red, both], 'user(1)': [blue, both] });
      emitter.to('red').emit('said', 1);
      emitter.to('user(1)').emit('said', 2);
      emitter.of('/max').emit('said', 3);
      emitter.of('/max').to('red').emit('said', 4);
      emitter.to('green').emit('said', 5);
      emitter.to(none.id).emit('said', 6);
      emitter.to('red').emit('said', 7);
      emitter.emit('end', 'first');
      emitter.of('/max').emit('end', 'first');
      const said = async (client) => (await hears(client, 'first')).map(({ args }) => args[0]);
      assert.deepEqual(await said(red), [1, 7]);
      assert.deepEqual(await said(blue), [2]);
      assert.deepEqual(await said(both), [1, 2, 7]);
      assert.deepEqual(await said(none), [6]);
      assert.deepEqual(await said(other), [3]);
    });

    test(`${name} sends binary and volatile events`, async (t) => {
      const { redis, nodes } = await startPair(t);
      const emitter = await makeEmitter(t, redis);
      const clients = [];
      for (const [version, transport] of [
        ['4', 'websocket'],
        ['4', 'polling'],
        ['2.5', 'websocket'],
        ['1.7', 'polling'],
      ])
        clients.push(await connect(nodes[clients.length % 2], { version, transport }));
      const short = Buffer.from([1, 2, 3]);
      const long = Buffer.alloc(100000, 7);
      emitter.emit('picture', { short, list: [long] }, 'text');
      for (const client of clients) {
        const [picture, text] = await client.event('picture');
        assert.deepEqual(Buffer.from(picture.short), short, client.name);
        assert.deepEqual(Buffer.from(picture.list[0]), long, client.name);
        assert.equal(text, 'text');
      }
      for (const client of clients.slice(0, 1)) {
        emitter.volatile.emit('perhaps', 1);
        assert.deepEqual(await client.event('perhaps'), [1]);
      }
    });
  }

  // Written by the emitters of 2014 with msgpack-js 0.3: update, {id, gone: undefined, ключ}, a string of 40, a buffer.
  const RECORDED = [
    [
      'socket.io#emitter',
      '9283a47479706505a46461746194a675706461746583a2696401a4676f6e65c4a8d0bad0bbd18ed187a6e697a5e69cacda0028' +
        '78'.repeat(40) +
        'd80003010203a36e7370a12f82a5726f6f6d7390a5666c61677380',
    ],
    [
      'socket.io#/#',
      '93a7656d697474657283a47479706505a46461746194a675706461746583a2696401a4676f6e65c4a8d0bad0bbd18ed187a6e697a5e69cacda0028' +
        '78'.repeat(40) +
        'd80003010203a36e7370a12f82a5726f6f6d7390a5666c61677380',
    ],
  ];

  for (const [channel, hex] of RECORDED)
    test(`what emitters of 2014 publish on ${channel} is understood`, async (t) => {
      const { redis, nodes } = await startPair(t);
      const publisher = await connectRedis(t, redis);
      const clients = [];
      for (const node of nodes) clients.push(await connect(node, { version: '4', transport: 'websocket' }));
      await publisher.publish(channel, Buffer.from(hex, 'hex'));
      for (const client of clients) {
        const [object, text, buffer] = await client.event('update');
        assert.deepEqual(object, { id: 1, ключ: '日本' });
        assert.equal(text, 'x'.repeat(40));
        assert.deepEqual(Buffer.from(buffer), Buffer.from([1, 2, 3]));
      }
    });

  test('except, several rooms, and each socket once', async (t) => {
    const { redis, nodes } = await startPair(t);
    const emitter = await newestEmitter(t, redis);
    const open = (i) => connect(nodes[i], { version: '4', transport: 'websocket' });
    const [red, blue, both] = [await open(0), await open(1), await open(1)];
    await putIn(emitter, { red: [red, both], blue: [blue, both] });
    emitter.to(['red', 'blue']).emit('said', 1);
    emitter.to(['red', 'blue']).except(both.id).emit('said', 2);
    emitter.except('red').emit('said', 3);
    emitter.to('red').except('blue').emit('said', 4);
    emitter.except(['red', 'blue']).emit('said', 5);
    emitter.emit('end', 'now');
    const said = async (client) => (await hears(client, 'now')).map(({ args }) => args[0]);
    assert.deepEqual(await said(red), [1, 2, 4]);
    assert.deepEqual(await said(blue), [1, 2, 3]);
    assert.deepEqual(await said(both), [1]);
  });

  test('an emitter moves sockets between rooms and ends them', async (t) => {
    const { redis, nodes } = await startPair(t);
    const emitter = await newestEmitter(t, redis);
    const open = (i) => connect(nodes[i], { version: '4', transport: 'websocket' });
    const [first, second, third] = [await open(0), await open(1), await open(1)];
    await putIn(emitter, { red: [first, second] });
    emitter.in('red').socketsJoin(['blue', 'green']);
    emitter.to('green').emit('said', 1);
    emitter.in(first.id).socketsLeave('green');
    emitter.to('green').emit('said', 2);
    emitter.emit('end', 'now');
    const said = async (client) => (await hears(client, 'now')).map(({ args }) => args[0]);
    assert.deepEqual(await said(first), [1]);
    assert.deepEqual(await said(second), [1, 2]);
    assert.deepEqual(await said(third), []);
    emitter.in('red').disconnectSockets();
    assert.equal(await first.disconnects(), 'io server disconnect');
    assert.equal(await second.disconnects(), 'io server disconnect');
    emitter.emit('end', 'still there');
    await hears(third, 'still there');
    emitter.disconnectSockets(true);
    await third.disconnects();
    // What needs an answer is not for us.
    emitter.serverSideEmit('hello', { a: [[[[[1]]]]] });
    for (const node of nodes) assert.equal(await node.metric(BAD), 0);
  });

  test('a name with anything in it is a room', async (t) => {
    const { redis, nodes } = await startPair(t);
    const emitter = await newestEmitter(t, redis);
    const client = await connect(nodes[0], { version: '4', transport: 'websocket' });
    const rooms = ['*', '#', 'a#b', '#x#', '[a-z]?\\', 'with\nline', ' ', 'ж'.repeat(500)];
    for (const room of rooms) {
      emitter.in(client.id).socketsJoin(room);
      emitter.to(room).emit('end', room);
      assert.equal((await client.event('end'))[0], room);
    }
    emitter.in(client.id).socketsJoin(7);
    emitter.to(7).emit('end', 'a number');
    emitter.to('8').emit('end', 'not this one');
    emitter.to('7').emit('end', 'the same');
    assert.equal((await client.event('end'))[0], 'a number');
    assert.equal((await client.event('end'))[0], 'the same');
  });

  test('nonsense on the channels is counted, logged now and then, and harms nobody', async (t) => {
    const redis = await startRedis(t);
    const node = await startNode(t, redis, OPTIONS);
    const publisher = await connectRedis(t, redis);
    const client = await connect(node, { version: '4', transport: 'websocket' });
    const bad = [
      '',
      'c1',
      'ddffffffff',
      'dfffffffff',
      '9'.repeat(200),
      '91'.repeat(33) + '01',
      '92a16180',
      '93a16180',
      '938080',
      'ff'.repeat(1000),
      '93a7656d697474657283a47479706502a46461746192a165a1ffa36e7370a12f80',
      '93a7656d697474657283a47479706502a464617461dd40000000a165a36e7370a12f80',
      '93a7656d697474657283a47479706502a46461746192a165810102a36e7370a12f80',
    ];
    for (const hex of bad) await publisher.publish('socket.io#/#', Buffer.from(hex, 'hex'));
    await node.metricBecomes(BAD, bad.length);
    for (const text of [
      '{',
      '{"type":2,"opts":{"rooms":{}},"rooms":["a"]}',
      `{"type":2,"opts":{"rooms":[${'['.repeat(1000)}`,
    ])
      await publisher.publish('socket.io-request#/#', text);
    await node.metricBecomes(BAD, bad.length + 3);
    for (const [channel, text] of [
      ['socket.io#', 'x'],
      ['socket.io#/other#', 'x'],
      ['socket.io#/#nobody#', 'x'],
      ['socket.io#'.padEnd(10000, '#'), 'x'],
      ['socket.io-request#/other#', '{'],
      ['socket.io-request#', '{'],
      ['socket.io-request#/#', 'x'],
      ['socket.io-request#/#', '{"type":9}'],
      ['socket.io-request#/#', '{"type":4,"sid":"x"}'],
    ])
      await publisher.publish(channel, text);
    const emitter = await newestEmitter(t, redis);
    emitter.emit('end', 'all is well');
    await hears(client, 'all is well');
    assert.equal(await node.metric(BAD), bad.length + 4, 'a bare name is a channel of old emitters');
    assert.ok((await node.logText()).match(/is not taken/g).length < 8, 'not each of them is logged');
  });

  test('a storm is fair to everybody else', async (t) => {
    const redis = await startRedis(t);
    const node = await startNode(t, redis, OPTIONS);
    const clients = [];
    for (let i = 0; i < 20; i++) clients.push(await connect(node, { version: '4', transport: 'websocket' }));
    const emitter = await newestEmitter(t, redis);
    const MANY = 5000;
    for (let i = 0; i < MANY; i++) emitter.emit('said', i);
    // Meanwhile others are served.
    let served = 0;
    while (clients[0].all('said').length < MANY) {
      assert.equal((await within(node.admin('/healthz'), 'an answer during a storm', 3000)).status, 200);
      served++;
    }
    assert.ok(served > 0);
    for (const client of clients) {
      await waitFor(() => client.all('said').length === MANY, `${client.name} hears all`);
      assert.deepEqual(
        client.all('said').map(([i]) => i),
        Array.from({ length: MANY }, (_, i) => i),
      );
    }
  });

  test('after Redis was away, emitters are heard again', async (t) => {
    const redis = await startRedis(t);
    const node = await startNode(t, redis, OPTIONS);
    const client = await connect(node, { version: '4', transport: 'websocket' });
    await redis.restart();
    await node.becomesReady();
    const emitter = await newestEmitter(t, redis);
    emitter.emit('end', 'again');
    await hears(client, 'again');
  });

  test('another prefix is another world, and its special characters are plain', async (t) => {
    const redis = await startRedis(t);
    const node = await startNode(t, redis, { ...OPTIONS, 'socketio.redis_prefix': 'my*[app]?' });
    const client = await connect(node, { version: '4', transport: 'websocket' });
    const { Emitter } = await import('@socket.io/redis-emitter');
    const publisher = await connectRedis(t, redis);
    new Emitter(publisher).emit('said', 'elsewhere');
    new Emitter(publisher, { key: 'myx[app]?' }).emit('said', 'elsewhere');
    new Emitter(publisher, { key: 'my*[app]?' }).emit('end', 'here');
    assert.deepEqual(await hears(client, 'here'), []);
  });
});

describe('a Socket.IO server on Node beside us', () => {
  test('it and we hear each other, and it waits for nobody', async (t) => {
    const { redis, nodes } = await startPair(t);
    const peer = await startNodeServer(t, redis);
    const ours = await connect(nodes[0], { version: '4', transport: 'websocket' });
    const theirs = await connect({ url: peer.url }, { version: '4', transport: 'websocket' });
    t.after(() => theirs.close());
    peer.io.emit('said', 'by the peer', DATE, Buffer.from([1]));
    const [text, date, bytes] = await ours.event('said');
    assert.deepEqual([text, date, [...bytes]], ['by the peer', DATE.toISOString(), [1]]);
    await theirs.event('said');

    peer.io.in(ours.id).socketsJoin('red');
    peer.io.in(theirs.id).socketsJoin('red'); // its adapter tells that to itself by Redis, too
    await waitFor(() => peer.io.sockets.adapter.rooms.has('red'), 'the peer has the room');
    peer.io.to('red').emit('end', 'in a room');
    await ours.event('end');
    await theirs.event('end');

    const answer = await emit(nodes[1], { event: 'said', args: ['by us', 1.5, { a: [null] }] });
    assert.equal(answer.status, 200);
    assert.deepEqual(await theirs.event('said'), ['by us', 1.5, { a: [null] }]);
    assert.deepEqual(await ours.event('said'), ['by us', 1.5, { a: [null] }]);
    await emit(nodes[0], { room: 'red', event: 'end', args: [{ _placeholder: true, num: 0 }], attachments: ['AQID'] });
    assert.deepEqual([...(await theirs.event('end'))[0]], [1, 2, 3]);
    assert.deepEqual([...(await ours.event('end'))[0]], [1, 2, 3]);

    assert.equal((await peer.io.fetchSockets()).length, 1, 'only its own: waiting for ours would fail');
    for (const node of nodes) assert.equal(await node.metric(BAD), 0);
    assert.equal(await nodes[0].metric(TOLD), 1);
  });
});

// --- POST /emit

async function emit(node, body, { headers = {} } = {}) {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  const response = await fetch(`${node.adminUrl}/emit`, { method: 'POST', body: text, headers });
  return { status: response.status, body: await response.json() };
}

// What an emit with these header lines is answered with.
async function statusOf(gateway, headers) {
  const body = JSON.stringify({ event: 'x' });
  const head = ['POST /emit HTTP/1.1', ...headers, `Content-Length: ${body.length}`, 'Connection: close'];
  const { responses } = await exchange(gateway, [...head, '', body].join('\r\n'), { listener: 'admin' });
  return responses[0].status;
}

describe('POST /emit', () => {
  test('it does what an emitter does, without Redis', async (t) => {
    const gateway = await startGateway(t, OPTIONS);
    const open = (options) => connect(gateway, { version: '4', transport: 'websocket', ...options });
    const [first, second, old] = [await open(), await open(), await open({ version: '2.5', transport: 'polling' })];
    assert.deepEqual(await emit(gateway, { event: 'said' }), { status: 200, body: { sockets: 3 } });
    for (const client of [first, second, old]) assert.deepEqual(await client.event('said'), []);
    const one = {
      nsp: '/',
      room: first.id,
      event: 'said',
      args: [1, 'two', { three: [3.0, 12345678901234567890123n === 0] }],
    };
    assert.deepEqual((await emit(gateway, one)).body, { sockets: 1 });
    assert.deepEqual(await first.event('said'), one.args);
    const some = { rooms: [first.id, second.id], except: [first.id], event: 'said', args: [2], volatile: true };
    assert.deepEqual((await emit(gateway, some)).body, { sockets: 1 });
    assert.deepEqual(await second.event('said'), [2]);
    const binary = {
      event: 'said',
      args: [{ a: { _placeholder: true, num: 0 } }, { num: 1, _placeholder: true }],
      attachments: ['AQI=', ''],
    };
    assert.deepEqual((await emit(gateway, binary)).body, { sockets: 3 });
    for (const client of [first, old]) {
      const [{ a }, empty] = await client.event('said');
      assert.deepEqual([...Buffer.from(a)], [1, 2], client.name);
      assert.equal(empty.length ?? empty.byteLength, 0);
    }
    assert.deepEqual((await emit(gateway, { room: 'nobody', event: 'said' })).body, { sockets: 0 });
  });

  test('it says what is wrong', async (t) => {
    const gateway = await startGateway(t, { ...OPTIONS, 'socketio.max_payload': 2000 });
    const cases = [
      ['', 400, 'bad_json', /JSON/],
      ['[]', 400, 'bad_json', /JSON/],
      ['{"event":"x","event":"y"}', 400, 'bad_json', /JSON/],
      [{}, 400, 'missing_field', /event/],
      [{ event: 1 }, 400, 'bad_field', /event/],
      [{ event: 'connect' }, 400, 'bad_field', /event/],
      [{ event: 'x'.repeat(200) }, 400, 'bad_field', /event/],
      [{ event: 'x', args: {} }, 400, 'bad_field', /args/],
      [{ event: 'x', args: [{ _placeholder: true, num: 0 }] }, 400, 'bad_field', /args/],
      [{ event: 'x', args: [], attachments: ['AQI='] }, 400, 'bad_field', /args/],
      [{ event: 'x', args: [1], attachments: 'AQI=' }, 400, 'bad_field', /attachments/],
      [{ event: 'x', args: [1], attachments: [1] }, 400, 'bad_field', /attachments/],
      [{ event: 'x', args: [1], attachments: ['A!'] }, 400, 'bad_field', /attachments/],
      [{ event: 'x', attachments: Array(11).fill('') }, 400, 'bad_field', /attachments/],
      [{ event: 'x', nsp: 1 }, 400, 'bad_field', /nsp/],
      [{ event: 'x', nsp: '/none' }, 404, 'not_found', /nsp/],
      [{ event: 'x', room: 1 }, 400, 'bad_field', /room/],
      [{ event: 'x', room: 'a', rooms: ['b'] }, 400, 'bad_field', /room/],
      [{ event: 'x', rooms: 'a' }, 400, 'bad_field', /rooms/],
      [{ event: 'x', rooms: [[]] }, 400, 'bad_field', /rooms/],
      [{ event: 'x', except: [null] }, 400, 'bad_field', /except/],
      [{ event: 'x', volatile: 1 }, 400, 'bad_field', /volatile/],
      [{ event: 'x', romm: 'a' }, 400, 'bad_field', /romm/],
      [{ event: 'x', [`ж${'x'.repeat(200)}`]: 'a' }, 400, 'bad_field', /not known/],
    ];
    for (const [body, status, error, message] of cases) {
      const answer = await emit(gateway, body);
      const what = JSON.stringify(body);
      assert.equal(answer.status, status, what);
      assert.equal(answer.body.error, error, what);
      assert.match(answer.body.message, message, what);
    }
    assert.equal((await emit(gateway, { event: 'x' }, { headers: { origin: 'https://evil.example' } })).status, 403);
    const rebound = ['Host: evil.example:8081', 'Origin: http://evil.example:8081'];
    assert.equal(await statusOf(gateway, rebound), 403, 'a name that leads here is not our own origin');
    assert.equal(await statusOf(gateway, ['Host: nereidd.internal:8081']), 200, 'a service may know us by a name');
    const large = await fetch(`${gateway.adminUrl}/emit`, { method: 'POST', body: 'x'.repeat(3000) }).catch(
      (error) => error,
    );
    assert.ok(large.status === 413 || large instanceof Error);
    assert.equal((await gateway.admin('/emit')).status, 405);
  });

  test('numbers and text go out as they are written', async (t) => {
    const gateway = await startGateway(t, OPTIONS);
    const { RawWebSocket } = await import('./lib/socketio.js');
    const socket = await RawWebSocket.open(gateway, '/socket.io/?EIO=4&transport=websocket');
    socket.send('40');
    await socket.frame((text) => String(text).startsWith('40'));
    await emit(gateway, '{"args": [1.0, 1e2, 9007199254740993, "\\u00e9\\u003c"  , {"b":1, "a":2}], "event": "x"}');
    const frame = await socket.frame((text) => String(text).startsWith('42["x"'));
    assert.equal(String(frame), '42["x",1.0,1e2,9007199254740993,"\\u00e9\\u003c",{"b":1,"a":2}]');
    socket.close();
  });

  test('with Redis it reaches every node once', async (t) => {
    const { nodes } = await startPair(t);
    const clients = [];
    for (const node of nodes) clients.push(await connect(node, { version: '4', transport: 'websocket' }));
    assert.deepEqual((await emit(nodes[0], { event: 'said', args: [1] })).body, { sockets: 1 });
    assert.deepEqual((await emit(nodes[1], { event: 'end', args: ['now'] })).body, { sockets: 1 });
    for (const client of clients)
      assert.deepEqual(
        (await hears(client, 'now')).map(({ args }) => args),
        [[1]],
      );
    await emit(nodes[0], { room: clients[1].id, event: 'end', args: ['far'] });
    await hears(clients[1], 'far');
    assert.equal(await nodes[0].metric(TOLD), 2);
    assert.equal(await nodes[1].metric(HEARD), 2);
  });
});
