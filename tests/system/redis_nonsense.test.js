// SPDX-License-Identifier: MIT
// A Redis that talks nonsense, and other programs that write nonsense into it: nereidd does not fall over, keeps its
// memory, says 503 meanwhile, does not knock without pause, and works again with a Redis that makes sense.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { spawn } from 'node:child_process';
import fs from 'node:fs/promises';
import { describe, test } from 'node:test';
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises';

import { ErrorReply, NIL, NIL_ARRAY, Status, encode, startFakeRedis, toEverything } from './lib/fake_redis.js';
import { assertRefusal, complaints, sendAtLast } from './lib/journal.js';
import { meet, startNode, startNodes } from './lib/nodes.js';
import { basic } from './lib/person.js';
import { startRedis } from './lib/redis.js';
import { waitFor, within } from './lib/wait.js';

const HOLD_MS = 1200; // how long nonsense lasts
const CONNECTS_MAX = 30; // in that time
const STEADY_MS = 1050; // after which a connection counts as a good one
const SHAPES = Number(process.env.NONSENSE_SHAPES ?? 7); // of each answer; 0: all
const MEMORY_MAX = (process.env.ASAN_OPTIONS ? 512 : 64) * 1024 * 1024; // a sanitizer keeps what was freed for a while

// The largest amount of memory that a process has ever had, and what it has now.
async function memory(pid) {
  const text = await fs.readFile(`/proc/${pid}/status`, 'utf8');
  const bytes = (name) => Number(new RegExp(`^${name}:\\s*(\\d+) kB$`, 'm').exec(text)[1]) * 1024;
  return { peak: bytes('VmHWM'), now: bytes('VmRSS') };
}

// A node behind a Redis that may lie, and two who talk to each other.
async function startBehindFake(t, options) {
  const redis = await startRedis(t);
  const fake = await startFakeRedis(t, redis);
  const node = await startNode(t, redis, {
    'store.url': fake.url,
    'store.lease': '3s',
    'store.lease_renewal': '1s',
    ...options,
  });
  const [alice, bob] = await meet([node], 'alice', 'bob');
  return { redis, fake, node, alice, bob, thread: await alice.thread('bob') };
}

async function worksAgain({ node, alice, bob, thread }) {
  await node.becomesReady();
  const text = `it works ${randomUUID()}`;
  const stream = await waitFor(() => bob.stream().catch(() => null), 'bob has a stream');
  await sendAtLast(alice, { thread_id: thread, message: text });
  await stream.message(text);
  stream.close();
}

// --- a server that makes no sense at all

const whenAsked = (bytes) => (socket) => socket.on('data', () => socket.write(bytes));

// Without an end: `more()` gives the next piece.
const endless =
  (head, more, pause_ms = 0) =>
  (socket) => {
    const flood = async () => {
      socket.write(head);
      while (!socket.destroyed) {
        if (!socket.write(more())) await new Promise((go) => socket.once('drain', go).once('close', go));
        await (pause_ms ? sleep(pause_ms) : nextTurn());
      }
    };
    socket.once('data', flood);
  };

function noise(length) {
  const bytes = Buffer.alloc(length);
  for (let i = 0, state = 1; i < length; i++) bytes[i] = (state = (state * 48271) % 2147483647) >> 8;
  return bytes;
}

const nonsense = [
  ['closes at once', (socket) => socket.destroy()],
  ['closes when it is spoken to', (socket) => socket.on('data', () => socket.end())],
  ['answers nothing at all', () => {}],
  ['answers before it is asked', (socket) => socket.write('+OK\r\n')],
  ['answers everything twice', toEverything('+OK\r\n+OK\r\n')],
  ['publishes without a subscription', whenAsked(encode(['message', 'chat:events', '{}']))],
  ['confirms a subscription to something else', toEverything(encode(['subscribe', 'other', 1]))],
  ['announces a thousand million elements', whenAsked('*1000000000\r\n')],
  ['announces a bulk of 2 GB', whenAsked('$2147483647\r\n')],
  ['announces a bulk of 9 EB', whenAsked('$9223372036854775807\r\n')],
  ['announces less than nothing', whenAsked('*-2147483648\r\n$-7\r\n')],
  ['nests nine deep', whenAsked(`${'*1\r\n'.repeat(9)}:1\r\n`)],
  ['nests a thousand deep', whenAsked(`${'*1\r\n'.repeat(1000)}:1\r\n`)],
  ['answers of an unknown type', whenAsked('!3\r\nabc\r\n')],
  ['answers in RESP 3', whenAsked('%1\r\n+a\r\n#t\r\n')],
  ['gives lengths that are no numbers', whenAsked('*x\r\n$y\r\n')],
  ['gives a number beyond 64 bits', whenAsked(':99999999999999999999999999\r\n')],
  ['speaks HTTP', whenAsked('HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n')],
  ['makes noise', whenAsked(noise(4096))],
  ['sends a bulk that never ends', endless('$536870912\r\n', () => Buffer.alloc(65536, 'x'))],
  ['sends a bulk that never ends, slowly', endless('$536870912\r\n', () => 'x', 20)],
  ['sends a line that never ends', endless('+', () => Buffer.alloc(65536, 'x'))],
  ['sends an array that never ends', endless('*1000000\r\n', () => ':1\r\n'.repeat(16384))],
  ['sends arrays of arrays that never end', endless('*1000000\r\n', () => `*1000\r\n${'*1\r\n$-1\r\n'.repeat(1000)}`)],
  ['says OK to everything', toEverything('+OK\r\n')],
  ['says 1 to everything', toEverything(':1\r\n')],
  ['says nil to everything', toEverything('$-1\r\n')],
  ['says a nil array to everything', toEverything('*-1\r\n')],
  ['says an empty array to everything', toEverything('*0\r\n')],
  ['says an empty text to everything', toEverything('$0\r\n\r\n')],
  ['says an error without a word to everything', toEverything('-\r\n')],
  ['knows no command', toEverything("-ERR unknown command 'EVALSHA'\r\n")],
  ['is a cluster', toEverything('-MOVED 1 127.0.0.1:1\r\n')],
  ['has too many clients', (socket) => socket.end('-ERR max number of clients reached\r\n')],
  ['is protected', (socket) => socket.end('-DENIED Redis is running in protected mode\r\n')],
];

