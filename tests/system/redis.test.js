// SPDX-License-Identifier: MIT
// One nereidd on Redis: what it keeps there, what others may read and write there, and how it logs in.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import fs from 'node:fs/promises';
import path from 'node:path';
import { describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

import { makeFolder, runProgram } from './lib/gateway.js';
import { Follower, Sender, checkLog, wholeHistory } from './lib/load.js';
import { openNode, startNode } from './lib/nodes.js';
import { startRedis } from './lib/redis.js';
import { waitFor, within } from './lib/wait.js';

const EX_CONFIG = 78;
const RENEWAL = { 'store.lease': '3s', 'store.lease_renewal': '1s' };
const KILL_ROUNDS = Number(process.env.KILL_ROUNDS ?? 5);
const LOAD_MS = Number(process.env.KILL_MS ?? 300);

const textsOf = ({ messages }) => messages.map(({ message }) => message.text);
const idsOf = (list) => list.map(({ id }) => id);

async function startOnRedis(t, options, redisOptions) {
  const redis = await startRedis(t, redisOptions);
  return { redis, gateway: await startNode(t, redis, options) };
}

describe('a node on Redis', { concurrency: 4 }, () => {
  test('brings messages to the members, keeps them, and resumes where a stream was cut', async (t) => {
    const { gateway } = await startOnRedis(t);
    const [alice, bob] = await gateway.people('alice', 'bob');
    const streams = [await alice.stream(), await bob.stream(), await bob.events()];
    const { UUID: id, thread } = await alice.send({ to: 'bob', message: 'one', subject: 'numbers', language: 'en' });
    await bob.say(thread, 'two');
    const cursors = [];
    for (const stream of streams) {
      const first = await stream.message('one');
      assert.deepEqual([first.id, first.subject, first.language], [id, 'numbers', 'en']);
      await stream.message('two');
      assert.deepEqual(stream.texts, ['one', 'two']);
      cursors.push(first.cursor);
    }
    assert.equal(new Set(cursors).size, 1, 'one place in the log');
    assert.deepEqual(textsOf(await bob.history(thread)), ['one', 'two']);
    const resumed = await bob.stream({ since: cursors[0] });
    await alice.say(thread, 'three');
    await resumed.message('three');
    assert.deepEqual(resumed.texts, ['two', 'three']);
  });

  test('has history in pages, and all threads with their last messages', async (t) => {
    const { gateway } = await startOnRedis(t);
    const [alice] = await gateway.people('alice', 'bob', 'carol');
    const thread = await alice.thread('bob');
    for (let i = 0; i < 25; i++) await alice.say(thread, `${i}`);
    const room = await alice.room('lobby');
    await alice.say(room, 'is anybody here');
    await alice.thread('bob', 'carol');

    const pages = [];
    for (let before = undefined; before !== null; ) {
      const page = await alice.history(thread, { limit: 10, ...(before ? { before } : {}) });
      pages.push(textsOf(page).map(Number));
      before = page.before;
    }
    assert.deepEqual(
      pages.reverse().flat(),
      Array.from({ length: 25 }, (_, i) => i),
    );
    assert.deepEqual(
      pages.map(({ length }) => length),
      [5, 10, 10],
    );
    const { threads } = await alice.ask('GET', '/threads');
    assert.deepEqual(
      threads.map(({ members, last }) => [idsOf(members).join(' '), last?.message.text]),
      [
        ['alice bob', '24'],
        ['alice', 'is anybody here'],
        ['alice bob carol', undefined],
      ],
    );
  });

  test('is polled without a miss or a double while messages pour in', async (t) => {
    const { gateway } = await startOnRedis(t);
    const [alice, bob] = await gateway.people('alice', 'bob');
    const thread = await bob.thread('alice');
    let { cursor } = await alice.poll({ wait: 0 });
    const sent = Array.from({ length: 200 }, (_, i) => `message ${i}`);
    const sending = (async () => {
      for (const text of sent) await bob.say(thread, text);
    })();
    const seen = [];
    while (seen.length < sent.length) {
      const envelope = await alice.poll({ since: cursor, wait: 10 });
      seen.push(...envelope.stanzas.filter(({ type }) => type === 'message').map(({ message }) => message.text));
      cursor = envelope.cursor;
    }
    await sending;
    assert.deepEqual(seen, sent);
  });

  test('takes names and texts as data, whatever Redis or Lua would make of them', async (t) => {
    const { redis, gateway } = await startOnRedis(t, { 'auth.methods': 'demo,header', 'auth.trusted': '127.0.0.1' });
    const byLogin = ['*', '{tag}', 'a "quoted" one', "it's", 'x y', '日本語', 'ÿ%s', '0', '-inf', '(1'];
    const byHeader = ['chat:users', 'a:', ':a'];
    const names = [...byLogin, ...byHeader];
    const people = [
      ...byLogin.map((name) => gateway.person(name)),
      ...byHeader.map((name) =>
        gateway.person(name, { authorization: null, headers: { 'X-Forwarded-User': name } }),
      ),
    ];
    const lobby = await people[0].room('*?[a-z]*');
    for (const person of people) assert.equal(await person.room('*?[a-z]*'), lobby);
    const streams = await Promise.all(people.map((person) => person.stream()));
    const texts = ['$5\r\nhello\r\n', "redis.call('FLUSHALL')", '%s %d %n', '\u0001', '*1\r\n$8\r\nSHUTDOWN\r\n', ''];
    for (const [i, text] of texts.entries()) await people[i].say(lobby, text);
    for (const stream of streams) {
      await stream.message('');
      assert.deepEqual(stream.texts, texts);
      assert.deepEqual(
        stream.messages.map(({ sender }) => sender.id),
        names.slice(0, texts.length),
      );
    }
    assert.deepEqual(idsOf(await people[0].friends()).sort(), names.slice(1).sort());
    assert.deepEqual((await redis.list('ZRANGE', 'chat:users', 0, -1)).sort(), names.sort());
  });

  test('keeps everything over a restart and over its own kill -9', async (t) => {
    const { gateway } = await startOnRedis(t);
    const [alice, bob] = await gateway.people('alice', 'bob', 'carol');
    const id = randomUUID();
    const first = await alice.send({ to: 'bob', message: 'once', id });
    const { thread } = first;
    const room = await alice.room('lobby');
    await alice.setPresence({ show: 'xa', status: 'on holiday' });
    const holder = await bob.tokenHolder();
    const revoked = await bob.tokenHolder();
    await bob.revoke(revoked.chatToken);
    const stream = await bob.stream({ since: 0 });
    const { cursor } = await stream.message('once');

    for (const end of ['stop', 'kill']) {
      await gateway[end]();
      await gateway.start();
      await gateway.becomesReady();
      assert.deepEqual(await alice.send({ thread_id: thread, message: 'once', id }), first, 'the id is remembered');
      assert.deepEqual(textsOf(await bob.history(thread)), ['once']);
      assert.equal(await bob.thread('alice'), thread);
      assert.equal(await alice.room('lobby'), room);
      assert.deepEqual(idsOf(await alice.friends()).sort(), ['bob', 'carol']);
      const { show, status } = await bob.friend('alice');
      assert.deepEqual({ show, status }, { show: 'xa', status: 'on holiday' });
      assert.equal((await revoked.get('/poll')).status, 404);
      const resumed = await holder.stream({ since: cursor });
      await resumed.presence('bob');
      assert.deepEqual(resumed.texts, [], 'the cursor still counts');
    }
  });

  test('forgets what retention takes, and tells with a gap', async (t) => {
    const { redis, gateway } = await startOnRedis(t, { 'store.retention_count': 10 });
    const [alice, bob] = await gateway.people('alice', 'bob');
    const stream = await alice.stream();
    const { thread } = await bob.send({ to: 'alice', message: 'the first' });
    const { cursor } = await stream.message('the first');
    for (let i = 0; i < 20; i++) await bob.say(thread, `message ${i}`);
    await gateway.metricBecomes('nereidd_store_pruned_total', 11);
    const kept = Array.from({ length: 10 }, (_, i) => `message ${10 + i}`);
    const resumed = await alice.stream({ since: cursor });
    const { gap } = await resumed.stanza('gap');
    await resumed.message('message 19');
    assert.deepEqual(resumed.texts, kept);
    assert.deepEqual(textsOf(await alice.history(thread)), kept);
    const again = await alice.stream({ since: gap.oldest });
    await again.message('message 19');
    assert.deepEqual(again.texts, kept, 'the oldest cursor there is has no gap behind it');
    assert.ok(!again.stanzas.items.some(({ type }) => type === 'gap'));
    assert.equal(await redis.cli('XLEN', `chat:history:${thread}`), '10');
    assert.equal(await redis.cli('HLEN', 'chat:ids'), '10');
  });

  test('counts its work with Redis', async (t) => {
    const { redis, gateway } = await startOnRedis(t);
    const [alice] = await gateway.people('alice', 'bob');
    await alice.send({ to: 'bob', message: 'm' });
    const { samples } = await gateway.metrics();
    assert.equal(samples.get('nereidd_redis_up'), 1);
    assert.equal(samples.get('nereidd_redis_connects_total'), 1);
    assert.equal(samples.get('nereidd_redis_errors_total'), 0);
    assert.equal(samples.get('nereidd_redis_skipped_total'), 0);
    assert.ok(samples.get('nereidd_redis_call_seconds_count') >= 3, 'users, a thread, a message');
    assert.equal(samples.get('nereidd_messages_in_total'), 1);
    await redis.restart();
    await gateway.metricBecomes('nereidd_redis_connects_total', 2);
    await gateway.metricBecomes('nereidd_redis_up', 1);
  });
});

describe('tokens in Redis', { concurrency: 4 }, () => {
  test('are plain keys: the user id, with the time they have left', async (t) => {
    const { redis, gateway } = await startOnRedis(t, { 'token.ttl': '90s' });
    const alice = gateway.person('alice');
    const token = await alice.token();
    const key = `chat:token:${token}`;
    assert.equal(await redis.cli('TYPE', key), 'string');
    assert.equal(await redis.cli('GET', key), 'alice');
    const left = Number(await redis.cli('PTTL', key));
    assert.ok(left > 60_000 && left <= 90_000, `${left} ms are left`);
    await alice.revoke(token);
    assert.equal(await redis.cli('EXISTS', key), '0');
  });

  // What the original application does. Its user need not have been here before.
  for (const [how, ...life] of [
    ['for a minute', 'EX', 60],
    ['without an end'],
  ]) {
    test(`may be made by others (${how}): they open streams and polls, and send`, async (t) => {
      const { redis, gateway } = await startOnRedis(t);
      const [bob] = await gateway.people('bob');
      const token = randomUUID();
      await redis.cli('SET', `chat:token:${token}`, 'alice', ...life);
      const holder = gateway.person('alice', { authorization: `Bearer ${token}` });
      const nobody = gateway.person('alice', { authorization: null });
      const streams = [await holder.stream(), await holder.events({}, token.toUpperCase())];
      const { thread } = await nobody.ask('POST', `/send-message/${token}`, { form: { to: 'bob', message: 'hello' } });
      for (const stream of streams) await stream.message('hello');
      assert.deepEqual(textsOf(await bob.history(thread)), ['hello']);
      assert.equal((await holder.poll({ wait: 0 })).stanzas[0].type, 'presence');
      assert.equal((await bob.friend('alice')).available, true);
    });
  }

  test('that others delete are no good any more, and end their streams and polls within a renewal', async (t) => {
    const { redis, gateway } = await startOnRedis(t, RENEWAL);
    const alice = gateway.person('alice');
    const [unused, used, other] = [await alice.tokenHolder(), await alice.tokenHolder(), await alice.tokenHolder()];
    const stream = await used.stream();
    const going = await other.stream();
    const poll = used.pollToTheEnd();
    await gateway.metricBecomes('nereidd_sessions{protocol="nereid-poll"}', 1);
    for (const { chatToken } of [unused, used]) await redis.cli('DEL', `chat:token:${chatToken}`);
    assert.equal((await unused.get('/poll', { wait: 0 })).status, 404, 'at once where nothing is open with it');
    const farewell = await within(stream.end(), 'its stream ends', 5000);
    assert.equal(farewell.error, 'no_token');
    assert.equal((await within(poll, 'its poll ends', 5000)).status, 404);
    assert.equal((await used.get('/poll', { wait: 0 })).status, 404);
    await alice.setPresence({ status: 'still here' });
    await going.presence('alice', ({ status }) => status === 'still here');
  });

  test('that others delete and tell of, as nereid-redis(7) says, end their streams at once', async (t) => {
    const { redis, gateway } = await startOnRedis(t);
    const holder = await gateway.person('alice').tokenHolder();
    const stream = await holder.stream();
    await redis.cli('DEL', `chat:token:${holder.chatToken}`);
    await redis.cli('PUBLISH', 'chat:events', JSON.stringify({ kind: 'token', token: holder.chatToken }));
    assert.equal((await within(stream.end(), 'its stream ends', 3000)).error, 'no_token');
    assert.equal((await holder.get('/poll', { wait: 0 })).status, 404);
  });

  test('that run out end their streams', async (t) => {
    const { redis, gateway } = await startOnRedis(t, RENEWAL);
    const token = randomUUID();
    await redis.cli('SET', `chat:token:${token}`, 'alice', 'PX', 1200);
    const holder = gateway.person('alice', { authorization: `Bearer ${token}` });
    const stream = await holder.stream();
    assert.equal((await stream.end()).error, 'no_token');
    assert.equal((await holder.get('/poll', { wait: 0 })).status, 404);
  });

  test('that make no sense harm nobody', async (t) => {
    const { redis, gateway } = await startOnRedis(t);
    const [alice] = await gateway.people('alice', 'bob');
    const values = {
      'an empty value': ['SET', '', 404],
      'a control character': ['SET', 'a\x01b', 404],
      'a line end': ['SET', 'alice\r\n', 404],
      'a long value': ['SET', 'x'.repeat(1000), 404],
      'a list': ['RPUSH', 'alice', 503],
    };
    for (const [what, [command, value, status]] of Object.entries(values)) {
      const token = randomUUID();
      await redis.cli(command, `chat:token:${token}`, value);
      const holder = gateway.person('alice', { authorization: `Bearer ${token}` });
      for (const route of ['/stream', '/poll'])
        assert.equal((await holder.get(route, { wait: 0 })).status, status, what);
    }
    await gateway.logged(/wrong type/);
    await alice.send({ to: 'bob', message: 'life goes on' });
    await gateway.becomesReady();
  });
});

describe('logging in at Redis', { concurrency: 4 }, () => {
  const PASSWORD = 'p@ss:w/rd%41 ?#ü';

  // A server with a password for everybody and a user who may do what nereidd needs, and no more.
  async function startGuarded(t) {
    const redis = await startRedis(t, { port: 'tcp', args: ['--requirepass', PASSWORD] });
    redis.login = { password: PASSWORD };
    const rules = ['on', `>${PASSWORD}`, '~chat:*', '&chat:*', '+@all', '-@admin', '-@dangerous'];
    await redis.cli('ACL', 'SETUSER', 'nereid', ...rules);
    const withLogin = (login) => redis.url.replace('redis://', `redis://${login}@`);
    return { redis, withLogin };
  }

  async function works(gateway, secret = PASSWORD) {
    gateway.secrets.add(secret);
    const [alice, bob] = await gateway.people('alice', 'bob');
    const stream = await bob.stream();
    await alice.send({ to: 'bob', message: 'it works' });
    await stream.message('it works');
  }

  test('goes by the URL, percent-encoded, as the default user or another', async (t) => {
    const { redis, withLogin } = await startGuarded(t);
    for (const user of ['', 'nereid', 'default']) {
      const url = withLogin(`${user}:${encodeURIComponent(PASSWORD)}`);
      await works(await startNode(t, redis, { 'store.url': url }));
    }
  });

  test('goes by a file, which keeps the password out of the list of processes', async (t) => {
    const { redis } = await startGuarded(t);
    const folder = await makeFolder(t);
    const file = path.join(folder, 'redis-login');
    for (const line of [`:${PASSWORD}\n`, `nereid:${PASSWORD}\r\n`]) {
      await fs.writeFile(file, line);
      await works(await startNode(t, redis, { 'store.credentials': file }));
    }
    await redis.cli('CONFIG', 'SET', 'requirepass', 'plain');
    redis.login = { password: 'plain' };
    await fs.writeFile(file, 'plain');
    await works(await startNode(t, redis, { 'store.credentials': file }), 'no secret');
  });

  const degraded = {
    'a wrong password': ({ withLogin }) => withLogin('nereid:hunter2'),
    'an unknown user': ({ withLogin }) => withLogin('nobody:hunter2'),
    'no password': ({ redis }) => redis.url,
  };
  for (const [what, urlFor] of Object.entries(degraded)) {
    test(`${what}: it starts, is not ready, says why, and tells no secret`, async (t) => {
      const guarded = await startGuarded(t);
      const { redis } = guarded;
      const gateway = await openNode(t, redis, { 'store.url': urlFor(guarded) });
      gateway.secrets.add('hunter2');
      const { status, body } = await gateway.admin('/readyz');
      assert.equal(status, 503);
      assert.match(body, /Redis .*password/);
      assert.ok(!body.includes('hunter2'));
      assert.equal((await gateway.admin('/healthz')).status, 200);
      await gateway.logged(/Redis .*password/);
      const answer = await gateway.person('alice').get('/get-friends');
      assert.equal(answer.status, 503);
      assert.equal(answer.body.error, 'store_unavailable');
      assert.ok(Number(answer.headers.get('retry-after')) > 0);

      await redis.cli('ACL', 'SETUSER', 'nereid', '>hunter2');
      await redis.cli('ACL', 'SETUSER', 'nobody', 'on', '>hunter2', '~chat:*', '&chat:*', '+@all');
      await redis.cli('CONFIG', 'SET', 'requirepass', '');
      redis.login = null;
      await gateway.becomesReady();
      await works(gateway, 'hunter2');
    });
  }

  test('with rights that do not suffice it is not ready, and says what is missing', async (t) => {
    const { redis, withLogin } = await startGuarded(t);
    await redis.cli('ACL', 'SETUSER', 'poor', 'on', '>x', '~chat:*', '&chat:*', '+@all', '-@stream');
    const gateway = await openNode(t, redis, { 'store.url': withLogin('poor:x') });
    const { status, body } = await gateway.admin('/readyz');
    assert.equal(status, 503);
    assert.match(body, /permit/);
    await gateway.logged(/permit/);
    await redis.cli('ACL', 'SETUSER', 'poor', '+@all');
    await gateway.becomesReady();
    await works(gateway);
  });
});

describe('a Redis that is not there', { concurrency: 4 }, () => {
  test('keeps nobody waiting: nereidd starts without, and goes on when it comes', async (t) => {
    const redis = await startRedis(t);
    await redis.kill();
    const began = Date.now();
    const gateway = await openNode(t, redis);
    assert.ok(Date.now() - began < 5000, 'it listens soon');
    assert.equal((await gateway.admin('/healthz')).status, 200);
    const { status, body } = await gateway.admin('/readyz');
    assert.equal(status, 503);
    assert.match(body, /Redis/);
    for (const [method, route] of [
      ['POST', '/token'],
      ['GET', '/stream'],
      ['GET', '/poll'],
      ['POST', '/send-message'],
    ]) {
      const answer = await gateway.person('alice').request(method, route, { query: { to: 'bob', message: 'm' } });
      assert.equal(answer.status, 503, route);
      assert.ok(Number(answer.headers.get('retry-after')) > 0, route);
    }
    await redis.start();
    await gateway.becomesReady();
    const [alice] = await gateway.people('alice', 'bob');
    await alice.send({ to: 'bob', message: 'at last' });
  });

  test('does not keep nereidd from ending', async (t) => {
    const redis = await startRedis(t);
    const never = await openNode(t, redis, { 'store.url': `redis+unix:${redis.dir}/nothing` });
    await never.stop();
    const gateway = await startNode(t, redis);
    await redis.kill();
    await waitFor(async () => !(await gateway.ready()), 'nereidd has noticed');
    await gateway.stop();
  });
});

describe('a configuration for Redis', { concurrency: 4 }, () => {
  test('is told good from bad by -t, without going there', async () => {
    const good = [
      'redis://127.0.0.1',
      'redis://127.0.0.1:1',
      'redis://nowhere.invalid:6379/15',
      'redis://[::1]:6379/0',
      'redis://:secret@127.0.0.1',
      'redis://user:p%40ss@127.0.0.1:6379/1',
      'redis+unix:/run/redis/redis.sock',
      'redis+unix:/run/redis/redis.sock?db=3',
      'redis+sentinel://one.invalid,two.invalid:26379/chat',
      'redis+sentinel://user:secret@127.0.0.1:26379/chat/2',
    ];
    for (const url of good)
      assert.deepEqual(
        await runProgram(['-t', '-o', `store.url=${url}`]),
        { code: 0, signal: null, stdout: '', stderr: '' },
        url,
      );
  });

  test('that is bad is refused with a reason, which does not repeat a password', async () => {
    const bad = [
      'redis:',
      'redis://',
      'redis:/127.0.0.1',
      'redis://:hunter2@',
      'redis://user:hunter2@127.0.0.1:0',
      'redis://user:hunter2@127.0.0.1:65536',
      'redis://user:hunter2@127.0.0.1:port',
      'redis://user:hunter2@127.0.0.1/-1',
      'redis://user:hunter2@127.0.0.1/0/1',
      'redis://user:hunter2@127.0.0.1/chat',
      'redis://user:hunter2@one,two/0',
      'redis://user:hunter2%zz@127.0.0.1',
      'redis://user:hunter2%00@127.0.0.1',
      'redis://hunter2@127.0.0.1',
      'redis://user:hunter2@ho st/0',
      'redis://user:hunter2@[::1/0',
      'redis+unix:',
      'redis+unix:/run/redis.sock?db=x',
      'redis+unix:/run/redis.sock?password=hunter2',
      'redis+sentinel://user:hunter2@127.0.0.1',
      'redis+sentinel://user:hunter2@127.0.0.1/',
      'redis+sentinel://user:hunter2@/chat',
      'rediss://user:hunter2@127.0.0.1',
      'redis+tls://user:hunter2@127.0.0.1',
    ];
    for (const url of bad) {
      const { code, stdout, stderr } = await runProgram(['-t', '-o', `store.url=${url}`]);
      assert.equal(code, EX_CONFIG, url);
      assert.equal(stdout, '');
      assert.match(stderr, /store|redis/i, url);
      assert.ok(!stderr.includes('hunter2'), `a secret in: ${stderr}`);
    }
  });

  test('that is bad is named by file and line', async (t) => {
    const folder = await makeFolder(t);
    const file = path.join(folder, 'nereidd.conf');
    const lines = ['[store]', 'url = redis:', 'deadline = 0', 'lease = 1', 'lease_renewal = 1ms', 'replicas = -1'];
    await fs.writeFile(file, `${lines.join('\n')}\n`);
    const { code, stderr } = await runProgram(['-t', '-c', file]);
    assert.equal(code, EX_CONFIG);
    for (const line of [2, 3, 4, 5, 6]) assert.match(stderr, new RegExp(`${file}:${line}: .+`), `line ${line}`);
  });

  test('has a renewal that fits into the lease, and credentials that can be read', async (t) => {
    const url = ['-o', 'store.url=redis://127.0.0.1'];
    const late = await runProgram(['-t', ...url, '-o', 'store.lease=3s', '-o', 'store.lease_renewal=2s']);
    assert.equal(late.code, EX_CONFIG);
    assert.match(late.stderr, /lease/);
    const missing = path.join(await makeFolder(t), 'nothing');
    const unread = await runProgram(['-t', ...url, '-o', `store.credentials=${missing}`]);
    assert.equal(unread.code, EX_CONFIG);
    assert.ok(unread.stderr.includes(missing), unread.stderr);
  });
});

// Like kill.test.js: what was acknowledged is there, once, in order.
test(`kill -9 of nereidd under load, ${KILL_ROUNDS} times`, async (t) => {
  const { gateway } = await startOnRedis(t);
  const people = await gateway.people('reader', 'sender0', 'sender1', 'sender2', 'sender3');
  const lobby = await people[0].room('lobby');
  for (const person of people) await person.room('lobby');
  const follower = new Follower(people[0]);
  const senders = people.slice(1).map((person) => new Sender(person, lobby));
  const acknowledged = () => senders.reduce((sum, sender) => sum + sender.acknowledged.length, 0);
  const running = senders.map((sender) => sender.run());

  for (let round = 0; round < KILL_ROUNDS; round++) {
    await follower.attach();
    const before = acknowledged();
    await waitFor(() => acknowledged() > before, 'there is load');
    await sleep(Math.random() * LOAD_MS); /* at a random moment: this is what the test is about */
    await gateway.kill();
    await follower.detach({ close: false });
    const began = Date.now();
    await gateway.start();
    await gateway.becomesReady();
    assert.ok(Date.now() - began < 5000, 'it is back soon');
  }

  await follower.attach();
  for (const sender of senders) sender.stop();
  await Promise.all(running);
  await checkLog(await wholeHistory(people[0], lobby), senders, [follower]);
  t.diagnostic(`${acknowledged()} messages acknowledged`);
});
