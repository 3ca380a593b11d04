// SPDX-License-Identifier: MIT
// nereidctl: what operators see and do with it, at a real nereidd.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import { describe, test } from 'node:test';

import { makeFolder, startGateway } from './lib/gateway.js';
import { Watch, ctl, program, runCtl } from './lib/nereidctl.js';
import { meet, startNode, startNodes } from './lib/nodes.js';
import { startRedis } from './lib/redis.js';
import { Talker } from './lib/talker.js';
import { Authority } from './lib/tls.js';
import { waitFor } from './lib/wait.js';

const EX_USAGE = 64;
const EX_DATAERR = 65;
const EX_UNAVAILABLE = 69;
const EX_IOERR = 74;
const EX_PROTOCOL = 76;
const REFUSED = 1;

const UUID = /[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/;

// It said nothing but one line about what is wrong.
function assertFails(run, code, pattern) {
  assert.equal(run.code, code, run.stderr);
  assert.equal(run.stdout, '');
  assert.match(run.stderr, /^nereidctl: [^\n]+\n$/);
  assert.match(run.stderr, pattern);
}

function assertWorks(run) {
  assert.deepEqual([run.code, run.stderr], [0, '']);
  return run;
}

async function works(gateway, ...args) {
  return assertWorks(await ctl(gateway, ...args));
}

async function json(gateway, ...args) {
  return JSON.parse((await works(gateway, '--json', ...args)).stdout);
}

// Where something stands in a line as a terminal shows it: wide characters take two columns.
function columnOf(line, text) {
  const before = line.slice(0, line.indexOf(text));
  const width = (c) => (/\p{Mn}/u.test(c) ? 0 : /[\u1100-\uffdc\u{1f300}-\u{1faff}]/u.test(c) ? 2 : 1);
  return [...before].reduce((sum, c) => sum + width(c), 0);
}

async function fakeServer(t, handle) {
  const server = http.createServer(handle).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  t.after(() => server.closeAllConnections());
  return `127.0.0.1:${server.address().port}`;
}

describe('the arguments of nereidctl', { concurrency: 4 }, () => {
  test('are explained', async () => {
    for (const args of [['--help'], ['-h'], ['help'], ['-V', '-h'], ['status', '--help']]) {
      const { stdout } = assertWorks(await runCtl(args));
      assert.match(stdout, /^usage: nereidctl \[-a ADDRESS\] \[--json\] COMMAND/);
      for (const command of ['status', 'sessions', 'threads', 'tokens', 'send', 'watch', 'probe'])
        assert.match(stdout, new RegExp(`^  ${command}\\b`, 'm'));
      for (const line of stdout.split('\n')) assert.ok(line.length <= 100, line);
    }
    for (const flag of ['--version', '-V'])
      assert.match(assertWorks(await runCtl([flag])).stdout, /^nereidctl \d+\.\d+\.\d+\nlibcurl\/.*\n$/);
  });

  test('that are wrong end it with 64 and a line that says which', async () => {
    const rows = [
      [[], /a command is missing/],
      [['dance'], /there is no command dance/],
      [['--dance', 'status'], /--dance is not understood/],
      [['-y', 'status'], /-y is not understood/],
      [['-a'], /-a needs an argument/],
      [['status', 'more'], /status takes no arguments/],
      [['send', 'lobby'], /send takes .*THREAD TEXT/],
      [['send', 'lobby', 'one', 'two'], /send takes/],
      [['watch'], /watch takes THREAD/],
      [['status', '--user', 'alice'], /status takes no --user/],
      [['send', '--protocol', 'x', 'a', 'b'], /send takes no --protocol/],
      [['status', '--proxy', 'x'], /status takes no --proxy/],
      [['probe'], /probe takes .*URL/],
      [['probe', '-a', '127.0.0.1:8081', 'localhost'], /probe takes no --address/],
      [['probe', '--seconds', '601', 'localhost'], /--seconds takes 0 to 600/],
      [['probe', '--seconds', '-1', 'localhost'], /--seconds takes 0 to 600/],
      [['probe', '--seconds', '', 'localhost'], /--seconds takes 0 to 600/],
      [['probe', ''], /is no http or https URL/],
      [['probe', 'ftp://127.0.0.1'], /ftp:\/\/127.0.0.1 is no http or https URL/],
      [['probe', 'http://a b'], /is no http or https URL/],
      [['-a', 'what is this', 'status'], /what is this is no address/],
      [['-a', 'ftp://127.0.0.1', 'status'], /is no address/],
      [['-a', '127.0.0.1:99999', 'status'], /is no address/],
    ];
    for (const [args, pattern] of rows) assertFails(await runCtl(args), EX_USAGE, pattern);
  });
});

describe('nereidctl finds the admin listener', { concurrency: 4 }, () => {
  test('by address, by URL, by the path of a socket, on the command line or in the environment', async (t) => {
    const folder = await makeFolder(t);
    const gateway = await startGateway(t, { 'admin.listen': ['127.0.0.1:0', `unix:${folder}/admin`] });
    const address = gateway.address('admin');
    const port = address.split(':')[1];
    const socket = `unix:${folder}/admin`;
    const places = [address, `http://${address}`, `http://${address}/`, `localhost:${port}`, socket];
    for (const place of places) {
      assertWorks(await runCtl(['-a', place, 'status']));
      assertWorks(await runCtl(['status', '--address', place]));
      assertWorks(await runCtl(['status'], { env: { NEREIDCTL_ADDRESS: place } }));
    }
    assertWorks(await runCtl(['-a', socket, 'status'], { env: { NEREIDCTL_ADDRESS: '127.0.0.1:1' } }));
    assertWorks(await runCtl(['-a', address, 'status'], { env: { http_proxy: 'http://127.0.0.1:1' } }));
  });

  test('and by TLS, if its certificate is to be trusted', async (t) => {
    const authority = await Authority.make(t);
    const { certificate, key } = await authority.issue('admin');
    const options = { 'admin.listen': 'tls:127.0.0.1:0', 'tls.certificate': certificate, 'tls.key': key };
    const gateway = await startGateway(t, options);
    await gateway.person('alice').room('lobby');
    const address = gateway.address('admin');
    const [, port] = /^tls:127\.0\.0\.1:(\d+)$/.exec(address);
    for (const place of [address, `tls:localhost:${port}`, `https://localhost:${port}`])
      assertWorks(await runCtl(['-a', place, '--cacert', authority.file, 'status']));
    const watch = await Watch.start(gateway, 'lobby', '--cacert', authority.file);
    assert.equal((await watch.interrupt()).code, 0);
    assertFails(await runCtl(['-a', address, 'status']), EX_UNAVAILABLE, /certificate/);
    assertFails(await runCtl(['-a', `127.0.0.1:${port}`, 'status']), EX_UNAVAILABLE, /127/);
    const untrusting = await runCtl(['-a', address, '--cacert', `${authority.file}.not`, 'status']);
    assertFails(untrusting, EX_UNAVAILABLE, /CA cert/);
  });

  test('or says that it cannot be reached, with 69', async (t) => {
    const folder = await makeFolder(t);
    assertFails(await runCtl(['-a', `unix:${folder}/none`, 'status']), EX_UNAVAILABLE, /unix:.*\/none: /);
    const gateway = await startGateway(t);
    const address = gateway.address('admin');
    await gateway.stop();
    for (const command of [['status'], ['watch', 'lobby'], ['send', 'lobby', 'x']])
      assertFails(await runCtl(['-a', address, ...command]), EX_UNAVAILABLE, new RegExp(address));
  });

  test('and tells it from other servers, with 76', async (t) => {
    const gateway = await startGateway(t);
    const other = await fakeServer(t, (req, res) => res.end('<html>\x1b[2J</html>'));
    const refusing = await fakeServer(t, (req, res) => res.writeHead(401).end('no'));
    for (const command of [['status'], ['sessions'], ['send', 'lobby', 'x'], ['watch', 'lobby']]) {
      const toClients = await runCtl(['-a', gateway.address(), ...command]);
      assertFails(toClients, EX_PROTOCOL, /this is not the admin listener of a nereidd \(HTTP status 404\)/);
      const refused = await runCtl(['-a', refusing, ...command]);
      assertFails(refused, EX_PROTOCOL, /this is not the admin listener of a nereidd \(HTTP status 401\)/);
    }
    assertFails(await runCtl(['-a', other, 'status']), EX_PROTOCOL, /the answer is not that of a nereidd/);
  });

  test('shows what such a server says without obeying it', async (t) => {
    const rogue = await fakeServer(t, (req, res) =>
      res.writeHead(400).end(JSON.stringify({ error: 'e\x1b', message: 'm\x1b[2J\u202e\n' })),
    );
    assertFails(await runCtl(['-a', rogue, 'status']), REFUSED, /m\\x1b\[2J\\u202e\\n \(e\\x1b\)/);
  });
});

describe('nereidctl shows', { concurrency: 4 }, () => {
  test('how the process is', async (t) => {
    const gateway = await startGateway(t);
    const [alice] = await gateway.people('alice', 'bob');
    await alice.stream();
    await alice.room('lobby');
    const { stdout } = await works(gateway, 'status');
    assert.match(stdout, /^nereidd +\d+\.\d+\.\d+\nready +yes\n/);
    assert.match(stdout, new RegExp(`^process +${gateway.pid}$`, 'm'));
    assert.match(stdout, new RegExp(`http ${gateway.address()}$`, 'm'));
    assert.match(stdout, new RegExp(`admin ${gateway.address('admin')}$`, 'm'));
    assert.match(stdout, /^sessions +1 nereid-stream$/m);
    assert.match(stdout, /^threads +1$/m);
    const status = await json(gateway, 'status');
    assert.equal(status.pid, gateway.pid);
    assert.equal(status.ready, true);
    assert.deepEqual(status.listeners.map(({ name }) => name).sort(), ['admin', 'http', 'talker']);
  });

  test('the store without its password', async (t) => {
    const redis = await startRedis(t, { port: 'tcp', args: ['--requirepass', 'geheim'] });
    redis.login = { password: 'geheim' };
    const url = redis.url.replace('redis://', 'redis://default:geheim@');
    const gateway = await startNode(t, redis, { 'store.url': url });
    const { stdout } = await works(gateway, 'status');
    assert.match(stdout, new RegExp(`^store +${redis.url}$`, 'm'));
    assert.ok(!stdout.includes('geheim'));
    assert.ok(!JSON.stringify(await json(gateway, 'status')).includes('geheim'));
  });

  test('who is connected, by which protocol, from where', async (t) => {
    const gateway = await startGateway(t);
    const [alice, bob] = await gateway.people('alice', 'bob');
    await alice.stream();
    await alice.events();
    await bob.stream();
    await Talker.as(bob, 'lobby');
    const { lines } = await works(gateway, 'sessions');
    assert.match(lines[0], /^USER +PROTOCOL +ADDRESS +SINCE +SHOW +QUEUED +NOTES$/);
    assert.deepEqual(
      lines.slice(1).map((line) => line.split(/  +/).slice(0, 3)),
      [
        ['alice', 'nereid-stream', '127.0.0.1'],
        ['alice', 'nereid-stream', '127.0.0.1'],
        ['bob', 'nereid-stream', '127.0.0.1'],
        ['bob', 'talker', '127.0.0.1'],
      ],
    );
    assert.equal(lines.filter((line) => /by token$/.test(line)).length, 2);
    const rows = async (...args) => (await works(gateway, 'sessions', ...args)).lines.length - 1;
    assert.equal(await rows('--user', 'alice'), 2);
    assert.equal(await rows('-u', 'bob', '--protocol', 'talker'), 1);
    assert.equal(await rows('--protocol', 'nereid-stream'), 3);
    assert.equal(await rows('--user', 'nobody&protocol=talker'), 0);
    const { sessions } = await json(gateway, 'sessions', '--user', 'bob');
    assert.deepEqual(sessions.map(({ user, protocol, available }) => [user, protocol, available]).sort(), [
      ['bob', 'nereid-stream', true],
      ['bob', 'talker', true],
    ]);
  });

  test('names of any script in columns that line up', async (t) => {
    const gateway = await startGateway(t);
    const names = ['Zoë', '好好', 'Анна', 'e\u0301mile', '😀', 'bob'];
    for (const name of names) await gateway.person(name).stream();
    const { lines } = await works(gateway, 'sessions');
    assert.equal(lines.length, names.length + 1);
    for (const line of lines.slice(1))
      assert.equal(columnOf(line, 'nereid-stream'), columnOf(lines[0], 'PROTOCOL'), line);
    for (const line of lines) assert.equal(line, line.trimEnd());
  });

  test('the threads, and how many are there', async (t) => {
    const gateway = await startGateway(t, { 'presence.grace': 0 });
    const [alice, bob] = await gateway.people('alice', 'bob');
    const direct = await alice.thread('bob');
    const room = await alice.room('lobby');
    await bob.room('lobby');
    await alice.stream();
    const { lines } = await works(gateway, 'threads');
    assert.match(lines[0], /^ROOM +THREAD +MEMBERS +AVAILABLE +WATCHES$/);
    assert.match(lines[1], new RegExp(`^ +${direct} +2 +1 +0$`));
    assert.match(lines[2], new RegExp(`^lobby +${room} +2 +1 +0$`));
    const watch = await Watch.start(gateway, 'lobby');
    const { threads } = await json(gateway, 'threads');
    assert.deepEqual(
      threads.find(({ id }) => id === room),
      { id: room, room: 'lobby', members: 2, available: 1, watches: 1 },
    );
    assert.equal(threads.find(({ id }) => id === direct).room, undefined);
    assert.equal((await watch.interrupt()).code, 0);
  });

  test('tokens by their beginning only', async (t) => {
    const gateway = await startGateway(t);
    const [alice] = await gateway.people('alice');
    const token = await alice.token();
    await alice.events({}, token);
    const { lines, stdout } = await works(gateway, 'tokens');
    assert.match(lines[0], /^USER +TOKEN +SESSIONS +EXPIRES$/);
    const time = '\\d{4}-\\d\\d-\\d\\d \\d\\d:\\d\\d:\\d\\d';
    assert.match(lines[1], new RegExp(`^alice +${token.slice(0, 8)}\\.\\.\\. +1 +${time}$`));
    const text = stdout + JSON.stringify([await json(gateway, 'tokens'), await json(gateway, 'sessions')]);
    assert.ok(!text.includes(token));
  });

  test('an empty list as one', async (t) => {
    const gateway = await startGateway(t);
    for (const list of ['sessions', 'threads', 'tokens']) {
      assert.equal((await works(gateway, list)).lines.length, 1);
      assert.deepEqual((await json(gateway, list))[list], []);
    }
  });
});

describe('nereidctl send', { concurrency: 4 }, () => {
  test('speaks in a room as operator, who is gone again, and leaves a line in the log', async (t) => {
    const gateway = await startGateway(t);
    const [alice] = await gateway.people('alice');
    const room = await alice.room('lobby');
    const stream = await alice.stream();
    const { stdout } = await works(gateway, 'send', 'lobby', 'maintenance at noon');
    const [, id, thread] = /^sent (\S+) to (\S+)\n$/.exec(stdout);
    assert.equal(thread, room);
    const message = await stream.message('maintenance at noon');
    assert.deepEqual([message.id, message.thread, message.sender.id], [id, room, 'operator']);
    assert.equal((await json(gateway, 'threads')).threads[0].members, 1);
    await gateway.logged(new RegExp(`info "operator sent a message" user=operator thread=${room} id=${id} `));
    assert.ok(!(await gateway.logText()).includes('noon'), 'what was said is not in the log');
  });

  test('speaks as a member, where only members may', async (t) => {
    const gateway = await startGateway(t);
    const [alice, bob] = await gateway.people('alice', 'bob');
    const direct = await alice.thread('bob');
    const stream = await bob.stream();
    assertFails(await ctl(gateway, 'send', direct, 'x'), REFUSED, /no member of it \(no_thread\)/);
    await works(gateway, 'send', '-u', 'alice', direct, 'as alice');
    assert.equal((await stream.message('as alice')).sender.id, 'alice');
    assert.equal((await json(gateway, 'threads')).threads[0].members, 2, 'alice has stayed');
  });

  test('speaks as somebody who visits the room, and lets them stay', async (t) => {
    const gateway = await startGateway(t);
    const [alice, bob] = await gateway.people('alice', 'bob');
    const [alices, bobs] = await Talker.together([alice, bob], 'lobby');
    await works(gateway, 'send', '-u', 'bob', 'lobby', 'by an operator');
    const { user } = await alices.hears('by an operator');
    assert.equal(user.id, 'bob');
    bobs.message('still here');
    await alices.hears('still here');
    assert.deepEqual(
      alices.events.items.filter(({ type }) => type === 'leave'),
      [],
    );
    await Promise.all([alices.leave(), bobs.leave()]);
  });

  test('speaks as somebody whose connection broke, and leaves what they missed to them', async (t) => {
    const gateway = await startGateway(t);
    const [alice, bob] = await gateway.people('alice', 'bob');
    const [alices, bobs] = await Talker.together([alice, bob], 'lobby');
    alices.message('the last that bob hears');
    const { id } = await bobs.hears('the last that bob hears');
    bobs.break();
    await alices.about('idle', 'bob');
    await works(gateway, 'send', '-u', 'bob', 'lobby', 'by an operator');
    await alices.hears('by an operator');
    alices.message('what bob missed');
    await alices.hears('what bob missed');
    const again = await Talker.as(bob, 'lobby', { last_event_id: id });
    await again.hears('what bob missed');
    await Promise.all([alices.leave(), again.leave()]);
  });

  test('takes text from standard input, and any text after --', async (t) => {
    const gateway = await startGateway(t);
    const [alice] = await gateway.people('alice');
    await alice.room('lobby');
    const stream = await alice.stream();
    const address = ['-a', gateway.address('admin')];
    assertWorks(await runCtl([...address, 'send', 'lobby', '-'], { input: 'one\ntwo "ü" \\ \x01\n' }));
    await stream.message('one\ntwo "ü" \\ \x01');
    await works(gateway, 'send', 'lobby', '--', '--json');
    await stream.message('--json');
    const { id, thread, cursor, repeated } = await json(gateway, 'send', 'lobby', 'three');
    assert.match(id, UUID);
    assert.match(thread, UUID);
    assert.deepEqual([typeof cursor, repeated], ['string', false]);
  });

  test('refuses what is no text, before it is sent', async (t) => {
    const gateway = await startGateway(t);
    const address = ['-a', gateway.address('admin')];
    const run = await runCtl([...address, 'send', 'lobby', '-'], { input: Buffer.from([0x61, 0xff]) });
    assertFails(run, EX_DATAERR, /the text is not UTF-8/);
  });

  test('makes no rooms, and passes on what the gateway refuses', async (t) => {
    const gateway = await startGateway(t, { 'limits.text': 100, 'rooms.open': 'no' });
    const [alice] = await gateway.people('alice');
    await alice.room('lobby');
    assertFails(await ctl(gateway, 'send', 'loby', 'x'), REFUSED, /there is no such thread/);
    assert.equal((await alice.ask('GET', '/threads')).threads.length, 1);
    assertFails(await ctl(gateway, 'send', 'lobby', 'x'), REFUSED, /open to their members only.*\(forbidden\)/);
    assertFails(await ctl(gateway, 'send', '-u', 'alice', 'lobby', 'x'.repeat(101)), REFUSED, /text: .*\(too_large\)/);
    assertFails(await ctl(gateway, 'send', '-u', 'a\nb', 'lobby', 'x'), REFUSED, /user: .*\(bad_field\)/);
    assertFails(await ctl(gateway, 'send', '-u', '', 'lobby', 'x'), REFUSED, /user: /);
    assertFails(await ctl(gateway, 'send', '', 'x'), REFUSED, /thread: /);
  });
});

describe('nereidctl says when it cannot write', { concurrency: 2 }, () => {
  const say = ['send', '-u', 'alice', 'lobby', 'x'];
  for (const command of [['status'], ['--json', 'sessions'], ['watch', 'lobby'], say, ['--help']])
    test(`what ${command.join(' ')} tells`, async (t) => {
      const gateway = await startGateway(t);
      await gateway.person('alice').room('lobby');
      const script = 'exec "$@" > /dev/full';
      const args = ['-c', script, 'sh', program, '-a', gateway.address('admin'), ...command];
      const { code, stderr } = await runCtl(args, { command: 'sh' });
      assert.deepEqual([code, stderr], [EX_IOERR, 'nereidctl: cannot write: No space left on device\n']);
    });
});

const stores = {
  SQLite: (t, options) => startGateway(t, options),
  Redis: async (t, options) => startNode(t, await startRedis(t), options),
};

for (const [store, start] of Object.entries(stores)) {
  describe(`nereidctl watch, on ${store}`, { concurrency: 4 }, () => {
    test('tells what is said, and who comes and goes', async (t) => {
      const gateway = await start(t, { 'presence.grace': '3s' });
      const [alice, bob] = await gateway.people('alice', 'bob');
      const room = await alice.room('lobby');
      const stream = await alice.stream();
      const watch = await Watch.start(gateway, 'lobby');
      assert.equal(watch.first, `* room lobby (${room}): alice`);
      await alice.say(room, 'hello');
      await watch.says(/^\d\d:\d\d:\d\d alice: hello$/);
      const bobs = await bob.stream();
      await bob.room('lobby');
      await watch.says(/^\d\d:\d\d:\d\d \* bob has joined$/);
      await bob.setPresence({ show: 'dnd', status: 'busy with tea' });
      await watch.says(/ \* bob is busy: busy with tea$/);
      bobs.close();
      await watch.says(/ \* bob is idle$/);
      await bob.stream();
      await watch.says(/ \* bob is back$/);
      stream.close();
      await watch.says(/ \* alice is idle$/);
      await watch.says(/ \* alice is gone$/);
      await alice.stream();
      await watch.says(/ \* alice is here$/);
      await works(gateway, 'send', room, 'by an operator');
      await watch.says(/ operator: by an operator$/);
      assert.equal((await json(gateway, 'threads')).threads[0].members, 2, 'the operator has left');
      assert.deepEqual(await watch.interrupt(), { code: 0, signal: null, stderr: '', rest: '' });
    });

    test('ends with a message when the gateway ends, or is killed', async (t) => {
      const gateway = await start(t);
      await gateway.person('alice').room('lobby');
      const asked = await Watch.start(gateway, 'lobby');
      gateway.signal('SIGTERM');
      const { code, stderr } = await asked.ended();
      assert.equal(code, EX_UNAVAILABLE);
      assert.equal(stderr, 'nereidctl: the watch is over: the server is shutting down\n');
      await gateway.ended();
      await gateway.start();
      const killed = await Watch.start(gateway, 'lobby');
      await gateway.kill();
      const end = await killed.ended();
      assert.equal(end.code, EX_UNAVAILABLE);
      assert.match(end.stderr, /^nereidctl: [^\n]+\n$/);
    });
  });
}

describe('nereidctl watch', { concurrency: 4 }, () => {
  test('hears at one node what happens at another', async (t) => {
    const redis = await startRedis(t);
    const [here, there] = await startNodes(t, redis, 2, { 'presence.grace': 0 });
    const [alice, bob] = await meet([here, there], 'alice', 'bob');
    const room = await alice.at(there).room('lobby');
    const watch = await Watch.start(here, 'lobby');
    assert.equal(watch.first, `* room lobby (${room}): nobody is here; not here: alice`);
    const stream = await alice.at(there).stream();
    await watch.says(/ \* alice is here$/);
    await bob.at(there).room('lobby');
    await watch.says(/ \* bob has joined$/);
    await bob.at(there).say(room, 'from afar');
    await watch.says(/ bob: from afar$/);
    await works(there, 'send', 'lobby', 'by an operator');
    await watch.says(/ operator: by an operator$/);
    stream.close();
    await watch.says(/ \* alice is gone$/);
    assert.equal((await watch.interrupt()).code, 0);
  });

  test('lets nobody write into the terminal', async (t) => {
    const gateway = await startGateway(t);
    const alice = gateway.person('alice');
    const room = await alice.room('tea \u{1f375}');
    const watch = await Watch.start(gateway, 'tea \u{1f375}');
    assert.match(watch.first, /^\* room tea 🍵 \(/);
    await alice.say(room, 'a\x1b]0;title\x07\x1b[2J\nb\r\u009bc\u202ed');
    await watch.says(/ alice: a\\x1b\]0;title\\x07\\x1b\[2J\\nb\\r\\u009bc\\u202ed$/);
    await alice.setPresence({ show: 'away', status: 'out\x1b[31m' });
    await watch.says(/ \* alice is away: out\\x1b\[31m$/);
    await watch.interrupt();
  });

  test('goes by id as well, for threads that are no rooms', async (t) => {
    const gateway = await startGateway(t);
    const [alice, bob] = await gateway.people('alice', 'bob');
    const direct = await alice.thread('bob');
    await bob.stream();
    const watch = await Watch.start(gateway, direct);
    assert.equal(watch.first, `* thread ${direct}: bob; not here: alice`);
    await alice.say(direct, 'psst');
    await watch.says(/ alice: psst$/);
    await watch.interrupt();
  });

  test('gives JSON, a line each, exact', async (t) => {
    const gateway = await startGateway(t);
    const alice = gateway.person('alice');
    const room = await alice.room('lobby');
    const watch = await Watch.start(gateway, 'lobby', '--json');
    const { type, thread, members } = JSON.parse(watch.first);
    assert.deepEqual([type, thread, members.map(({ id }) => id)], ['thread', room, ['alice']]);
    await alice.say(room, 'one\ntwo\x1b');
    const { message } = JSON.parse(await watch.says(/"message"/));
    assert.equal(message.text, 'one\ntwo\x1b');
    assert.deepEqual(await watch.interrupt(), { code: 0, signal: null, stderr: '', rest: '' });
  });

  test('says so if there is no such thread', async (t) => {
    const gateway = await startGateway(t);
    for (const thread of ['lobby', 'a/b?c#d', '6f9619ff-8b86-4d11-b42d-00c04fc964ff', 'x'.repeat(200)])
      assertFails(await ctl(gateway, 'watch', thread), REFUSED, /there is no such thread \(no_thread\)/);
  });

  test('is not seen by those who are watched', async (t) => {
    const gateway = await startGateway(t);
    const [alice, bob] = await gateway.people('alice', 'bob');
    const room = await alice.room('lobby');
    await bob.room('lobby');
    const stream = await alice.stream();
    const watch = await Watch.start(gateway, 'lobby');
    await bob.say(room, 'are we alone?');
    await stream.message('are we alone?');
    const seen = new Set(stream.stanzas.items.flatMap(({ presence }) => presence ?? []).map(({ id }) => id));
    assert.deepEqual([...seen].sort(), ['alice', 'bob']);
    await waitFor(() => watch.lines.items.some((line) => /are we alone/.test(line)), 'the watch has it');
    await watch.interrupt();
  });
});