describe('a Redis that', { concurrency: 8 }, () => {
  for (const [what, play] of nonsense) {
    test(`${what} is unavailable, and does no harm`, async (t) => {
      const { fake, node, alice, bob, thread } = await startBehindFake(t);
      const stream = await bob.stream();
      await alice.say(thread, 'before');
      const { now: before } = await memory(node.pid);
      const began = Date.now();

      fake.plays(play);
      await waitFor(async () => !(await node.ready()), '/readyz fails');
      const json = { thread_id: thread, message: 'meanwhile' };
      for (const answer of [await alice.post('/token'), await alice.request('POST', '/send-message', { json })]) {
        assertRefusal(answer, 'a request');
      }
      await sleep(HOLD_MS);
      assert.ok(node.running);
      assert.equal((await node.admin('/healthz')).status, 200);
      const connects = fake.connectsSince(began);
      assert.ok(connects <= CONNECTS_MAX, `${connects} connections in ${Date.now() - began} ms`);

      fake.isHonest();
      await node.becomesReady();
      await sendAtLast(alice, { thread_id: thread, message: 'after' });
      await stream.message('after');
      assert.deepEqual(stream.texts, ['before', 'after'], 'the stream has stayed');
      const { peak } = await memory(node.pid);
      assert.ok(peak - before < MEMORY_MAX, `memory grew by ${(peak - before) >> 20} MB`);
      assert.ok(complaints(node, 0).length <= 12, complaints(node, 0).join('\n'));
    });
  }

  test('closes at once is tried again after longer and longer pauses', async (t) => {
    const { fake, node } = await startBehindFake(t);
    const began = Date.now();
    fake.plays((socket) => socket.destroy());
    await sleep(8000);
    const attempts = fake.connects.filter((at) => at >= began);
    const pauses = attempts.slice(1).map((at, i) => at - attempts[i]);
    assert.ok(attempts.length >= 4 && attempts.length <= 24, `after ${pauses} ms`);
    assert.ok(Math.max(...pauses) > 800 && Math.max(...pauses) <= 5500, `after ${pauses} ms`);
    fake.isHonest();
    await node.becomesReady();
  });

  /* Whether the first bytes are written before or after the other side has closed is a matter of microseconds. */
  test('closes at once does no harm to any of ten nodes', async (t) => {
    const redis = await startRedis(t);
    const fake = await startFakeRedis(t, redis);
    const nodes = await startNodes(t, redis, 10, { 'store.url': fake.url });
    fake.plays((socket) => socket.destroy());
    await sleep(1000 + HOLD_MS);
    for (const node of nodes) assert.ok(node.running, node.stderr);
    fake.isHonest();
    for (const node of nodes) await node.becomesReady();
  });

  test('is loading is waited for', async (t) => {
    const parts = await startBehindFake(t);
    const loading = encode(new ErrorReply('LOADING Redis is loading the dataset in memory'));
    parts.fake.plays(toEverything(loading));
    await waitFor(async () => /loading/i.test((await parts.node.admin('/readyz')).body), '/readyz tells the reason');
    await sleep(2000);
    assert.equal((await parts.alice.post('/token')).status, 503);
    parts.fake.isHonest();
    await worksAgain(parts);
  });
});

// --- a server that makes sense but for one answer

// What a service pushes to the clients of Socket.IO, of which there is none: through Redis, and by the node.
async function push(redis, node) {
  await redis.cli('PUBLISH', 'socket.io#/#', 'x');
  await fetch(`${node.adminUrl}/emit`, { method: 'POST', body: '{"event":"x"}' });
}

