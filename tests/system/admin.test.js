// SPDX-License-Identifier: MIT
// What operators see and do: health, readiness, metrics as Prometheus reads them, and what nereidctl stands on.
import assert from 'node:assert/strict';
import fs from 'node:fs/promises';
import { describe, test } from 'node:test';

import { makeFolder, startGateway } from './lib/gateway.js';
import { startNode } from './lib/nodes.js';
import { RawSocket, exchange } from './lib/raw.js';
import { startRedis } from './lib/redis.js';
import { waitFor } from './lib/wait.js';

const VIEWS = ['/status', '/sessions', '/threads', '/tokens'];

describe('the admin listener', { concurrency: 4 }, () => {
  test('says that it lives and is ready', async (t) => {
    const gateway = await startGateway(t);
    for (const [path, word] of [
      ['/healthz', 'ok\n'],
      ['/readyz', 'ready\n'],
    ]) {
      const { status, headers, body } = await gateway.admin(path);
      assert.deepEqual([status, body], [200, word]);
      assert.match(headers['content-type'], /^text\/plain/);
      assert.equal(headers['cache-control'], 'no-store');
    }
  });

  test("has nothing else, and the clients' listener has nothing of it", async (t) => {
    const gateway = await startGateway(t);
    for (const path of ['/', '/nereid-chat/get-friends', '/metrics/', '/debug'])
      assert.equal((await gateway.admin(path)).status, 404, path);
    for (const path of ['/metrics', '/healthz', '/readyz', ...VIEWS, '/threads/x/watch'])
      assert.equal((await fetch(gateway.url + path)).status, 404, path);
    assert.equal((await fetch(`${gateway.adminUrl}/metrics`, { method: 'POST' })).status, 405);
  });

  test('may be a Unix socket, or none', async (t) => {
    const folder = await makeFolder(t);
    const gateway = await startGateway(t, { 'admin.listen': `unix:${folder}/admin` });
    const raw = await RawSocket.connect(gateway, `unix:${folder}/admin`);
    raw.send(['GET /healthz HTTP/1.0']);
    assert.match(await raw.untilClosed(), /ok\n$/);
    await startGateway(t, { 'admin.listen': [] });
  });
});

