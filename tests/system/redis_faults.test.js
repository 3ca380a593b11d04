// SPDX-License-Identifier: MIT
// When Redis fails: it is not there, dies, hangs, refuses, forgets. What was acknowledged stays, nothing comes twice,
// open streams stay open and say nothing false, and nereidd goes on by itself as soon as Redis does.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { randomUUID } from 'node:crypto';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { makeFolder, startGateway } from './lib/gateway.js';
import { Journal, assertRefusal, complaints, sendAtLast } from './lib/journal.js';
import { meet, openNode, startNode, startNodes } from './lib/nodes.js';
import { Person, basic } from './lib/person.js';
import { descriptors } from './lib/process.js';
import { startRedis } from './lib/redis.js';
import { waitFor, within } from './lib/wait.js';

const ROUNDS = Number(process.env.REDIS_ROUNDS ?? 20);
const LOAD_MS = Number(process.env.REDIS_LOAD_MS ?? 300);
const STEADY_MS = 1000; // after less nereidd takes Redis for one that dies again and again, and knocks less often
const PAUSE_MS = Number(process.env.REDIS_PAUSE_MS ?? 10_000);
const DEADLINE_MS = 2000; // store.deadline
const SLACK_MS = 8000;
const START_MS = 5000;

async function becomesUnready(node) {
  await waitFor(async () => !(await node.ready()), '/readyz fails');
  const { status, body } = await node.admin('/readyz');
  assert.equal(status, 503);
  assert.match(body, /redis|store/i, 'with the reason');
}

// A send, which is refused, and in time.
async function isRefused(person, fields) {
  const sending = person.request('POST', '/send-message', { json: fields });
  assertRefusal(await within(sending, 'a send is answered', DEADLINE_MS + SLACK_MS), 'a send');
}

// Alice at one node and bob at another, who know each other and have a thread.
async function startPair(t, redis, options) {
  const nodes = await startNodes(t, redis, 2, options);
  const [alice, bobThere] = await meet(nodes, 'alice', 'bob');
  const bob = bobThere.at(nodes[1]);
  return { nodes, alice, bob, thread: await alice.thread('bob') };
}

describe('Redis is killed', () => {
  test(`with -9 and started again under load, ${ROUNDS} times, over two nodes`, async (t) => {
    const redis = await startRedis(t, { appendonly: true });
    const nodes = await startNodes(t, redis, 2);
    const before = await Promise.all(nodes.map(({ pid }) => descriptors(pid)));
    const journal = new Journal();
    for (const [i, node] of nodes.entries()) {
      await journal.follows(node.person(`reader${i}`));
      await journal.follows(node.person(`witness${i}`));
    }
    for (const [i, node] of nodes.entries()) {
      await journal.sends(node.person(`sender${i}`));
      await journal.sends(node.person(`talker${i}`));
    }
    for (let round = 0; round < ROUNDS; round++) {
      await journal.goesOn();
      /* At a random moment: this is what the test is about. */
      await sleep((round % 5 ? STEADY_MS : 0) + Math.random() * LOAD_MS);
      await redis.restart();
    }
    await journal.goesOn();
    await journal.verify(t);
    assert.ok(journal.retries > 0, 'some sends were refused meanwhile');
    assert.equal(journal.cuts, 0, 'but no stream was cut');
    for (const [i, node] of nodes.entries()) {
      node.closeClients();
      await waitFor(async () => (await descriptors(node.pid)) <= before[i], 'no descriptor has leaked');
    }
  });
});