// All that people do; each answer is right or, while Redis lies, "not now".
async function liveADay({ kind, redis, node, alice, bob, thread }) {
  const good = [200, 204, 503];
  if (kind === 'thread_get') good.push(404); /* for a thread whose record has not been understood */
  const ask = async (person, method, route, options) => {
    const answer = await person.request(method, route, options);
    assert.ok(good.includes(answer.status), `${method} ${route}: ${answer.status} ${answer.text}`);
    return answer.body ?? {};
  };
  const stranger = node.person(`guest-${randomUUID().slice(0, 8)}`);
  await ask(stranger, 'GET', '/poll', { query: { wait: 0 } });
  await ask(bob, 'GET', '/poll', { query: { since: 0, wait: 0 } });
  const { token } = await ask(alice, 'POST', '/token');
  if (token) {
    await ask(alice, 'GET', `/poll/${token}`, { query: { wait: 0 } });
    await ask(alice, 'DELETE', `/token/${token}`);
  }
  await push(redis, node);
  await ask(alice, 'POST', '/presence', { form: { show: 'away', status: randomUUID() } });
  const { thread_id: room } = await ask(alice, 'POST', '/start-session', { form: { room: `room-${stranger.name}` } });
  if (room) {
    const members = `/threads/${room}/members`;
    const { members: list } = await ask(alice, 'POST', members, { form: { user: 'bob' } });
    if (list) await ask(alice, 'DELETE', `${members}/bob`);
  }
  await ask(alice, 'POST', '/send-message', { json: { thread_id: thread, message: 'm' } });
  await ask(bob, 'GET', `/history/${thread}`);
  await ask(bob, 'GET', '/threads');
}

// What is asked at the start only, at each connect, and by all that (or as time goes by).
const AT_START = ['users_list'];
const AT_CONNECTING = ['SELECT', 'ROLE', 'SCRIPT LOAD append', 'SUBSCRIBE', 'PSUBSCRIBE', 'load', 'join', 'changes'];
const IN_USE = (
  'user_put presence_put lease pulse thread_open thread_get member_add member_remove threads_of append history ' +
  'replay token_get token_delete tokens_check retain SET XREAD PUBLISH published heard'
).split(' ');

// Gives occasion until the lie has been told.
async function provoke(kind, parts, isTold) {
  const { fake, node } = parts;
  const end = Date.now() + 10_000;
  while (!isTold()) {
    assert.ok(Date.now() < end, `nobody asks ${kind}; asked are ${[...fake.kinds]}`);
    if (AT_START.includes(kind)) await node.restart();
    else if (AT_CONNECTING.includes(kind)) fake.cut();
    else await liveADay({ kind, ...parts });
    if (!IN_USE.includes(kind)) await waitFor(async () => isTold() || (await node.ready()), 'it connects again');
  }
}

// Connections that are lost right after they were made are made again less and less often: this is not what these tests
// are about, so they wait.
async function becomesSteady(node) {
  await node.becomesReady();
  await sleep(STEADY_MS);
}

const eachLeaf = (value, change) => (Array.isArray(value) ? value.map((one) => eachLeaf(one, change)) : change(value));
const eachArray = (value, change) =>
  Array.isArray(value) ? change(value.map((one) => eachArray(one, change))) : value;

const shapes = [
  ['a number', () => 1],
  ['nil', () => NIL],
  ['a nil array', () => NIL_ARRAY],
  ['an empty array', () => []],
  ['an array of nil', () => [NIL]],
  ['an array of arrays', () => [[[]], [[]], [[]]]],
  ['a text', () => 'text'],
  ['a strange word', () => new Status('strange_word')],
  ['an error', () => new ErrorReply('ERR nonsense')],
  ['one element less everywhere', (value) => eachArray(value, (array) => array.slice(0, -1))],
  ['one element more everywhere', (value) => eachArray(value, (array) => [...array, 'more'])],
  ['nil for each element', (value) => eachLeaf(value, () => NIL)],
  ['a number for each element', (value) => eachLeaf(value, () => 7)],
  ['an array for each element', (value) => eachLeaf(value, () => ['x'])],
  ['a long text for each element', (value) => eachLeaf(value, () => 'x'.repeat(100_000))],
  ['no UTF-8 for each element', (value) => eachLeaf(value, () => Buffer.from([0xff, 0xfe, 0]))],
  ['an empty text for each element', (value) => eachLeaf(value, () => '')],
];

// Some of the shapes for each kind of answer, and all of them for some.
const shapesFor = (i) =>
  SHAPES ? Array.from({ length: SHAPES }, (_, k) => shapes[(i * 5 + k) % shapes.length]) : shapes;

describe('an answer of a strange shape', { concurrency: 10 }, () => {
  for (const [i, kind] of [...AT_START, ...AT_CONNECTING, ...IN_USE].entries()) {
    test(`to ${kind} is refused, and does no harm`, async (t) => {
      const parts = await startBehindFake(t, { 'store.retention_count': 100 });
      const { fake, node, alice } = parts;
      const held = await alice.tokenHolder();
      if (!AT_START.includes(kind)) await held.stream(); /* so that there are leases and tokens to look after */
      for (const [what, change] of shapesFor(i)) {
        const connects = fake.connects.length;
        const isTold = fake.liesOnce(kind, (value) => encode(change(value)));
        await provoke(kind, parts, isTold);
        fake.isHonest();
        assert.ok(node.running, what);
        await node.becomesReady().catch((error) => {
          error.message += ` after ${what}`;
          throw error;
        });
        if (fake.connects.length > connects) await becomesSteady(node);
      }
      await worksAgain(parts);
    });
  }
});

