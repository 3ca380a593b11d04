// SPDX-License-Identifier: MIT
// Socket.IO's packets, revisions 5 and 4, without a client in between: what a server must take, and what ends a session.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { startGateway } from './lib/gateway.js';
import { RawWebSocket } from './lib/socketio.js';
import { waitFor } from './lib/wait.js';

const REGISTER = '["register","alice"]';
const PLACEHOLDER = '{"_placeholder":true,"num":0}';

const isPing = (frame) => frame === '2';

// A session on a WebSocket, opened and not yet in any namespace.
async function session(gateway, { revision = 4, query = '' } = {}) {
  const socket = await RawWebSocket.open(gateway, `/socket.io/?EIO=${revision}&transport=websocket${query}`);
  const opened = await socket.frame();
  assert.match(opened, /^0\{"sid":/);
  socket.sid = JSON.parse(opened.slice(1)).sid;
  return socket;
}

// What comes next, but for pings.
function next(socket, what) {
  return socket.frame((frame) => !isPing(frame), what);
}

async function connect(socket, packet = '40', answer = /^40\{"sid":"[\w-]{20}"\}$/) {
  socket.send(packet);
  assert.match(await next(socket, `an answer to ${packet}`), answer);
  return socket;
}

// A session in `/`.
async function connected(gateway) {
  return connect(await session(gateway));
}

// Everything works as it should: an event is acknowledged.
async function works(socket) {
  socket.send('421000["register",7]');
  assert.equal(await next(socket, 'an ack'), '431000[false]');
}

// It is closed by the server after this, without an answer.
async function closedBy(socket, ...frames) {
  for (const frame of frames) socket.send(frame);
  await socket.closed();
  const answers = socket.frames.items.slice(socket.seen).filter((frame) => !isPing(frame));
  assert.deepEqual(answers, [], `an answer to ${String(frames[0]).slice(0, 60)}`);
}

// Each of these ends a session in `/`; the server lives on.
async function eachCloses(gateway, packets) {
  for (const packet of packets) {
    const socket = await connected(gateway);
    socket.seen = socket.frames.items.length;
    await closedBy(socket, ...[packet].flat());
  }
  await works(await connected(gateway));
}

describe('revision 5', { concurrency: 4 }, () => {
  test('namespaces are connected by their clients', async (t) => {
    const gateway = await startGateway(t);
    const socket = await session(gateway);
    await connect(socket, '40{"token":"x","deep":[{}]}');
    await connect(socket, '40/max,', /^40\/max,\{"sid":"[\w-]{20}"\}$/);
    socket.send('40/random');
    assert.equal(await next(socket), '44/random,{"message":"Invalid namespace"}');
    socket.send('40/random?token=1,{}');
    assert.equal(await next(socket), '44/random?token=1,{"message":"Invalid namespace"}');
    await works(socket);
    assert.equal(await gateway.metric('nereidd_socketio_sockets'), 2);
  });

  test('ids are drawn anew for each socket', async (t) => {
    const gateway = await startGateway(t);
    const ids = new Set();
    for (let i = 0; i < 5; i++) {
      const socket = await session(gateway);
      ids.add(socket.sid);
      socket.send('40');
      ids.add(JSON.parse((await next(socket)).slice(2)).sid);
    }
    assert.equal(ids.size, 10);
  });

  test('leaving all namespaces leaves the session open', async (t) => {
    const gateway = await startGateway(t, { 'socketio.connect_timeout': '1s', 'socketio.ping_interval': '600ms' });
    const socket = await connected(gateway);
    socket.send('41');
    await gateway.metricBecomes('nereidd_socketio_sockets', 0);
    await socket.frame(isPing, 'a ping');
    socket.send('3');
    await socket.frame(isPing, 'another ping');
    socket.send('3');
    await works(await connect(socket));
  });

  test('whoever connects to no namespace in time is closed', async (t) => {
    const gateway = await startGateway(t, { 'socketio.connect_timeout': '1s' });
    const idle = await session(gateway);
    const refused = await session(gateway);
    refused.send('40/nowhere');
    await next(refused);
    await idle.closed();
    await refused.closed();
    assert.equal(await gateway.limitHits('socketio_connect_timeout'), 2);
  });

  test('a namespace that is not connected, or connected already', async (t) => {
    const gateway = await startGateway(t);
    for (const packet of [`42${REGISTER}`, '41', '431[]', `451-["x",${PLACEHOLDER}]`, '40/max'])
      await closedBy(await (packet === '40/max' ? twiceInMax(gateway) : seen(await session(gateway))), packet);
    await eachCloses(gateway, ['40', '40{}', `42/max,${REGISTER}`, '41/max', '42/nowhere,["x"]', '44{"message":"x"}']);
  });

  async function twiceInMax(gateway) {
    return seen(await connect(await session(gateway), '40/max,', /^40\/max,/));
  }

  const seen = (socket) => Object.assign(socket, { seen: socket.frames.items.length });

  test('what is no packet ends the session', async (t) => {
    await eachCloses(await startGateway(t), [
      '4',
      '4abc',
      '47',
      '49[]',
      '4-2',
      '4 2["x"]',
      '4\ufeff2["x"]',
      '40[]',
      '40/max,"x"',
    ]);
  });

  test('events that are none', async (t) => {
    const gateway = await startGateway(t);
    await eachCloses(gateway, [
      '42',
      '42{}',
      '42[]',
      '42[{}]',
      '42[["x"]]',
      '42[null]',
      '42[true]',
      '42"x"',
      '42abc["x"]',
    ]);
    await eachCloses(
      gateway,
      ['connect', 'connect_error', 'disconnect', 'disconnecting', 'newListener', 'removeListener'].map(
        (name) => `42["${name}"]`,
      ),
    );
    await eachCloses(gateway, [`42["${'x'.repeat(129)}"]`, `42["${'x'.repeat(900_000)}"]`]);
  });

  test('events that nobody handles are ignored', async (t) => {
    const gateway = await startGateway(t);
    const socket = await connected(gateway);
    for (const packet of [
      '42["error"]',
      '42[7]',
      '42[1.5,"x"]',
      '427["nothing",{}]',
      `42["${'x'.repeat(128)}"]`,
      '42[""]',
    ])
      socket.send(packet);
    await works(socket);
  });

  test('acks that nobody waits for are ignored, others end the session', async (t) => {
    const gateway = await startGateway(t);
    const socket = await connected(gateway);
    for (const packet of ['430[]', '4318446744073709551615[]', '43007["x"]']) socket.send(packet);
    await works(socket);
    await eachCloses(gateway, [
      '43[]',
      '430',
      '430{}',
      '4318446744073709551616[]',
      '43-1[]',
      '43999999999999999999999999[]',
    ]);
  });

  test('an ack has the id of its event', async (t) => {
    const gateway = await startGateway(t);
    const socket = await connected(gateway);
    for (const id of ['0', '7', '18446744073709551615']) {
      socket.send(`42${id}["register",7]`);
      assert.equal(await next(socket), `43${id}[false]`);
    }
    socket.send('4218446744073709551616["register",7]');
    await socket.closed();
  });

  test('the 33rd level of JSON and other text that is refused', async (t) => {
    const gateway = await startGateway(t);
    const nested = (depth) => `42["x",${'['.repeat(depth - 1)}${']'.repeat(depth - 1)}]`;
    const socket = await connected(gateway);
    for (const packet of [
      nested(32),
      '42["x",-0,9223372036854775807,1e300]',
      '42["x","\\u2028\ufeff\u202e"]',
      '42["x",{"__proto__":1}]',
    ])
      socket.send(packet);
    await works(socket);
    await eachCloses(gateway, [
      nested(33),
      nested(2048),
      nested(100_000),
      `42${'['.repeat(900_000)}`,
      '42["x",{"a":1,"a":2}]',
      '42["x","\\u0000"]',
      '42["x","\\ud800"]',
      '42["x",1\u0000]',
      '42["x",1e999]',
      '42["x",9223372036854775808]',
      '42["x",NaN]',
      '42["x"]["y"]',
      '42["x"]//',
      '42["x" /* y */]',
    ]);
  });

  test('text that is not UTF-8', async (t) => {
    const gateway = await startGateway(t);
    for (const bytes of ['c080', 'eda080', 'f5808080', '80', 'c3']) {
      const socket = await connected(gateway);
      const text = Buffer.concat([Buffer.from('42["x","'), Buffer.from(bytes, 'hex'), Buffer.from('"]')]);
      socket.socket.send(text, { binary: false });
      assert.equal(await socket.closed(), 1007);
    }
    await works(await connected(gateway));
  });
});

describe('attachments', { concurrency: 4 }, () => {
  const binary = (count, args) => `45${count}-["register",${args}]`;

  test('come behind their event', async (t) => {
    const gateway = await startGateway(t);
    const socket = await connected(gateway);
    const ten = Array.from({ length: 10 }, (_, num) => JSON.stringify({ num, _placeholder: true }));
    socket.send(`4510-8["register",${ten}]`);
    for (let i = 0; i < 10; i++) socket.send(Buffer.from([i]));
    assert.equal(await next(socket), '438[false]');
    socket.send(`461-0[${PLACEHOLDER}]`);
    socket.send(Buffer.alloc(0));
    await works(socket);
  });

  test('are announced as a number from 1 to 10', async (t) => {
    const gateway = await startGateway(t);
    await eachCloses(
      gateway,
      ['-1', '1e9', '999999', '0', '11', '', '1.5', '01x'].map((count) => binary(count, PLACEHOLDER)),
    );
    await eachCloses(gateway, ['45-[', `45[${PLACEHOLDER}]`, '451["x"]', '46[]', `461-[${PLACEHOLDER}]`]);
    assert.equal(await gateway.limitHits('socketio_attachments'), 2);
  });

  test('socketio.attachments', async (t) => {
    const gateway = await startGateway(t, { 'socketio.attachments': 1 });
    const socket = await connected(gateway);
    socket.send(binary('1', PLACEHOLDER));
    socket.send(Buffer.from('x'));
    await works(socket);
    await eachCloses(gateway, [binary('2', '{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}')]);
  });

  test('have one placeholder each', async (t) => {
    const of = (num, more = '') => `{"_placeholder":true,"num":${num}${more}}`;
    await eachCloses(await startGateway(t), [
      ...['-1', '1.5', '"0"', '1e9', '1', '0.0', 'null', of('0')].map((num) => binary(1, of(num))),
      binary(1, `${PLACEHOLDER},${PLACEHOLDER}`),
      binary(2, PLACEHOLDER),
      binary(1, '7'),
      binary(1, of('0', ',"more":1')),
      binary(1, '{"_placeholder":true}'),
      `42["x",${PLACEHOLDER}]`,
      `430[${PLACEHOLDER}]`,
    ]);
  });

  test('nothing else comes before they are there, and none without an event', async (t) => {
    const gateway = await startGateway(t);
    const event = binary(1, PLACEHOLDER);
    await eachCloses(gateway, [[event, '42["x"]'], [event, event], [event, '41'], [Buffer.from('x')]]);
    await eachCloses(
      gateway,
      [[event, Buffer.from('x'), Buffer.from('x')]].map((frames) => [...frames]),
    );
  });

  test('have together with their event no more than a payload', async (t) => {
    const gateway = await startGateway(t, { 'socketio.max_payload': '10K' });
    const two = binary(2, '{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}');
    const socket = await connected(gateway);
    for (const frame of [two, Buffer.alloc(5000), Buffer.alloc(5000)]) socket.send(frame);
    await works(socket);
    await eachCloses(gateway, [[two, Buffer.alloc(6000), Buffer.alloc(6000)]]);
  });

  test('that do not come end the session after ten seconds', async (t) => {
    const gateway = await startGateway(t);
    const socket = await connected(gateway);
    const start = Date.now();
    socket.send(binary(1, PLACEHOLDER));
    await socket.closed(20_000);
    assert.ok(Date.now() - start >= 9990, 'not before');
    assert.equal(await gateway.limitHits('socketio_attachments'), 1);
  });
});

describe('revision 4', { concurrency: 4 }, () => {
  for (const revision of [3, 2]) {
    test(`Engine.IO ${revision}: the main namespace is connected by itself`, async (t) => {
      const gateway = await startGateway(t);
      const socket = await session(gateway, { revision });
      assert.equal(await next(socket), '40');
      await works(socket);
      await connect(socket, '40/max?token=x&a=%2C,', /^40\/max,$/);
      socket.send('40/random?a=1');
      assert.equal(await next(socket), '44/random,"Invalid namespace"');
      await works(socket);
    });
  }

  test('what is for a namespace that is not connected is ignored', async (t) => {
    const gateway = await startGateway(t);
    const socket = await session(gateway, { revision: 3 });
    assert.equal(await next(socket), '40');
    for (const packet of ['42/max,["x"]', '41/max', '43/nowhere,0[]', '40', '44"x"', `451-/max,["x",${PLACEHOLDER}]`])
      socket.send(packet);
    socket.send(Buffer.from([4, 1])); /* of the last one */
    await works(socket);
    socket.send('41');
    socket.send('42["x"]');
    socket.send('40/max');
    assert.equal(await next(socket), '40/max,');
  });

  test('what is no packet ends the session', async (t) => {
    const gateway = await startGateway(t);
    for (const packet of ['4abc', '42{}', '42["disconnect"]', '450-["x"]', '42["x",{"a":1,"a":1}]']) {
      const socket = await session(gateway, { revision: 3 });
      assert.equal(await next(socket), '40');
      socket.seen = socket.frames.items.length;
      await closedBy(socket, packet);
    }
  });

  test('text that is not ASCII is escaped', async (t) => {
    const gateway = await startGateway(t);
    const [alice, bob] = [await session(gateway, { revision: 3 }), await session(gateway)];
    assert.equal(await next(alice), '40');
    await connect(bob);
    for (const [socket, name] of [
      [alice, 'ål'],
      [bob, 'bob😀'],
    ]) {
      socket.send(`420["register","${name}"]`);
      await socket.frame((frame) => frame === '430[true]', 'an ack');
    }
    const joined = await alice.frame((frame) => frame.includes('bob'), 'who has joined');
    assert.match(joined, /^42\["message",\{"from":"Server","message":"bob\\ud83d\\ude00 has joined the chat"\}\]$/);
  });
});

describe('polling', { concurrency: 4 }, () => {
  async function poll(gateway) {
    const url = `${gateway.url}/socket.io/?EIO=4&transport=polling`;
    const { sid } = JSON.parse((await (await fetch(url)).text()).slice(1));
    const get = async () => (await fetch(`${url}&sid=${sid}`)).text();
    const post = async (body) => (await fetch(`${url}&sid=${sid}`, { method: 'POST', body })).status;
    const isClosed = async () =>
      ['1', '{"code":1,"message":"Session ID unknown"}'].includes((await get()).split('\x1e').at(-1));
    return { get, post, isClosed };
  }

  test('several packets in one request, and a binary one', async (t) => {
    const gateway = await startGateway(t);
    const session = await poll(gateway);
    const attachment = `b${Buffer.from('x').toString('base64')}`;
    assert.equal(
      await session.post(['40', '421["register",7]', `451-2["register",${PLACEHOLDER}]`, attachment].join('\x1e')),
      200,
    );
    const [hello, ...acks] = (await session.get()).split('\x1e');
    assert.match(hello, /^40\{"sid":/);
    assert.deepEqual(acks, ['431[false]', '432[false]']);
  });

  test('what waits for the next poll is counted', async (t) => {
    const gateway = await startGateway(t);
    const enter = async (name) => {
      const session = await poll(gateway);
      await session.post(['40', `42["register","${name}"]`].join('\x1e'));
      return session;
    };
    const queued = async () => {
      const { sessions } = await (await fetch(`http://${gateway.address('admin')}/sessions?user=alice`)).json();
      return sessions[0]?.queue_bytes;
    };
    const alice = await enter('alice');
    await waitFor(queued, 'something waits for alice');
    const bob = await enter('bob');
    await waitFor(async () => /bob has joined/.test(await bob.get()), 'bob may speak');
    await bob.post(`42["message",{"message":"${'x'.repeat(5000)}"}]`);
    await waitFor(async () => (await queued()) > 5000, 'so does what bob has said');
    assert.match(await alice.get(), /xxx/);
    assert.equal(await queued(), 0);
  });

  test('what ends a session', async (t) => {
    const gateway = await startGateway(t);
    for (const packets of [
      ['4abc'],
      ['42["x"]'],
      ['40', '40'],
      ['40', '42{}'],
      ['40', 'bAA=='],
      ['40', `451-["x",${PLACEHOLDER}]`, '42["x"]'],
    ]) {
      const session = await poll(gateway);
      await session.post(packets.join('\x1e'));
      await waitFor(session.isClosed, `the session is over after ${packets}`);
    }
  });
});