describe('Redis is not there', { concurrency: 4 }, () => {
  for (const port of ['tcp', undefined]) {
    test(`at the start (${port ? 'a port' : 'a socket'}): nereidd does what it can, and all once Redis comes`, async (t) => {
      const redis = await startRedis(t, { port });
      await redis.kill();
      const began = Date.now();
      const node = await openNode(t, redis);
      assert.ok(Date.now() - began < START_MS, 'the listeners are up soon');
      const { pid } = node;

      const alice = node.person('alice');
      const token = randomUUID();
      for (const [method, route, options] of [
        ['POST', '/token'],
        ['GET', '/get-friends'],
        ['GET', '/threads'],
        ['POST', '/send-message', { form: { to: 'bob', message: 'm' } }],
        ['GET', '/poll', { query: { wait: 0 } }],
        ['GET', '/stream'],
        ['GET', `/stream/${token}`],
        ['GET', `/poll/${token}`],
      ]) {
        assertRefusal(await alice.request(method, route, options), `${method} ${route}`);
      }
      assert.equal((await alice.get('/nothing')).status, 404, 'what needs no store is answered as always');
      assert.equal((await node.admin('/healthz')).status, 200);
      assert.equal((await node.admin('/metrics')).status, 200);
      await becomesUnready(node);

      await redis.start();
      await node.becomesReady();
      const holder = await alice.tokenHolder();
      const stream = await holder.stream();
      await node.person('bob').friends();
      await alice.send({ to: 'bob', message: 'here we are' });
      await stream.message('here we are');
      assert.equal(node.pid, pid);
      assert.ok(node.running, 'it is the same process');
    });
  }

  test('behind a name that nobody knows: the same, and the log says so', async (t) => {
    const began = Date.now();
    const node = await startGateway(t, { 'store.url': 'redis://no-such-host.invalid' });
    assert.ok(Date.now() - began < START_MS);
    assertRefusal(await node.person('alice').request('POST', '/token'), 'POST /token');
    await becomesUnready(node);
    assert.equal((await node.admin('/healthz')).status, 200);
    await node.logged(/no-such-host\.invalid/);
  });

  test('and is never there: nereidd can be ended all the same', async (t) => {
    const folder = await makeFolder(t);
    const node = await startGateway(t, { 'store.url': `redis+unix:${path.join(folder, 'nobody.sock')}` });
    await becomesUnready(node);
    await node.stop();
  });

  test('when nereidd is told to end: it ends, and its streams with their last chunk', async (t) => {
    const redis = await startRedis(t);
    const node = await startNode(t, redis);
    const stream = await node.person('alice').stream();
    await redis.kill();
    await becomesUnready(node);
    node.signal('SIGTERM');
    assert.equal((await stream.end()).error, 'shutting_down');
    assert.deepEqual(await node.ended(), { code: 0, signal: null });
  });

  test('for a long time: few attempts, and few lines in the log', async (t) => {
    const redis = await startRedis(t);
    const node = await startNode(t, redis);
    const mark = node.stderr.length;
    await redis.kill();
    await sleep(4000);
    const lines = complaints(node, mark);
    assert.ok(lines.length >= 1 && lines.length <= 5, `${lines.length} lines:\n${lines.join('\n')}`);
    await redis.start();
    await node.becomesReady();
  });
});

describe('Redis hangs', { concurrency: 2 }, () => {
  test(`for ${PAUSE_MS} ms: sends are refused in time, streams stay and say nothing false`, async (t) => {
    const redis = await startRedis(t, { appendonly: true });
    const options = { 'store.lease': '4s', 'store.lease_renewal': '1s' };
    const { nodes, alice, bob, thread } = await startPair(t, redis, options);
    const streams = [await alice.stream({ heartbeat: 1 }), await bob.stream({ heartbeat: 1 })];
    await streams[0].presence('bob', ({ available }) => available);
    await streams[1].presence('alice', ({ available }) => available);
    await alice.say(thread, 'before');
    for (const stream of streams) await stream.message('before');
    const heard = streams.map(({ envelopes, stanzas }) => [envelopes.items.length, stanzas.items.length]);

    redis.pause();
    const resumesAt = Date.now() + PAUSE_MS;
    const unanswered = { thread_id: thread, id: randomUUID(), message: 'unanswered' };
    await isRefused(alice, unanswered);
    for (const node of nodes) await becomesUnready(node);
    while (Date.now() < resumesAt) {
      await isRefused(bob, { thread_id: thread, message: 'x' });
      for (const node of nodes) assert.equal((await node.admin('/healthz')).status, 200);
      await sleep(200);
    }
    for (const [i, { envelopes, stanzas, ended }] of streams.entries()) {
      const [envelopesBefore, stanzasBefore] = heard[i];
      assert.equal(ended, undefined);
      assert.deepEqual(stanzas.items.slice(stanzasBefore), [], 'nobody came or went');
      const beats = envelopes.items.length - envelopesBefore;
      assert.ok(beats >= Math.floor(PAUSE_MS / 2000), `heartbeats go on: ${beats}`);
    }

    redis.resume();
    for (const node of nodes) await node.becomesReady();
    await sendAtLast(alice, unanswered);
    await sendAtLast(bob, { thread_id: thread, message: 'after' });
    for (const stream of streams) await stream.message('after');
    await sleep(5000); /* more than a lease: whoever were taken for dead would have left by now */
    for (const [i, stream] of streams.entries()) {
      const { stanzas } = stream;
      const news = stanzas.items.slice(heard[i][1]);
      assert.deepEqual(
        news.filter(({ type }) => type !== 'message'),
        [],
        'nobody blinked',
      );
      const texts = stream.texts.filter((text) => text !== 'x');
      assert.deepEqual(texts, ['before', 'unanswered', 'after'], 'each once');
    }
    const texts = (await alice.history(thread)).messages.map(({ message }) => message.text);
    assert.deepEqual(
      texts.filter((text) => text !== 'x'),
      ['before', 'unanswered', 'after'],
    );
  });

  test('in a script of somebody else (-BUSY): the same', async (t) => {
    const redis = await startRedis(t);
    const node = await startNode(t, redis);
    const [alice, bob] = await node.people('alice', 'bob');
    const thread = await alice.thread('bob');
    const stream = await bob.stream();
    await redis.cli('CONFIG', 'SET', 'busy-reply-threshold', 100);
    const endless = redis.cli('EVAL', 'while true do end', 0).catch(() => {});
    await waitFor(async () => !(await node.ready()), '/readyz fails');
    await isRefused(alice, { thread_id: thread, message: 'm' });
    await redis.cli('SCRIPT', 'KILL');
    await endless;
    await node.becomesReady();
    await sendAtLast(alice, { thread_id: thread, message: 'after' });
    await stream.message('after');
  });
});