describe('an answer that', { concurrency: 10 }, () => {
  const errors = [
    'LOADING Redis is loading the dataset in memory',
    'MOVED 1 127.0.0.1:1',
    'BUSY Redis is busy running a script.',
    "OOM command not allowed when used memory > 'maxmemory'.",
    'MISCONF Redis is configured to save RDB snapshots',
    'NOPERM this user has no permissions',
    'WRONGTYPE Operation against a key holding the wrong kind of value',
    "READONLY You can't write against a read only replica.",
    'NOSCRIPT No matching script. Please use EVAL.',
    'CLUSTERDOWN The cluster is down',
    'MASTERDOWN Link with MASTER is down',
    'NOREPLICAS Not enough good replicas',
    'ERR value is not an integer or out of range',
    'NOAUTH Authentication required.',
    'UNHEARDOF %s%n%n',
    '',
  ];
  test('is an error, whichever, is 503 for that send and passes', async (t) => {
    const { fake, node, alice, bob, thread } = await startBehindFake(t);
    const stream = await bob.stream();
    for (const [i, text] of errors.entries()) {
      await becomesSteady(node);
      const isTold = fake.liesOnce('append', () => encode(new ErrorReply(text)));
      const message = { id: randomUUID(), thread_id: thread, message: `message ${i}` };
      const answer = await alice.request('POST', '/send-message', { json: message });
      assert.ok(isTold());
      assertRefusal(answer, text);
      await sendAtLast(alice, message);
      await stream.message(`message ${i}`);
    }
    assert.deepEqual(
      stream.texts,
      errors.map((_, i) => `message ${i}`),
      'each once',
    );
  });

  // So many bytes apart, from the first of them on.
  const cuts = [
    ...Array.from({ length: 6 }, (_, first) => ['append', 6, first]),
    ['XREAD', 23, 0],
    ['XREAD', 23, 11],
    ['published', 17, 0],
    ['PUBLISH', 4, 0],
    ['heard', 17, 0],
  ];
  for (const [kind, step, first] of cuts) {
    test(`is cut off, at byte ${first}, ${first + step}, … of one to ${kind}, is asked for again`, async (t) => {
      const { redis, fake, node, alice, bob, thread } = await startBehindFake(t);
      const stream = await bob.stream();
      let length = Infinity;
      let sent = 0;
      for (let at = first; at < length; at += step) {
        await becomesSteady(node);
        const isTold = fake.liesOnce(kind, (value, bytes, socket) => {
          length = bytes.length;
          socket.end(bytes.subarray(0, at));
          return null;
        });
        while (!isTold()) {
          await push(redis, node);
          await alice.post('/presence', { show: sent % 2 ? 'chat' : 'dnd' });
          await sendAtLast(alice, { thread_id: thread, message: `message ${sent++}` });
        }
      }
      fake.isHonest();
      await stream.message(`message ${sent - 1}`);
      assert.deepEqual(
        stream.texts,
        Array.from({ length: sent }, (_, i) => `message ${i}`),
        'each once, in order',
      );
    });
  }

  for (const kind of ['append', 'pulse', 'XREAD', 'published', 'heard']) {
    test(`is right (to ${kind}), but followed by one that nobody asked for, ends no more than the connection`, async (t) => {
      const { redis, fake, node, alice, bob, thread } = await startBehindFake(t);
      const stream = await bob.stream();
      for (const [i, extra] of ['+OK\r\n', ':1\r\n', '*0\r\n', '-ERR nonsense\r\n'].entries()) {
        await becomesSteady(node);
        const isTold = fake.liesOnce(kind, (value, bytes) => Buffer.concat([bytes, Buffer.from(extra)]));
        await push(redis, node);
        await alice.post('/presence', { show: i % 2 ? 'chat' : 'dnd' });
        await sendAtLast(alice, { thread_id: thread, message: `message ${i}` });
        await waitFor(isTold, `an answer to ${kind}`);
      }
      fake.isHonest();
      await sendAtLast(alice, { thread_id: thread, message: 'after' });
      await stream.message('after');
      const texts = ['message 0', 'message 1', 'message 2', 'message 3', 'after'];
      assert.deepEqual(stream.texts, texts, 'each once, in order');
    });
  }

  test('is lost on the way, as all others are, is 503; what was done is not done again', async (t) => {
    const { fake, node, alice, bob, thread } = await startBehindFake(t);
    const stream = await bob.stream();
    const message = { id: randomUUID(), thread_id: thread, message: 'once' };
    fake.lies(() => null);
    const sending = alice.request('POST', '/send-message', { json: message });
    assertRefusal(await within(sending, 'a send is answered'), 'a send');
    await waitFor(async () => !(await node.ready()), '/readyz fails');
    fake.isHonest();
    await sendAtLast(alice, message);
    await sendAtLast(alice, { thread_id: thread, message: 'after' });
    await stream.message('after');
    assert.deepEqual(stream.texts, ['once', 'after']);
    assert.equal(stream.stanzas.ended, false, 'the stream has stayed');
  });

  test('comes late, as all others do, is waited for until the deadline', async (t) => {
    const parts = await startBehindFake(t, { 'store.deadline': '1s' });
    const { fake, node, alice } = parts;
    const delay = (ms) => (kind, value, bytes, socket) => {
      setTimeout(() => socket.write(bytes), ms);
      return null;
    };
    fake.lies(delay(200));
    fake.cut();
    await waitFor(() => node.ready(), 'it connects again');
    await liveADay(parts);
    fake.lies(delay(1500));
    assert.equal((await alice.post('/token')).status, 503, 'later than the deadline is too late');
    fake.isHonest();
    await worksAgain(parts);
  });

  test('should be the record of a new thread, but is none, is asked for again: messages come', async (t) => {
    const { redis, fake, node, bob } = await startBehindFake(t);
    const other = await startNode(t, redis);
    const [alice, ...thirds] = await meet([other, node], 'alice', 'carol', 'dave', 'eve', 'frank');
    const stream = await bob.stream();
    const lies = [new ErrorReply('BUSY Redis is busy running a script.'), new ErrorReply('LOADING'), 7, NIL];
    for (const [i, lie] of lies.entries()) {
      await becomesSteady(node);
      const isTold = fake.liesOnce('thread_get', () => encode(lie));
      const thread = await alice.thread('bob', thirds[i].name);
      await alice.say(thread, `hello ${i}`);
      await stream.message(`hello ${i}`);
      assert.ok(isTold());
    }
  });

  test('comes byte by byte, as all others do, is understood', async (t) => {
    const parts = await startBehindFake(t);
    const queues = new Map();
    const trickle = async (socket, bytes) => {
      for (const byte of bytes) {
        socket.write(Buffer.from([byte]));
        await nextTurn();
      }
    };
    parts.fake.lies((kind, value, bytes, socket) => {
      const before = queues.get(socket) ?? Promise.resolve();
      const after = before.then(() => trickle(socket, bytes));
      queues.set(socket, after);
      return null;
    });
    parts.fake.cut();
    await parts.node.becomesReady();
    for (let i = 0; i < 3; i++) await liveADay(parts);
    await worksAgain(parts);
  });
});