describe('metrics', { concurrency: 4 }, () => {
  test('are in the format of Prometheus, each with a type and a help', async (t) => {
    const gateway = await startGateway(t);
    const { headers } = await gateway.admin('/metrics');
    assert.equal(headers['content-type'], 'text/plain; version=0.0.4; charset=utf-8');
    const { types, helps, samples } = await gateway.metrics();
    for (const [name, type] of types) {
      assert.ok(helps.get(name)?.length > 5, `${name} has a help`);
      assert.match(name, /^(nereidd|process)_[a-z_]+$/);
      assert.equal(type === 'counter', name.endsWith('_total'), `${name} is named as a ${type} is`);
    }
    for (const name of samples.keys())
      assert.ok(
        types.has(name.replace(/\{.*/, '').replace(/_(bucket|sum|count)$/, '')) || types.has(name.replace(/\{.*/, '')),
        name,
      );
    assert.ok([...samples.keys()].some((name) => /^nereidd_build_info\{version="[^"]+"\}$/.test(name)));
  });

  test('count what happens', async (t) => {
    const gateway = await startGateway(t);
    const [alice, bob] = await gateway.people('alice', 'bob');
    const before = (await gateway.metrics()).samples;
    const streams = [await bob.stream(), await bob.stream(), await alice.stream()];
    const { thread } = await alice.send({ to: 'bob', message: 'one' });
    await alice.say(thread, 'two');
    for (const stream of streams) await stream.message('two');
    await alice.get('/history/x');
    const { samples } = await gateway.metrics();
    const rise = (name) => samples.get(name) - before.get(name);
    assert.equal(rise('nereidd_messages_in_total'), 2);
    assert.equal(rise('nereidd_messages_out_total'), 6);
    assert.equal(samples.get('nereidd_sessions{protocol="nereid-stream"}'), 3);
    assert.equal(samples.get('nereidd_sessions{protocol="nereid-poll"}'), 0);
    assert.equal(samples.get('nereidd_queue_bytes'), 0);
    assert.equal(rise('nereidd_request_errors_total{class="4xx"}'), 1);
    assert.equal(rise('nereidd_request_errors_total{class="5xx"}'), 0);
    assert.ok(samples.get('nereidd_connections') >= 4);
    assert.ok(rise('nereidd_accepted_total') >= 3);
    assert.ok(rise('nereidd_store_commits_total') >= 2);
  });

  test('tell how long commits take, as a histogram that adds up', async (t) => {
    const gateway = await startGateway(t);
    const [alice] = await gateway.people('alice', 'bob');
    const thread = await alice.thread('bob');
    for (let i = 0; i < 50; i++) await alice.say(thread, 'm');
    const { samples } = await gateway.metrics();
    const name = 'nereidd_store_commit_seconds';
    const buckets = [...samples].filter(([key]) => key.startsWith(`${name}_bucket`));
    const bounds = buckets.map(([key]) => Number(/le="([^"]+)"/.exec(key)[1].replace('+Inf', 'Infinity')));
    assert.deepEqual(
      bounds,
      [...bounds].sort((a, b) => a - b),
    );
    assert.equal(bounds.at(-1), Infinity);
    const counts = buckets.map(([, count]) => count);
    assert.ok(
      counts.every((count, i) => i === 0 || count >= counts[i - 1]),
      'each holds those below it',
    );
    assert.equal(counts.at(-1), samples.get(`${name}_count`));
    assert.equal(samples.get(`${name}_count`), samples.get('nereidd_store_commits_total'));
    assert.ok(samples.get(`${name}_count`) >= 50);
    assert.ok(samples.get(`${name}_sum`) > 0);
  });

  test('tell what the process uses, as the system has it', async (t) => {
    const begun = Date.now();
    const gateway = await startGateway(t);
    const people = await gateway.people('alice', 'bob', 'carol');
    const before = (await gateway.metrics()).samples;
    for (const person of people) await person.stream();
    const { samples } = await gateway.metrics();
    const proc = (name) => fs.readFile(`/proc/${gateway.pid}/${name}`, 'utf8');
    const resident = 1024 * Number(/^VmRSS:\s+(\d+) kB$/m.exec(await proc('status'))[1]);
    const memory = samples.get('process_resident_memory_bytes');
    assert.ok(Math.abs(memory - resident) < 2 ** 20, `${memory} and ${resident}`);
    const descriptors = (await fs.readdir(`/proc/${gateway.pid}/fd`)).length;
    const open = samples.get('process_open_fds');
    assert.ok(Math.abs(open - descriptors) <= 2, `${open} and ${descriptors}; who asked may be gone by now`);
    assert.equal(samples.get('process_max_fds'), Number(/^Max open files\s+(\d+)/m.exec(await proc('limits'))[1]));
    const cpu = samples.get('process_cpu_seconds_total');
    assert.ok(cpu > before.get('process_cpu_seconds_total') && cpu < 60, `${cpu} s`);
    const started = samples.get('process_start_time_seconds') * 1000;
    assert.ok(started >= begun - 1000 && started <= Date.now());
  });

  test('have labels of a fixed number, whoever comes', async (t) => {
    const gateway = await startGateway(t);
    const names = async () => [...(await gateway.metrics()).samples.keys()];
    const before = await names();
    for (let i = 0; i < 20; i++) await gateway.person(`user ${i}`).room(`room ${i}`);
    await exchange(gateway, 'GET /evil"} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n');
    assert.deepEqual(await names(), before);
  });
});

async function view(gateway, path) {
  const { status, headers, body } = await gateway.admin(path);
  assert.deepEqual([status, headers['content-type']], [200, 'application/json']);
  return JSON.parse(body);
}

// POST /send; { status, body }.
async function post(gateway, fields, headers = {}) {
  const response = await fetch(`${gateway.adminUrl}/send`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', ...headers },
    body: JSON.stringify(fields),
  });
  return { status: response.status, body: await response.json() };
}

async function say(gateway, fields) {
  const { status, body } = await post(gateway, fields);
  assert.equal(status, 200, JSON.stringify(body));
  return body;
}

async function raw(gateway, lines, body = '') {
  const bytes = [...lines, 'Connection: close', '', body].join('\r\n');
  const { responses } = await exchange(gateway, bytes, { listener: 'admin' });
  return responses[0];
}

describe('what nereidctl reads', { concurrency: 4 }, () => {
  test('is read and not written', async (t) => {
    const gateway = await startGateway(t);
    for (const path of [...VIEWS, '/threads/x/watch'])
      assert.equal((await fetch(gateway.adminUrl + path, { method: 'POST' })).status, 405, path);
    assert.equal((await gateway.admin('/send')).status, 405);
    for (const path of VIEWS)
      assert.equal((await fetch(gateway.adminUrl + path, { method: 'HEAD' })).status, 200, path);
  });

  test('says how the process is', async (t) => {
    const before = Date.now();
    const gateway = await startGateway(t);
    const [alice, bob] = await gateway.people('alice', 'bob');
    await bob.stream();
    await alice.send({ to: 'bob', message: 'one' });
    const status = await view(gateway, '/status');
    assert.deepEqual([status.ready, status.reason, status.pid], [true, null, gateway.pid]);
    assert.match(status.version, /^\d+\.\d+\.\d+/);
    const started = Date.parse(status.started);
    assert.ok(started >= before - 1000 && started <= Date.now() && Date.parse(status.now) >= started);
    assert.match(status.store, /^sqlite:.*chat\.db$/);
    assert.deepEqual(status.listeners, gateway.listeners);
    assert.deepEqual([status.sessions['nereid-stream'], status.sessions.talker], [1, 0]);
    assert.deepEqual([status.users, status.threads, status.messages], [2, 1, { in: 1, out: 1 }]);
    assert.equal(status.cursor, '1');
  });

  test('says who is connected, as it is written and whatever their names are', async (t) => {
    const gateway = await startGateway(t);
    const names = ['alice', 'Zoë', 'a"b\\c', '</script>'];
    for (const name of names) await gateway.person(name).stream();
    const { sessions } = await view(gateway, '/sessions');
    assert.deepEqual(sessions.map(({ user }) => user).sort(), [...names].sort());
    for (const one of sessions) {
      assert.deepEqual(
        [one.displayName, one.protocol, one.address, one.token, one.replaying, one.available, one.show],
        [one.user, 'nereid-stream', '127.0.0.1', false, false, true, 'chat'],
      );
      assert.equal(typeof one.queue_bytes, 'number');
      assert.ok(Math.abs(Date.parse(one.since) - Date.now()) < 60_000);
    }
    const query = (fields) => `/sessions?${new URLSearchParams(fields)}`;
    for (const name of names)
      assert.deepEqual(
        (await view(gateway, query({ user: name }))).sessions.map(({ user }) => user),
        [name],
      );
    assert.equal((await view(gateway, query({ protocol: 'talker' }))).sessions.length, 0);
    assert.equal((await view(gateway, query({ user: 'alice', protocol: 'nereid-stream' }))).sessions.length, 1);
  });

  test('gives lists in parts, in any order, and says of how many', async (t) => {
    const gateway = await startGateway(t);
    const names = Array.from({ length: 25 }, (_, i) => `user ${String(i).padStart(2, '0')}`);
    for (const name of ['Zoë', ...names]) await gateway.person(name).stream();
    const part = async (fields) => {
      const { sessions, matching, total } = await view(gateway, `/sessions?${new URLSearchParams(fields)}`);
      return [sessions.map(({ user }) => user), matching, total];
    };
    assert.deepEqual((await part({}))[0].sort(), ['Zoë', ...names].sort(), 'without wishes it is all there is');
    assert.deepEqual(await part({ sort: 'user', limit: 3 }), [names.slice(0, 3), 26, 26]);
    assert.deepEqual(await part({ sort: 'user', limit: 3, offset: 3 }), [names.slice(3, 6), 26, 26]);
    assert.deepEqual(await part({ sort: '-user', limit: 2 }), [['Zoë', 'user 24'], 26, 26]);
    assert.deepEqual(await part({ sort: 'since', limit: 2 }), [['Zoë', 'user 00'], 26, 26]);
    assert.deepEqual(await part({ sort: '-queue_bytes', limit: 2 }), [names.slice(0, 2), 26, 26], 'equals by name');
    assert.deepEqual(await part({ sort: 'user', find: 'USER 1', offset: 8 }), [['user 18', 'user 19'], 10, 26]);
    assert.deepEqual(await part({ find: 'oë' }), [['Zoë'], 1, 26]);
    assert.deepEqual((await part({ find: '127.0.0', limit: 0 })), [[], 26, 26], 'addresses, too');
    assert.deepEqual(await part({ find: 'nobody' }), [[], 0, 26]);
    assert.deepEqual(await part({ offset: 1000 }), [[], 26, 26]);
    assert.deepEqual(await part({ protocol: 'talker' }), [[], 0, 26]);
    for (const sort of ['protocol', 'address', '-since']) assert.equal((await part({ sort }))[0].length, 26, sort);
    const bad = ['limit=x', 'limit=-1', 'limit=', 'limit=9999999999', 'offset=1.5', 'sort=token', 'sort=', 'sort=-'];
    for (const query of bad)
      for (const path of ['/sessions', '/threads']) {
        const { status, body } = await gateway.admin(`${path}?${query}`);
        assert.deepEqual([status, JSON.parse(body).error], [400, 'bad_field'], path + query);
      }
  });

  test('says of a thread when the last message came', async (t) => {
    const gateway = await startGateway(t);
    const [alice, bob] = await gateway.people('alice', 'bob');
    const [lobby, hall] = [await alice.room('lobby'), await bob.room('Hall')];
    const direct = await alice.thread('bob');
    for (const one of [alice, bob]) await one.stream();
    const list = async (query) => {
      const { threads, matching, total } = await view(gateway, `/threads?${query}`);
      return [threads.map(({ id }) => id), matching, total];
    };
    const { threads } = await view(gateway, '/threads');
    assert.ok(threads.every((thread) => !('last' in thread)), 'none so far');
    await alice.say(lobby, 'one');
    const { threads: later } = await view(gateway, '/threads?sort=-last');
    assert.equal(later[0].id, lobby);
    assert.ok(Math.abs(Date.parse(later[0].last) - Date.now()) < 10_000);
    await bob.say(hall, 'two');
    assert.deepEqual(await list('sort=-last&limit=2'), [[hall, lobby], 3, 3]);
    assert.deepEqual(await list('sort=room'), [[hall, lobby, direct], 3, 3]);
    assert.deepEqual(await list('sort=-members&limit=1'), [[direct], 3, 3]);
    assert.deepEqual(await list('find=hALL'), [[hall], 1, 3]);
    assert.deepEqual(await list(`find=${direct.slice(4, 20).toUpperCase()}`), [[direct], 1, 3]);
    assert.equal((await list('sort=available'))[0].length, 3);
  });

  test('has polls while they wait, and no token in whole', async (t) => {
    const gateway = await startGateway(t);
    const [alice] = await gateway.people('alice');
    const holder = await alice.tokenHolder();
    const { cursor: since } = await holder.poll({ wait: 0 });
    const polling = holder.poll({ since, wait: 30 });
    const { sessions } = await waitFor(async () => {
      const all = await view(gateway, '/sessions');
      return all.sessions.length && all;
    }, 'the poll is there');
    const [{ protocol, token, address }] = sessions;
    assert.deepEqual([protocol, token, address], ['nereid-poll', true, '127.0.0.1']);
    const { tokens } = await view(gateway, '/tokens');
    assert.deepEqual(
      tokens.map(({ begins, user, sessions: count }) => [begins, user, count]),
      [[holder.chatToken.slice(0, 8), 'alice', 1]],
    );
    assert.ok(Date.parse(tokens[0].expires) > Date.now());
    for (const path of VIEWS) assert.ok(!(await gateway.admin(path)).body.includes(holder.chatToken));
    await alice.setPresence({ show: 'away' });
    await polling;
  });

  test('is for no page of another origin, and for no name that leads here', async (t) => {
    const gateway = await startGateway(t);
    await gateway.person('alice').room('lobby');
    const port = gateway.address('admin').split(':')[1];
    const refused = [
      [`Host: 127.0.0.1:${port}`, 'Origin: http://evil.example'],
      [`Host: 127.0.0.1:${port}`, 'Origin: null'],
      [`Host: 127.0.0.1:${port}`, 'Origin: http://127.0.0.1:1'],
      [`Host: evil.example:${port}`],
      [`Host: evil.example:${port}`, `Origin: http://evil.example:${port}`],
      ['Host: localhost.evil.example'],
      ['Host: 127.0.0.1.evil.example'],
      ['Host: localhostx'],
      ['Host: 127.0.0.1x:80'],
      ['Host: [::1].evil.example'],
    ];
    const taken = [
      [`Host: 127.0.0.1:${port}`],
      [`Host: 127.0.0.1:${port}`, `Origin: http://127.0.0.1:${port}`],
      ['Host: 192.0.2.7'],
      ['Host: LocalHost:1'],
      ['Host: [::1]:1'],
      ['Host: '],
    ];
    const body = JSON.stringify({ thread: 'lobby', text: 'x', user: 'alice' });
    const sending = ['POST /send HTTP/1.1', 'Content-Type: application/json', `Content-Length: ${body.length}`];
    for (const headers of refused) {
      for (const path of [...VIEWS, '/threads/lobby/watch']) {
        const { status, body: text } = await raw(gateway, [`GET ${path} HTTP/1.1`, ...headers]);
        assert.equal(status, 403, `${path} ${headers}`);
        assert.match(text, /"error": "(bad_origin|forbidden)"/);
      }
      assert.equal((await raw(gateway, [...sending, ...headers], body)).status, 403, `${headers}`);
    }
    for (const headers of taken) {
      for (const path of VIEWS) assert.equal((await raw(gateway, [`GET ${path} HTTP/1.1`, ...headers])).status, 200);
      assert.equal((await raw(gateway, [...sending, ...headers], body)).status, 200, `${headers}`);
    }
    assert.equal((await raw(gateway, ['GET /status HTTP/1.0'])).status, 200, 'HTTP/1.0 needs no Host');
    const health = await raw(gateway, ['GET /healthz HTTP/1.1', 'Host: evil.example']);
    assert.equal(health.status, 200, 'health is no secret');
  });
});

const stores = {
  SQLite: (t, options) => startGateway(t, options),
  Redis: async (t, options) => startNode(t, await startRedis(t), options),
};

describe('sending by the admin listener', { concurrency: 4 }, () => {
  test('answers with id and cursor, and repeats nothing', async (t) => {
    const gateway = await startGateway(t);
    const alice = gateway.person('alice');
    const thread = await alice.room('lobby');
    const id = '6f9619ff-8b86-4d11-b42d-00c04fc964ff';
    const stream = await alice.stream();
    const first = await say(gateway, { thread: 'lobby', text: 'one', id });
    assert.deepEqual(first, { id, thread, cursor: first.cursor, repeated: false });
    assert.deepEqual(await say(gateway, { thread: 'lobby', text: 'one', id }), { ...first, repeated: true });
    assert.equal((await stream.message('one')).cursor, first.cursor);
    await say(gateway, { thread, text: 'two' });
    await stream.message('two');
    assert.deepEqual(stream.texts, ['one', 'two']);
    const { status, body } = await post(gateway, { thread, text: 'x', id, user: 'alice' });
    assert.deepEqual([status, body.error], [409, 'conflict']);
  });

  test('says which field is wrong', async (t) => {
    const gateway = await startGateway(t);
    const rows = [
      [{ text: 'x' }, 400, 'missing_field', /^thread: /],
      [{ thread: 'lobby' }, 400, 'missing_field', /^text: /],
      [{ thread: '', text: 'x' }, 400, 'bad_field', /^thread: /],
      [{ thread: 'a\nb', text: 'x' }, 400, 'bad_field', /^thread: /],
      [{ thread: ['a', 'b'], text: 'x' }, 400, 'bad_field', /^thread: /],
      [{ thread: 'lobby', text: { a: 1 } }, 400, 'bad_field', /^text: /],
      [{ thread: 'lobby', text: 'x', id: 'y' }, 400, 'bad_field', /^id: /],
      [{ thread: 'lobby', text: 'x', user: 'a\u0007' }, 400, 'bad_field', /^user: /],
      [{ thread: 'lobby', text: 'x', user: ' a' }, 400, 'bad_field', /^user: /],
      [{ thread: 'lobby', text: 'x', user: 'a ' }, 400, 'bad_field', /^user: /],
      [{ thread: 'lobby', text: 'x', user: 'a'.repeat(129) }, 400, 'bad_field', /^user: /],
      [{ thread: 'lobby', text: 'x'.repeat(33_000) }, 413, 'too_large', /^text: this is too large$/],
      [{ thread: 'lobby', text: 'x' }, 404, 'no_thread', /no such thread/],
    ];
    for (const [fields, status, error, message] of rows) {
      const answer = await post(gateway, fields);
      assert.deepEqual([answer.status, answer.body.error], [status, error], JSON.stringify(fields));
      assert.match(answer.body.message, message);
    }
  });

  for (const [store, start] of Object.entries(stores))
    test(`leaves nobody behind when it is refused, on ${store}`, async (t) => {
      const gateway = await start(t, { 'rooms.open': 'no', 'limits.text': 10, 'limits.send_rate': 1 });
      const [alice] = await gateway.people('alice', 'bob');
      await alice.room('lobby');
      const rows = [
        [{ thread: 'nope', text: 'x' }, 'no_thread'],
        [{ thread: await alice.thread('bob'), text: 'x' }, 'no_thread'],
        [{ thread: 'lobby', text: 'x' }, 'forbidden'],
        [{ thread: 'lobby', text: 'x'.repeat(11) }, 'too_large'],
        [{ thread: 'lobby', text: 'x', user: 'ghost 0' }, 'too_many'],
      ];
      for (const [i, [fields, error]] of rows.entries())
        assert.equal((await post(gateway, { user: `ghost ${i}`, ...fields })).body.error, error);
      assert.deepEqual(
        (await alice.friends()).map(({ id }) => id),
        ['bob'],
      );
    });

  for (const [store, start] of Object.entries(stores))
    test(`many at once all arrive, and nobody is left behind, on ${store}`, async (t) => {
      const gateway = await start(t);
      const alice = gateway.person('alice');
      const thread = await alice.room('lobby');
      const stream = await alice.stream();
      const texts = Array.from({ length: 200 }, (_, i) => `message ${i}`);
      const answers = await Promise.all(texts.map((text) => post(gateway, { thread, text })));
      for (const [i, { status, body }] of answers.entries()) assert.equal(status, 200, `${i}: ${JSON.stringify(body)}`);
      await waitFor(() => stream.texts.length === texts.length, 'all have come');
      assert.deepEqual(stream.texts.sort(), texts.sort());
      const { threads } = await view(gateway, '/threads');
      assert.deepEqual(
        threads.map(({ members }) => members),
        [1],
      );
    });
});

// A watch as an HTTP client has it.
async function watch(gateway, thread) {
  const lines = [];
  const response = await fetch(`${gateway.adminUrl}/threads/${thread}/watch`);
  assert.equal(response.status, 200);
  assert.equal(response.headers.get('content-type'), 'application/x-ndjson');
  const reader = response.body.getReader();
  gateway.clients.add({ close: () => reader.cancel().catch(() => {}) });
  let text = '';
  const ended = (async () => {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      text += Buffer.from(value).toString();
      const all = text.split('\n');
      text = all.pop();
      lines.push(...all.map((line) => JSON.parse(line)));
    }
  })();
  return { lines, ended, line: (matches, ms) => waitFor(() => lines.find(matches), 'a line of the watch', ms) };
}

describe('watching a thread', { concurrency: 4 }, () => {
  test('begins with who is there, and goes on with what changes', async (t) => {
    const gateway = await startGateway(t, { 'presence.grace': 0 });
    const [alice, bob] = await gateway.people('alice', 'bob');
    const thread = await alice.room('tea & cake');
    const { lines, line } = await watch(gateway, encodeURIComponent('tea & cake'));
    const first = await line(({ type }) => type === 'thread');
    const member = { id: 'alice', displayName: 'alice', role: 'owner', available: false, idle: false, show: 'chat' };
    const { timestamp } = first;
    assert.deepEqual(first, { timestamp, type: 'thread', thread, room: 'tea & cake', members: [member] });
    const stream = await alice.stream();
    const came = await line(({ change }) => change === 'available');
    assert.deepEqual([came.type, came.member], ['member', { ...member, available: true }]);
    await bob.room('tea & cake');
    assert.equal((await line(({ change }) => change === 'joined')).member.role, 'guest');
    await alice.setPresence({ show: 'away', status: 'out' });
    const shown = await line(({ change }) => change === 'show');
    assert.deepEqual([shown.member.show, shown.member.status], ['away', 'out']);
    await alice.say(thread, 'hello');
    const { message } = await line(({ type }) => type === 'message');
    assert.deepEqual([message.text, message.thread, message.sender.id], ['hello', thread, 'alice']);
    stream.close();
    await line(({ change }) => change === 'unavailable');
    for (const one of lines) assert.match(one.timestamp, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/);
  });

  test('has heartbeats while nothing happens', async (t) => {
    const gateway = await startGateway(t);
    await gateway.person('alice').room('lobby');
    const { line } = await watch(gateway, 'lobby');
    const { timestamp } = await line(({ type }) => type === 'heartbeat', 25_000);
    assert.ok(Math.abs(Date.parse(timestamp) - Date.now()) < 10_000);
  });

  test('ends with the reason, and does not hold up the end of the gateway', async (t) => {
    const gateway = await startGateway(t);
    await gateway.person('alice').room('lobby');
    const watches = await Promise.all([1, 2, 3].map(() => watch(gateway, 'lobby')));
    for (const { line } of watches) await line(({ type }) => type === 'thread');
    const begun = Date.now();
    await gateway.stop();
    assert.ok(Date.now() - begun < 5000);
    for (const { lines, ended } of watches) {
      await ended;
      assert.deepEqual([lines.at(-1).type, lines.at(-1).error], ['end', 'shutting_down']);
    }
  });

  test('is over for who does not read, and for nobody else', async (t) => {
    const gateway = await startGateway(t, { 'limits.queue': '64K', 'limits.text': '32K' });
    const alice = gateway.person('alice');
    const thread = await alice.room('lobby');
    const reading = await watch(gateway, 'lobby');
    const lazy = await RawSocket.connect(gateway, gateway.address('admin'), { reading: false });
    lazy.send(['GET /threads/lobby/watch HTTP/1.1', 'Host: localhost']);
    await waitFor(async () => (await view(gateway, '/threads')).threads[0]?.watches === 2, 'both watch');
    let count = 0;
    while ((await gateway.limitHits('queue')) === 0 && count < 1000) {
      for (let i = 0; i < 20; i++) await alice.say(thread, 'x'.repeat(30_000));
      count += 20;
    }
    assert.ok(count < 1000, 'the lazy one was cut');
    assert.equal(await gateway.limitHits('queue'), 1);
    await waitFor(() => reading.lines.filter(({ type }) => type === 'message').length === count, 'the other has all');
    assert.equal((await view(gateway, '/threads')).threads[0].watches, 1);
    await gateway.logged(/info "watch ended: slow reader" address=127\.0\.0\.1/);
    lazy.close();
  });

  test('leaves nothing behind when its reader goes', async (t) => {
    const gateway = await startGateway(t);
    await gateway.person('alice').room('lobby');
    for (let i = 0; i < 20; i++) {
      const one = await RawSocket.connect(gateway, gateway.address('admin'));
      one.send(['GET /threads/lobby/watch HTTP/1.1', 'Host: localhost']);
      if (i % 2) await one.until(/"type":"thread"/);
      one.close();
    }
    const head = await RawSocket.connect(gateway, gateway.address('admin'));
    head.send(['HEAD /threads/lobby/watch HTTP/1.1', 'Host: localhost']);
    assert.match(await head.untilClosed(), /^HTTP\/1\.1 200 /);
    head.close();
    await waitFor(async () => (await view(gateway, '/threads')).threads.length === 0, 'the thread leaves memory again');
  });

  test('answers 404 where there is no such thread', async (t) => {
    const gateway = await startGateway(t);
    for (const thread of ['lobby', '6f9619ff-8b86-4d11-b42d-00c04fc964ff', 'x'.repeat(129), '%E2%80%AE']) {
      const { status, body } = await gateway.admin(`/threads/${thread}/watch`);
      assert.deepEqual([status, JSON.parse(body).error], [404, 'no_thread'], thread);
    }
  });
});