// What an administrator or an accident may do to a server, and how it is taken back.
const refusals = [
  {
    name: 'OOM',
    says: /OOM|out of memory/,
    breaks: (redis) => redis.cli('CONFIG', 'SET', 'maxmemory', 1),
    heals: (redis) => redis.cli('CONFIG', 'SET', 'maxmemory', 0),
  },
  {
    name: 'READONLY',
    says: /READONLY|is a replica/,
    breaks: (redis) => redis.cli('REPLICAOF', '127.0.0.1', 1),
    heals: (redis) => redis.cli('REPLICAOF', 'NO', 'ONE'),
  },
  {
    name: 'NOREPLICAS',
    says: /NOREPLICAS|too few replicas/,
    breaks: (redis) => redis.cli('CONFIG', 'SET', 'min-replicas-to-write', 1),
    heals: (redis) => redis.cli('CONFIG', 'SET', 'min-replicas-to-write', 0),
  },
  {
    name: 'NOAUTH',
    says: /NOAUTH/,
    async breaks(redis) {
      await redis.cli('CONFIG', 'SET', 'requirepass', 'secret');
      redis.login = { password: 'secret' };
      for (const type of ['pubsub', 'normal']) await redis.cli('CLIENT', 'KILL', 'TYPE', type);
    },
    async heals(redis) {
      await redis.cli('CONFIG', 'SET', 'requirepass', '');
      redis.login = null;
    },
  },
  {
    name: 'NOPERM',
    says: /NOPERM|no permission/,
    breaks: (redis) => redis.cli('ACL', 'SETUSER', 'default', '-evalsha'),
    heals: (redis) => redis.cli('ACL', 'SETUSER', 'default', '+@all'),
  },
  {
    name: 'NOPERM',
    says: /NOPERM|no permission/,
    of: 'the channel',
    breaks: (redis) => redis.cli('ACL', 'SETUSER', 'default', 'resetchannels'),
    heals: (redis) => redis.cli('ACL', 'SETUSER', 'default', 'allchannels'),
  },
  {
    name: 'WRONGTYPE',
    says: /WRONGTYPE/,
    of: 'the log itself',
    async breaks(redis) {
      await redis.cli('RENAME', 'chat:log', 'aside');
      await redis.cli('SET', 'chat:log', 'this is no stream');
    },
    heals: (redis) => redis.cli('RENAME', 'aside', 'chat:log'),
  },
];