// --- other programs that write into our keys

// A program that calls Redis with Lua, where \255 is a byte.
const writes = (redis, code) => redis.cli('EVAL', code, 0);

const field = (text) => (text.startsWith('=') ? text.slice(1) : `'${text}'`);

// An entry of the log, as lists of names and values; a value that begins with = is an expression of Lua.
function adds(redis, fields) {
  return writes(
    redis,
    `return redis.call('XADD', 'chat:log', '*', ${Object.entries(fields).flat().map(field).join(', ')})`,
  );
}

describe('what another program writes', { concurrency: 3 }, () => {
  test('into the log is passed over where it is nonsense, with a line in our log', async (t) => {
    const redis = await startRedis(t);
    const nodes = await startNodes(t, redis, 2);
    const [alice, bobHere] = await meet(nodes, 'alice', 'bob');
    const bob = bobHere.at(nodes[1]);
    const thread = await alice.thread('bob');
    const streams = [await bob.stream(), await alice.stream()];
    const good = {
      id: randomUUID(),
      thread,
      user: 'alice',
      name: 'Alice',
      type: 'plain',
      time: '1795230000000000',
      text: 'hostile',
    };
    const without = (name) => Object.fromEntries(Object.entries(good).filter(([key]) => key !== name));
    const hostile = [
      { foo: 'bar' },
      { '': '' },
      { id: 'x' },
      { thread: 'x' },
      { thread: '' },
      { thread: randomUUID() },
      { thread: randomUUID(), left: "=string.rep('x', 100000)" },
      { thread, left: "='\\255'" },
      { ...good, id: 'not-a-uuid' },
      { ...good, id: `${randomUUID()}0` },
      { ...good, thread: 'not-a-uuid' },
      { ...good, thread: randomUUID() },
      ...['thread', 'user', 'type', 'time', 'text'].map(without),
      { ...good, text: "='\\255\\254'" },
      { ...good, user: "='\\255'" },
      { ...good, user: '' },
      { ...good, user: "='a\\nb'" },
      { ...good, user: "=string.rep('x', 100000)" },
      { ...good, name: "='\\237\\160\\128'" },
      { ...good, type: "='\\255'" },
      { ...good, subject: "='\\255'" },
      { ...good, language: "='\\255'" },
      { ...good, time: 'yesterday' },
      { ...good, time: '99999999999999999999999' },
      { ...good, time: '-1x' },
      { ...good, attachments: 'no JSON' },
      { ...good, attachments: '{' },
      { ...good, attachments: "=string.rep('[', 100000)" },
      { ...good, attachments: '[\\255]' },
      { ...good, text: "=string.rep('\\255', 8000000)" },
    ];
    await alice.say(thread, 'before');
    const marks = nodes.map(({ stderr }) => stderr.length);
    for (const [i, fields] of hostile.entries()) {
      const own = { id: randomUUID(), text: `hostile ${i}` }; /* of its own, where that is not what is wrong with it */
      await adds(
        redis,
        Object.fromEntries(Object.entries(fields).map(([k, v]) => [k, v === good[k] ? (own[k] ?? v) : v])),
      );
      if (i % 8 === 0) await alice.say(thread, `between ${i}`);
    }
    await writes(
      redis,
      "local f = {} for i = 1, 4000 do f[i] = 'x' end return redis.call('XADD', 'chat:log', '*', unpack(f))",
    );
    await alice.say(thread, 'after');
    for (const stream of streams) {
      await stream.message('after');
      const texts = stream.texts.filter((text) => !text.startsWith('between'));
      assert.deepEqual(texts, ['before', 'after'], 'nothing of it is delivered');
    }
    for (const [i, node] of nodes.entries()) {
      const lines = complaints(node, marks[i]);
      assert.ok(lines.length >= 1, 'it is told');
      for (const line of lines) assert.ok(line.length < 1000, 'in a short line');
      await node.becomesReady();
    }

    const late = await startNode(t, redis);
    const again = await bob.at(late).stream({ since: 0 });
    await again.message('after');
    const history = await bob.at(late).history(thread);
    assert.deepEqual(
      again.texts,
      history.messages.map(({ message }) => message.text),
      'and a node that comes later reads over it, too',
    );
  });

  test('into the log does not stand in the way of a node that connects again', async (t) => {
    const redis = await startRedis(t);
    const node = await startNode(t, redis);
    const [alice, bob] = await meet([node], 'alice', 'bob');
    const stream = await bob.stream();
    await alice.send({ to: 'bob', message: 'before' });
    await stream.message('before');
    await redis.cli('XADD', 'chat:log', '*', 'foo', 'bar');
    for (const type of ['normal', 'pubsub']) await redis.cli('CLIENT', 'KILL', 'TYPE', type);
    await sendAtLast(alice, { to: 'bob', message: 'after' });
    await stream.message('after');
    assert.deepEqual(stream.texts, ['before', 'after']);
  });

  test('on the channel of events is passed over where it is nonsense', async (t) => {
    const redis = await startRedis(t);
    const nodes = await startNodes(t, redis, 2);
    const [alice, bobHere] = await meet(nodes, 'alice', 'bob');
    const bob = bobHere.at(nodes[1]);
    const token = await bob.tokenHolder();
    const held = await token.stream();
    const stream = await alice.stream();
    const user = {
      kind: 'user',
      previous: '1',
      version: '2',
      id: 'bob',
      name: 'Bob',
      show: 'chat',
      status: '',
      available: true,
    };
    const events = [
      '',
      ' ',
      '{',
      '[]',
      'null',
      '1',
      '"user"',
      '{}',
      '[{"kind":"user"}]',
      'x'.repeat(100_000),
      '['.repeat(100_000),
      '{"kind":"user"}',
      '{"kind":1}',
      '{"kind":null}',
      '{"kind":"unheard-of"}',
      '{"kind":"user","kind":"token"}',
      '{"kind":"token"}',
      '{"kind":"token","token":1}',
      '{"kind":"token","token":"x"}',
      `{"kind":"token","token":"${randomUUID()}"}`,
      ...[
        { version: 'x' },
        { version: 5 },
        { version: '-1' },
        { version: '9223372036854775807' },
        { version: '9'.repeat(40) },
        { version: null },
        { previous: null },
        { previous: {} },
        { previous: '9223372036854775807' },
        { id: '' },
        { id: 7 },
        { id: 'x'.repeat(5000) },
        { id: 'a\nb' },
        { name: 'x'.repeat(100_000) },
        { name: 3 },
        { show: 'loud' },
        { show: null },
        { status: [] },
        { status: 'x'.repeat(100_000) },
        { available: 'yes' },
        { available: null },
      ].map((flaw) => JSON.stringify({ ...user, ...flaw })),
    ];
    const before = await memory(nodes[0].pid);
    for (const [i, event] of events.entries()) {
      await redis.cli('PUBLISH', 'chat:events', event);
      if (i % 6) continue;
      await waitFor(
        async () => (await bob.post('/presence', { show: 'dnd', status: `${i}` })).status === 200,
        'bob is dnd',
      );
      await stream.presence('bob', ({ status }) => status === `${i}`);
    }
    for (const text of ['\\255', '{"kind":"user","id":"\\255"}', '{"kind":"\\0"}'])
      await writes(redis, `return redis.call('PUBLISH', 'chat:events', '${text}')`);
    /* Worse: what seems to be the next event in the row. */
    for (const flaw of [
      { id: 'a\nb' },
      { id: '' },
      { show: 'loud' },
      { name: 7 },
      { status: null },
      { version: '1' },
    ]) {
      const previous = await redis.cli('HGET', 'chat:state', 'version');
      const next = { ...user, previous, version: `${BigInt(previous) + 1n}`, ...flaw };
      await redis.cli('PUBLISH', 'chat:events', JSON.stringify(next));
    }
    await bob.setPresence({ show: 'chat', status: 'the last' });
    await stream.presence('bob', ({ status }) => status === 'the last');
    const ids = stream.stanzas.items
      .filter(({ type }) => type === 'presence')
      .flatMap(({ presence }) => presence.map(({ id }) => id));
    assert.deepEqual([...new Set(ids)].sort(), ['alice', 'bob'], 'nobody else has appeared');
    assert.equal(held.stanzas.ended, false, 'and no token has ended');
    for (const node of nodes) assert.ok(complaints(node, 0).length < 100, 'no flood');
    const after = await memory(nodes[0].pid);
    assert.ok(after.peak - before.now < MEMORY_MAX);
  });

  test('about who is there does not keep nodes from starting, or others from coming and going', async (t) => {
    const redis = await startRedis(t);
    const options = { 'store.lease': '3s', 'store.lease_renewal': '1s', 'presence.grace': '0' };
    const node = await startNode(t, redis, options);
    const [alice, bob] = await meet([node], 'alice', 'bob');
    const record = "'name', '', 'show', 'chat', 'status', '', 'available', '0', 'version', '5'";
    for (const code of [
      "redis.call('ZADD', 'chat:users', 0, 'ghost')",
      "redis.call('ZADD', 'chat:users', 0, '')",
      "redis.call('ZADD', 'chat:users', 0, '\\255')",
      "redis.call('ZADD', 'chat:users', 0, 'a\\nb')",
      "redis.call('ZADD', 'chat:users', 0, string.rep('x', 5000))",
      `redis.call('HSET', 'chat:user:\\255', ${record})`,
      `redis.call('HSET', 'chat:user:a\\nb', ${record})`,
      "redis.call('ZADD', 'chat:users', 0, 'loud')",
      "redis.call('HSET', 'chat:user:loud', 'show', 'loud', 'version', 'x')",
      "redis.call('ZADD', 'chat:users', 0, 'odd')",
      "redis.call('HSET', 'chat:user:odd', 'name', '\\255', 'version', '-5')",
      "redis.call('ZADD', 'chat:nodes', '-inf', 'x', '+inf', 'y', 0, '', 0, '\\255')",
      "redis.call('SADD', 'chat:node:x', 'alice', 'nobody', '', '\\255')",
      "redis.call('SADD', 'chat:here:nobody', 'x', 'y')",
      "redis.call('RPUSH', 'chat:dead', 'nonsense', '', '\\255')",
    ]) {
      await writes(redis, code);
    }
    const second = await startNode(t, redis, options);
    const stream = await alice.stream();
    for (let i = 0; i < 3; i++) {
      const bobs = await bob.at(second).stream();
      await stream.presence('bob', ({ available }) => available);
      bobs.close();
      await stream.presence('bob', ({ available }) => !available);
    }
    await bob.stream();
    const friends = (await alice.at(second).friends()).map(({ id }) => id);
    assert.ok(friends.includes('bob'));
    assert.ok(!friends.includes('') && !friends.includes('a\nb'));
    for (const one of [node, second]) await one.becomesReady();
    assert.ok(complaints(node, 0).length < 50, 'no flood');
  });

  test('in masses (20,000 events, 5,000 entries) floods neither clients nor our log, and chat goes on', async (t) => {
    const redis = await startRedis(t);
    const node = await startNode(t, redis);
    const [alice, bob] = await meet([node], 'alice', 'bob');
    const thread = await alice.thread('bob');
    const stream = await bob.stream();
    const before = await memory(node.pid);
    for (let i = 0; i < 5; i++) {
      for (const call of ["'PUBLISH', 'chat:events', '{'", "'XADD', 'chat:log', '*', 'foo', 'bar'"]) {
        const times = call.includes('XADD') ? 1000 : 4000;
        await writes(redis, `for i = 1, ${times} do redis.call(${call}) end`);
      }
      await sendAtLast(alice, { thread_id: thread, message: `message ${i}` });
      await stream.message(`message ${i}`);
    }
    await node.becomesReady();
    const after = await memory(node.pid);
    assert.ok(after.peak - before.now < MEMORY_MAX);
    const lines = complaints(node, 0);
    assert.ok(lines.length >= 1 && lines.length < 100, `${lines.length} lines`);
  });

  const poisons = [
    ['a member without a place', (redis, id) => redis.cli('HSET', `chat:members:${id}`, 'eve', 'nonsense')],
    ['a member since never', (redis, id) => redis.cli('HSET', `chat:members:${id}`, 'eve', '7 guest 1-2-3')],
    ['a member nobody knows', (redis, id) => redis.cli('HSET', `chat:members:${id}`, 'nobody', '7 guest 0')],
    ['a user without a record', (redis) => redis.cli('DEL', 'chat:user:bob')],
    ['a user of another type', (redis) => redis.cli('SET', 'chat:user:bob', 'x')],
    ['a user with a strange record', (redis) => redis.cli('HSET', 'chat:user:bob', 'show', 'loud', 'version', 'x')],
    ['members of another type', (redis, id) => redis.cli('SET', `chat:members:${id}`, 'x')],
    ['a thread of another type', (redis, id) => redis.cli('SET', `chat:thread:${id}`, 'x')],
    ['a history of another type', (redis, id) => redis.cli('SET', `chat:history:${id}`, 'x')],
    ['a history that names what is not there', (redis, id) => redis.cli('XADD', `chat:history:${id}`, '*', 'x', 'y')],
  ];
  for (const [what, poison] of poisons) {
    test(`into one thread (${what}) does no harm to others`, async (t) => {
      const redis = await startRedis(t);
      const node = await startNode(t, redis);
      const [alice, bob, carol] = await meet([node], 'alice', 'bob', 'carol');
      const poisoned = await alice.thread('bob');
      const sound = await alice.thread('carol');
      const stream = await carol.stream();
      await poison(redis, poisoned);
      await redis.cli('XADD', 'chat:log', '*', 'thread', poisoned); /* all nodes read it anew */
      for (let i = 0; i < 3; i++) {
        for (const person of [alice, bob]) await person.get('/threads');
        await alice.post(`/threads/${poisoned}/members`, { user: 'carol' });
        await bob.get(`/history/${poisoned}`);
        await sendAtLast(alice, { thread_id: sound, message: `message ${i}` });
        await stream.message(`message ${i}`);
      }
      const { messages } = await carol.history(sound);
      assert.deepEqual(
        messages.map(({ message }) => message.text),
        ['message 0', 'message 1', 'message 2'],
      );
      await node.becomesReady();
      assert.ok(complaints(node, 0).length < 20, 'no flood');
    });
  }
});

// --- clients that hope to be taken for Redis commands

// What the server sees, by plain redis-cli; lines as { lua, words as they are quoted }.
async function monitor(t, redis) {
  const child = spawn('redis-cli', ['-s', redis.socket, 'MONITOR'], { stdio: ['ignore', 'pipe', 'inherit'] });
  t.after(() => child.kill('SIGKILL'));
  const seen = { text: '' };
  child.stdout.setEncoding('utf8').on('data', (text) => (seen.text += text));
  await waitFor(() => seen.text.startsWith('OK'), 'redis-cli monitors');
  return {
    commands() {
      const lines = seen.text.split('\n').slice(1, -1);
      return lines.map((line) => {
        const [, source, rest] = /^[\d.]+ \[\d+ ([^\]]*)\] (.*)$/.exec(line) ?? assert.fail(`not a command: ${line}`);
        return { lua: source === 'lua', words: rest.match(/"(\\.|[^"\\])*"/g).map((word) => word.slice(1, -1)) };
      });
    },
  };
}

describe('clients', () => {
  test('cannot make one command into two, or into another one', async (t) => {
    const redis = await startRedis(t);
    const node = await startNode(t, redis);
    const [alice] = await meet([node], 'alice', 'bob');
    const thread = await alice.thread('bob');
    await redis.cli('SET', 'canary', 'alive');
    const seen = await monitor(t, redis);
    const evil = [
      '\r\nFLUSHALL\r\n',
      '\r\n*1\r\n$8\r\nFLUSHALL\r\n',
      '*1\r\n$8\r\nFLUSHALL',
      'a\0b',
      '\0',
      '%b',
      '%s%n%s',
      '%%',
      '$8',
      '"',
      "'); redis.call('FLUSHALL') --",
      ']]; redis.call("FLUSHALL") --',
      '" FLUSHALL "',
      'chat:log',
      '*',
      '[a-z]?',
      '{x}',
      ' ',
      '',
    ];
    const answers = [];
    const asks = async (what, person, method, route, options) => {
      const answer = await person.request(method, route, options);
      answers.push(`${what}: ${answer.status}`);
      assert.ok(
        [200, 204, 400, 401, 403, 404, 405, 409].includes(answer.status),
        `${what}: ${answer.status} ${answer.text}`,
      );
      return answer;
    };
    let literal = 0;
    for (const [i, text] of evil.entries()) {
      const what = JSON.stringify(text);
      const mark = `mark-${i}-${randomUUID()}`;
      await asks(`user ${what}`, node.person('x', { authorization: basic(`u${i}${text}`) }), 'GET', '/get-friends');
      await asks(`token ${what}`, alice, 'GET', `/stream/${encodeURIComponent(text) || '%00'}`);
      await asks(`token at the end ${what}`, alice, 'GET', `/poll/${randomUUID()}${encodeURIComponent(text) || '%00'}`);
      await asks(`history ${what}`, alice, 'GET', `/history/${encodeURIComponent(text) || '%00'}`);
      await asks(`since ${what}`, alice, 'GET', '/poll', { query: { since: `1${text}x`, wait: 0 } });
      await asks(`room ${what}`, alice, 'POST', '/start-session', { form: { room: `r${i}${text}` } });
      await asks(`talk to ${what}`, alice, 'POST', '/start-session', { form: { user: `n${i}${text}` } });
      await asks(`status ${what}`, alice, 'POST', '/presence', { form: { show: 'chat', status: text } });
      await asks(`member ${what}`, alice, 'DELETE', `/threads/${thread}/members/${encodeURIComponent(text) || '%00'}`);
      await asks(`id ${what}`, alice, 'POST', '/send-message', {
        json: { thread_id: thread, message: 'm', id: `x${text}` },
      });
      const fields = { thread_id: thread, message: `${text}${mark}` };
      const sent = await asks(`text ${what}`, alice, 'POST', '/send-message', { json: fields });
      if (sent.status !== 200) continue;
      literal++;
      const isOurs = ({ lua, words }) => !lua && words.some((word) => word.includes(mark));
      const commands = await waitFor(() => {
        const found = seen.commands().filter(isOurs);
        return found.length && found;
      }, 'the command is seen');
      assert.deepEqual(
        commands.map(({ words }) => words[0].toUpperCase()),
        ['EVALSHA'],
        `${what} is one command`,
      );
      const { messages } = await alice.history(thread, { limit: 1 });
      assert.equal(messages[0].message.text, `${text}${mark}`, 'and is kept as it is');
    }
    assert.ok(literal >= 10, `texts are taken literally:\n${answers.join('\n')}`);
    const verbs = new Set(seen.commands().map(({ words }) => words[0].toUpperCase()));
    const mine = new Set(['GET', 'SET', 'PING', 'HELLO', 'COMMAND']);
    for (const verb of verbs) assert.doesNotMatch(verb, /FLUSHALL|EVAL$|CONFIG|KEYS|SCAN/, [...verbs].join(' '));
    t.diagnostic(`commands seen: ${[...verbs].filter((verb) => !mine.has(verb)).join(' ')}`);
    assert.equal(await redis.cli('GET', 'canary'), 'alive');
    const keys = await redis.list('KEYS', '*');
    for (const key of keys) assert.match(key, /^(canary|chat:[\x21-\x7e]+.*)$/, 'all keys are ours');
  });
});