describe('Redis refuses', { concurrency: 4 }, () => {
  for (const { name, of: what, says, breaks, heals } of refusals) {
    test(`-${name}${what ? ` (${what})` : ''}: 503, a clear line in the log, and no restart`, async (t) => {
      const redis = await startRedis(t);
      const node = await startNode(t, redis);
      const [alice, bob] = await node.people('alice', 'bob');
      const thread = await alice.thread('bob');
      const stream = await bob.stream();
      await alice.say(thread, 'before');
      await stream.message('before');

      const mark = node.stderr.length;
      await breaks(redis);
      const refused = { thread_id: thread, id: randomUUID(), message: 'refused at first' };
      const send = () => alice.request('POST', '/send-message', { json: refused });
      const answer = await waitFor(async () => {
        const one = await send();
        return one.status === 200 ? null : one; /* the news has not yet reached the gateway */
      }, 'a send is refused');
      assertRefusal(answer, 'a send');
      for (let i = 0; i < 20; i++) await send();
      await sleep(2500); /* long enough for a flood of lines */
      assertRefusal(await send(), 'a send');
      assert.equal((await node.admin('/healthz')).status, 200);
      const lines = complaints(node, mark);
      assert.ok(
        lines.some((line) => says.test(line)),
        `the log says ${says}:\n${lines.join('\n')}`,
      );
      assert.ok(lines.length <= 8, `${lines.length} lines:\n${lines.join('\n')}`);

      await heals(redis);
      await sendAtLast(alice, refused);
      await node.becomesReady();
      await sendAtLast(alice, { thread_id: thread, message: 'after' });
      await stream.message('after');
      assert.deepEqual(stream.texts, ['before', 'refused at first', 'after'], 'the stream has stayed');
    });
  }

  test('-WRONGTYPE of a token: 503 for that token, and nothing else suffers', async (t) => {
    const redis = await startRedis(t);
    const node = await startNode(t, redis);
    const [alice, bob] = await node.people('alice', 'bob');
    const stream = await bob.stream();
    const token = await alice.token();
    await redis.cli('DEL', `chat:token:${token}`);
    await redis.cli('RPUSH', `chat:token:${token}`, 'alice');
    const mark = node.stderr.length;
    for (let i = 0; i < 20; i++) {
      for (const route of [`/stream/${token}`, `/poll/${token}`]) {
        assertRefusal(await new Person(node, 'x', { authorization: null }).get(route), route);
      }
    }
    assert.ok(await node.ready());
    await alice.send({ to: 'bob', message: 'hello' });
    await stream.message('hello');
    await node.logged(/WRONGTYPE/);
    assert.ok(complaints(node, mark).length <= 8, complaints(node, mark).join('\n'));
    await redis.cli('DEL', `chat:token:${token}`);
    assert.equal((await new Person(node, 'x', { authorization: null }).get(`/stream/${token}`)).status, 404);
  });
});

describe('Redis stumbles under load', { concurrency: 4 }, () => {
  async function startLoad(t, redis) {
    const nodes = await startNodes(t, redis, 2);
    const journal = new Journal();
    for (const [i, node] of nodes.entries()) await journal.follows(node.person(`reader${i}`));
    for (const [i, node] of nodes.entries()) await journal.sends(node.person(`sender${i}`));
    await journal.goesOn();
    return { nodes, journal };
  }

  for (const [what, command] of [
    ['its scripts are flushed', ['SCRIPT', 'FLUSH', 'SYNC']],
    ['the connections for events are killed', ['CLIENT', 'KILL', 'TYPE', 'pubsub']],
    ['the connections for commands and for the log are killed', ['CLIENT', 'KILL', 'TYPE', 'normal']],
  ]) {
    test(`${what}: nothing is lost or doubled, no stream is cut`, async (t) => {
      const redis = await startRedis(t);
      const { journal } = await startLoad(t, redis);
      for (let i = 0; i < 5; i++) {
        await redis.cli(...command);
        await journal.goesOn(3);
      }
      await journal.verify(t);
      assert.equal(journal.cuts, 0);
    });
  }

  test('changes of presence get through to other nodes, whatever becomes of the connections', async (t) => {
    const redis = await startRedis(t);
    const { nodes, alice, bob } = await startPair(t, redis);
    const stream = await alice.stream();
    for (let i = 0; i < 5; i++) {
      await redis.cli('CLIENT', 'KILL', 'TYPE', i % 2 ? 'normal' : 'pubsub');
      const status = `status ${i}`;
      await waitFor(
        async () => (await bob.post('/presence', { show: 'dnd', status })).status === 200,
        'the presence is set',
      );
      await stream.presence('bob', (presence) => presence.status === status);
    }
    const told = stream.stanzas.items
      .filter(({ type }) => type === 'presence')
      .flatMap(({ presence }) => presence)
      .filter(({ id, status }) => id === 'bob' && status)
      .map(({ status }) => status);
    assert.deepEqual(
      told,
      Array.from({ length: 5 }, (_, i) => `status ${i}`),
      'each once',
    );
  });
});

describe('Redis finds us too slow', { concurrency: 2 }, () => {
  test('with events: it cuts us off, and we catch up', async (t) => {
    const redis = await startRedis(t);
    const { nodes, alice, bob } = await startPair(t, redis);
    const stream = await alice.stream();
    await redis.cli('CONFIG', 'SET', 'client-output-buffer-limit', 'pubsub 1 1 1');
    const cut = () => redis.cli('EVAL', "return redis.call('PUBLISH', 'chat:events', string.rep('x', 100000))", 0);
    for (let i = 0; i < 5; i++) {
      await cut();
      await waitFor(
        async () => (await bob.post('/presence', { show: 'away', status: `status ${i}` })).status === 200,
        'the presence is set',
      );
      await stream.presence('bob', ({ status }) => status === `status ${i}`);
    }
    await redis.cli('CONFIG', 'SET', 'client-output-buffer-limit', 'pubsub 32mb 8mb 60');
    for (const node of nodes) await node.becomesReady();
    assert.equal(stream.stanzas.ended, false, 'the stream has stayed');
  });

  test('with the log: what we could not read comes once the limit is lifted', async (t) => {
    const redis = await startRedis(t);
    const { alice, bob, thread } = await startPair(t, redis, { 'limits.text': '64K', 'limits.body': '256K' });
    const stream = await bob.stream();
    await redis.cli('CONFIG', 'SET', 'client-output-buffer-limit', 'normal 1 1 1');
    const long = 'x'.repeat(60_000); /* more than the 16 KB that Redis has for every client in any case */
    const message = { thread_id: thread, id: randomUUID(), message: long };
    await alice.request('POST', '/send-message', { json: message });
    await sleep(1000);
    assert.deepEqual(stream.texts, []);
    await redis.cli('CONFIG', 'SET', 'client-output-buffer-limit', 'normal 0 0 0');
    await sendAtLast(alice, message);
    await sendAtLast(alice, { thread_id: thread, message: 'after' });
    await stream.message('after');
    assert.deepEqual(stream.texts, [long, 'after']);
  });
});

describe('Redis forgets', { concurrency: 2 }, () => {
  for (const [how, forget] of [
    [
      'everything is flushed, connections are killed',
      async (redis) => {
        await redis.cli('FLUSHALL');
        for (const type of ['pubsub', 'normal']) await redis.cli('CLIENT', 'KILL', 'TYPE', type);
      },
    ],
    ['everything is flushed', (redis) => redis.cli('FLUSHALL')],
    ['it had no file, and was killed', (redis) => redis.restart()],
  ]) {
    test(`${how}: sessions end cleanly, and who comes back with a cursor is told of the gap`, async (t) => {
      const redis = await startRedis(t);
      const { nodes, alice, bob, thread } = await startPair(t, redis);
      const streams = [await alice.stream(), await bob.stream()];
      const bystander = await nodes[1].raw();
      bystander.send(['GET /nereid-chat/stream HTTP/1.1', 'Host: x', `Authorization: ${basic('carol')}`]);
      await bystander.until('carol');
      for (let i = 0; i < 10; i++) await alice.say(thread, `before ${i}`);
      for (const stream of streams) await stream.message('before 9');
      const cursors = streams.map(({ cursor }) => cursor);

      await forget(redis);
      for (const stream of streams) {
        const farewell = await stream.end();
        assert.ok(farewell.error, 'with a reason, and the last chunk');
      }
      assert.match(await bystander.untilClosed(), /0\r\n\r\n$/);
      for (const node of nodes) await node.becomesReady();

      const again = [];
      for (const [i, person] of [alice, bob].entries()) {
        const stream = await person.stream({ since: cursors[i] });
        await stream.stanza('gap');
        again.push(stream);
      }
      assert.equal((await alice.get(`/history/${thread}`)).status, 404, 'what it knew is gone');
      const anew = await waitFor(() => alice.thread('bob').catch(() => null), 'alice knows bob');
      await alice.say(anew, 'after');
      for (const stream of again) {
        await stream.message('after');
        assert.deepEqual(stream.texts, ['after']);
      }
    });
  }
});
