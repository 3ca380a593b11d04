// SPDX-License-Identifier: MIT
// From start to end: options, readiness, signals, the log, and a disk that is full.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs/promises';
import path from 'node:path';
import { describe, test } from 'node:test';

import { Gateway, makeFolder, runProgram, startGateway } from './lib/gateway.js';
import { BASE, basic } from './lib/person.js';
import { RawSocket } from './lib/raw.js';
import { waitFor, within } from './lib/wait.js';

const EX_USAGE = 64;
const EX_CONFIG = 78;

describe('the command line', { concurrency: 4 }, () => {
  test('-t tells every error with file and line', async (t) => {
    const folder = await makeFolder(t);
    const file = path.join(folder, 'bad.conf');
    const lines = [
      '[http]',
      'listen = nowhere',
      'colour = red',
      '[limits]',
      'body = 17M',
      'header_time = 5 parsecs',
      'connections = -1',
      '[log]',
      'level = loud',
      '[unknown]',
      'key = value',
      'just words',
      '[token]',
      'ends_streams = maybe',
    ];
    await fs.writeFile(file, `${lines.join('\n')}\n`);
    const { code, stdout, stderr } = await runProgram(['-t', '-c', file]);
    assert.equal(code, EX_CONFIG);
    assert.equal(stdout, '');
    for (const line of [2, 3, 5, 6, 7, 9, 12, 14])
      assert.match(stderr, new RegExp(`${file}:${line}: .+`), `line ${line}`);
    assert.match(stderr, new RegExp(`${file}:1[01]: `), 'an unknown section');
    for (const line of stderr.trim().split('\n'))
      assert.match(line, new RegExp(`^(nereidd: )?${file}:\\d+: `), 'and nothing else');
  });

  test('-t is content with a good file, and looks into the files it names', async (t) => {
    const folder = await makeFolder(t);
    const file = path.join(folder, 'good.conf');
    await fs.writeFile(
      file,
      '# a comment\n[http]\nlisten = 127.0.0.1:0, [::1]:0\n\n' +
        '[limits]\nbody = 1M\nidle = 250ms\n[store]\nurl = sqlite::memory:\n',
    );
    assert.deepEqual(await runProgram(['-t', '-c', file]), { code: 0, signal: null, stdout: '', stderr: '' });
    const missing = await runProgram([
      '-t',
      '-c',
      file,
      '-o',
      'auth.methods=basic',
      '-o',
      'auth.users=/nonexistent/users',
    ]);
    assert.equal(missing.code, EX_CONFIG);
    assert.match(missing.stderr, /\/nonexistent\/users/);
  });

  test('a configuration that is not there, or bad, keeps it from starting', async () => {
    const missing = await runProgram(['-c', '/nonexistent/nereidd.conf']);
    assert.equal(missing.code, EX_CONFIG);
    assert.match(missing.stderr, /\/nonexistent\/nereidd\.conf/);
    const bad = await runProgram(['-o', 'limits.body=lots']);
    assert.equal(bad.code, EX_CONFIG);
    assert.match(bad.stderr, /limits\.body/);
  });

  test('-V tells the versions, -h everything there is', async () => {
    const version = await runProgram(['-V']);
    assert.equal(version.code, 0);
    assert.match(version.stdout, /^nereidd \d+\.\d+/);
    for (const library of ['libmicrohttpd', 'libuv', 'jansson', 'SQLite', 'GnuTLS']) {
      assert.match(version.stdout, new RegExp(`${library}[^\\n]* \\d+\\.\\d+`, 'i'), library);
    }
    const help = await runProgram(['--help']);
    assert.equal(help.code, 0);
    for (const word of ['usage:', '--config', '--test', 'http.listen', 'limits.queue', '256K', 'store.retention'])
      assert.ok(help.stdout.includes(word), word);
  });

  test('what is not understood is said, with the usage', async () => {
    for (const args of [['--colour'], ['-x'], ['-c'], ['file'], ['-t', '--hash-password']]) {
      const { code, stdout, stderr } = await runProgram(args);
      assert.equal(code, EX_USAGE, args.join(' '));
      assert.equal(stdout, '');
      assert.match(stderr, /usage: nereidd/);
    }
  });

  test('-o goes before what the file says', async (t) => {
    const folder = await makeFolder(t);
    const file = path.join(folder, 'nereidd.conf');
    await fs.writeFile(file, '[log]\nlevel = loud\n[http]\nlisten = 0.0.0.0:0\n');
    const fixed = ['-t', '-c', file, '-o', 'http.listen=127.0.0.1:0'];
    const { code, stderr } = await runProgram(fixed);
    assert.equal(code, EX_CONFIG);
    assert.deepEqual(stderr.trim().split('\n').length, 1, 'only the other mistake is left');
    assert.match(stderr, /:2: .*level/);
  });
});

describe('starting', { concurrency: 4 }, () => {
  test('says where it listens, once everything is ready', async (t) => {
    const folder = await makeFolder(t);
    const listen = ['127.0.0.1:0', '[::1]:0', 'localhost:0', `unix:${folder}/http`];
    const gateway = await startGateway(t, { 'http.listen': listen });
    const addresses = gateway.listeners.map(({ name, address }) => `${name} ${address}`);
    assert.match(addresses[0], /^http 127\.0\.0\.1:[1-9]\d*$/);
    assert.match(addresses[1], /^http \[::1\]:[1-9]\d*$/);
    assert.ok(addresses.includes(`http unix:${folder}/http`));
    assert.match(addresses.at(-2), /^talker 127\.0\.0\.1:[1-9]\d*$/);
    assert.match(addresses.at(-1), /^admin 127\.0\.0\.1:[1-9]\d*$/);
    assert.equal(gateway.stdout.trim().split('\n').length, addresses.length, 'and nothing else');
    for (const { name, address } of gateway.listeners) {
      if (name === 'talker') continue;
      const raw = await RawSocket.connect(gateway, address);
      raw.send(['GET /nothing HTTP/1.0']);
      assert.match(await raw.untilClosed(), /^HTTP\/1\.[01] 404 /, address);
    }
  });

  test('twice on the same file is refused, and harms nothing', async (t) => {
    const folder = await makeFolder(t);
    const first = await startGateway(t, {}, { folder });
    const [alice, bob] = await first.people('alice', 'bob');
    await alice.send({ to: 'bob', message: 'before' });
    const second = new Gateway(folder, first.options);
    await assert.rejects(second.start(), /did not start/);
    assert.equal(second.exit.code, 1);
    assert.match(second.stderr, /in use|locked/);
    const { thread } = await alice.send({ to: 'bob', message: 'after' });
    assert.equal((await bob.history(thread)).messages.length, 2);
  });

  test('on an address that is taken fails with a reason', async (t) => {
    const first = await startGateway(t);
    const second = new Gateway(await makeFolder(t), { 'http.listen': first.address() });
    await assert.rejects(second.start(), /did not start/);
    assert.equal(second.exit.code, 1);
    assert.match(second.stderr, /cannot listen.*(in use|EADDRINUSE)/i);
  });

  test('on a file that is no database leaves it alone', async (t) => {
    const folder = await makeFolder(t);
    const file = path.join(folder, 'chat.db');
    const text = 'this is a letter to my aunt\n'.repeat(1000);
    await fs.writeFile(file, text);
    const gateway = new Gateway(folder);
    await assert.rejects(gateway.start(), /did not start/);
    assert.equal(gateway.exit.code, 1);
    assert.equal(await fs.readFile(file, 'utf8'), text);
  });

  test('makes files that are private', async (t) => {
    const folder = await makeFolder(t);
    await startGateway(t, { 'log.file': path.join(folder, 'log') }, { folder });
    for (const [name, mode] of [
      ['chat.db', 0o600],
      ['chat.db-wal', 0o600],
      ['log', 0o640],
    ]) {
      const { mode: found } = await fs.stat(path.join(folder, name));
      assert.equal(found & 0o777 & ~mode, 0, `${name} ${(found & 0o777).toString(8)}`);
    }
  });
});

describe('ending', { concurrency: 4 }, () => {
  for (const signal of ['SIGTERM', 'SIGINT']) {
    test(`${signal} ends streams with their last chunk, answers polls, keeps messages, and exits 0`, async (t) => {
      const gateway = await startGateway(t);
      const [alice, bob] = await gateway.people('alice', 'bob');
      const streams = [];
      for (let i = 0; i < 20; i++) streams.push(await bob.stream());
      const { cursor } = await alice.poll({ wait: 0 });
      const polls = Array.from({ length: 20 }, () => alice.get('/poll', { since: cursor, wait: 60 }));
      await gateway.metricBecomes('nereidd_sessions{protocol="nereid-poll"}', 20);
      const { thread } = await alice.send({ to: 'bob', message: 'the last' });
      await Promise.all(polls);
      const next = await alice.poll({ wait: 0 });
      const pending = Array.from({ length: 20 }, () => alice.get('/poll', { since: next.cursor, wait: 60 }));
      await gateway.metricBecomes('nereidd_sessions{protocol="nereid-poll"}', 20);
      gateway.signal(signal);
      for (const stream of streams) {
        assert.equal((await stream.end()).error, 'shutting_down');
        assert.deepEqual(stream.texts, ['the last']);
      }
      for (const { status, body } of await Promise.all(pending)) {
        assert.equal(status, 200);
        assert.deepEqual(body.stanzas, []);
      }
      assert.deepEqual(await gateway.ended(), { code: 0, signal: null });
      assert.doesNotMatch(gateway.stderr, /took too long/);
      await gateway.start();
      assert.equal((await bob.history(thread)).messages.length, 1);
      await assert.rejects(fs.stat(path.join(gateway.folder, 'chat.db-journal')));
    });
  }

  test('a request that never arrives whole does not hold it up', async (t) => {
    const gateway = await startGateway(t);
    const [silent, gone] = [await gateway.raw(), await gateway.raw()];
    for (const raw of [silent, gone])
      raw.write('POST /nereid-chat/token HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n');
    gone.finish();
    await gateway.person('alice').friends(); // they have been seen by now
    await gateway.stop();
  });

  for (const [what, head, listener] of [
    ['a probe', `GET ${BASE}/probe?marks=31&gap=20000`],
    ['a stream', `GET ${BASE}/stream`],
    ['a poll', `GET ${BASE}/poll?since=0`],
    ['an Engine.IO poll', 'GET /socket.io/?EIO=4&transport=polling'],
    ['a handshake of Socket.IO 0.9', 'GET /socket.io/1/'],
    ['a watch', 'GET /threads/lobby/watch', 'admin'],
  ])
    test(`${what} whose head comes too late is not begun`, async (t) => {
      const gateway = await startGateway(t);
      await gateway.person('alice').room('lobby');
      const raw = await gateway.raw({ listener });
      raw.write(`${head} HTTP/1.1\r\nHost: localhost\r\nAuthorization: ${basic('alice')}\r\n`);
      await gateway.person('alice').friends(); // it has been seen by now
      gateway.signal('SIGTERM');
      await gateway.logged(/draining/);
      raw.write('\r\n');
      assert.match(await raw.untilClosed(), /^HTTP\/1\.1 503 /);
      assert.deepEqual(await gateway.ended(), { code: 0, signal: null });
      assert.doesNotMatch(gateway.stderr, /took too long/);
    });

  test('limits.drain may be nothing: all ends at once, and well', async (t) => {
    const gateway = await startGateway(t, { 'limits.drain': '0', 'store.url': 'sqlite::memory:' });
    await gateway.person('alice').friends();
    for (const what of ['stream', 'probe?marks=31&gap=20000']) {
      const raw = await gateway.raw({ reading: false }); // so it does not see the end, and does not close
      raw.send([`GET ${BASE}/${what} HTTP/1.1`, 'Host: x', `Authorization: ${basic('alice')}`]);
    }
    await gateway.metricBecomes('nereidd_sessions{protocol="nereid-stream"}', 1);
    gateway.signal('SIGTERM');
    assert.deepEqual(await gateway.ended(), { code: 0, signal: null });
  });

  test('a client that does not read holds it up no longer than limits.drain', async (t) => {
    const gateway = await startGateway(t, {
      'limits.drain': '1s',
      'limits.body': '2M',
      'limits.text': '1M',
      'limits.queue': '200M',
    });
    const [alice, bob] = await gateway.people('alice', 'bob');
    const raw = await gateway.raw({ reading: false });
    raw.send([`GET ${BASE}/stream HTTP/1.1`, 'Host: x', `Authorization: ${basic('bob')}`]);
    await gateway.metricBecomes('nereidd_sessions{protocol="nereid-stream"}', 1);
    const thread = await alice.thread('bob');
    while ((await gateway.metric('nereidd_queue_bytes')) < 1_000_000) await alice.say(thread, 'x'.repeat(1_000_000));
    const began = Date.now();
    gateway.signal('SIGTERM');
    assert.deepEqual(await gateway.ended(), { code: 0, signal: null });
    assert.ok(Date.now() - began < 9000, 'sooner than the usual ten seconds');
    assert.ok((await bob.get('/get-friends').catch(() => null)) === null);
  });

  test('a second signal ends it at once', async (t) => {
    const gateway = await startGateway(t, { 'limits.drain': '10m' });
    const raw = await gateway.raw();
    raw.write(`POST ${BASE}/presence HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nshow`);
    await gateway.person('alice').friends();
    gateway.signal('SIGTERM');
    await gateway.logged(/draining/);
    gateway.signal('SIGTERM');
    assert.deepEqual(await gateway.ended('the second signal ends it', 5000), { code: null, signal: 'SIGTERM' });
  });

  test('takes no new connections meanwhile, and readyz says so to who is connected', async (t) => {
    const gateway = await startGateway(t, { 'limits.drain': '3s' });
    const holding = await gateway.raw();
    holding.write(
      `POST ${BASE}/presence HTTP/1.1\r\nHost: x\r\nContent-Length: 8\r\nAuthorization: ${basic('alice')}\r\n\r\nshow`,
    );
    await gateway.person('alice').friends();
    gateway.signal('SIGTERM');
    await gateway.logged(/draining/);
    await assert.rejects(gateway.raw(), 'nobody listens');
    holding.write('=dnd');
    assert.match(await holding.untilClosed(), /^HTTP\/1\.1 (200|503) /, 'a request that was begun is answered');
    assert.deepEqual(await gateway.ended(), { code: 0, signal: null });
  });

  test('removes the Unix socket it made', async (t) => {
    const folder = await makeFolder(t);
    const gateway = await startGateway(t, { 'http.listen': `unix:${folder}/http` });
    await fs.stat(`${folder}/http`);
    await gateway.stop();
    await assert.rejects(fs.stat(`${folder}/http`));
  });
});

describe('the log', { concurrency: 4 }, () => {
  for (const format of ['keyvalue', 'json']) {
    test(`as ${format}: one event a line, and no token, password or signature in it`, async (t) => {
      const folder = await makeFolder(t);
      const log = path.join(folder, 'log');
      const users = path.join(folder, 'users');
      const { stdout } = await runProgram(['--hash-password', 'alice', 'Alice'], { input: 'open sesame\n' });
      await fs.writeFile(users, stdout, { mode: 0o600 });
      const options = {
        'log.file': log,
        'log.level': 'debug',
        'log.format': format,
        'auth.methods': ['basic'],
        'auth.users': users,
        'token.ttl': '2s',
      };
      const gateway = await startGateway(t, options, { folder });
      gateway.secrets.add('sesame').add('wrong-password').add(basic('alice', 'open sesame').slice(6)).add('eyJhbGciOi');
      const alice = gateway.person('alice', { password: 'open sesame' });
      await gateway.person('alice', { password: 'wrong-password' }).get('/get-friends');
      await gateway.person('x', { authorization: 'Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJhIn0.' }).get('/stream');
      const token = await alice.token();
      for (const route of [
        `/stream/${token}x`,
        `/poll/${token}?wait=0`,
        `/send-message/${token}?to=bob&message=m`,
        `/nothing/${token}`,
        `/stream/${token}?since=x`,
      ]) {
        const raw = await gateway.raw();
        raw.send([
          `GET ${BASE}${route} HTTP/1.1`,
          'Host: x',
          `X-Token: ${token}`,
          'Connection: close',
          `Bad Header: ${token}`,
        ]);
        await raw.untilClosed();
      }
      const holder = gateway.person('alice', { authorization: `Bearer ${token}` });
      const stream = await holder.stream({ status: 'evil\r\n2026-01-01T00:00:00Z error "forged"\u001b[31m%n%s' });
      await alice.revoke(token);
      await stream.end();
      const hasty = await alice.tokenHolder();
      await (await hasty.stream()).end();
      gateway.closeClients();
      await gateway.stop();
      const lines = (await fs.readFile(log, 'utf8')).trimEnd().split('\n');
      assert.ok(lines.length >= 5);
      for (const line of lines) {
        assert.doesNotMatch(line, /[\0-\x1f\x7f]/);
        assert.ok(Buffer.byteLength(line) <= 4096);
        if (format === 'json') {
          const { time, level, event } = JSON.parse(line);
          assert.ok(time && level && event);
        } else {
          assert.match(
            line,
            /^\d{4}-\d\d-\d\dT[\d:.]+Z (debug|info|warn|error) "[^"]+"( [a-z_]+=("(\\.|[^"\\])*"|[^" ]+))*$/,
          );
        }
      }
      assert.equal(gateway.stderr, '', 'nothing goes past the file');
    });
  }

  test('is opened again on SIGHUP, for those who rotate it', async (t) => {
    const folder = await makeFolder(t);
    const log = path.join(folder, 'log');
    const gateway = await startGateway(t, { 'log.file': log }, { folder });
    await fs.rename(log, `${log}.1`);
    gateway.signal('SIGHUP');
    await waitFor(() => fs.stat(log).catch(() => null), 'the file is there again');
    await gateway.stop();
    assert.match(await fs.readFile(log, 'utf8'), /"stopped"/);
    assert.match(await fs.readFile(`${log}.1`, 'utf8'), /"started"/);
    assert.doesNotMatch(await fs.readFile(`${log}.1`, 'utf8'), /"stopped"/);
  });

  test('survives a folder that is gone, and a hundred SIGHUPs under traffic', async (t) => {
    const folder = await makeFolder(t);
    await fs.mkdir(path.join(folder, 'logs'));
    const gateway = await startGateway(t, { 'log.file': path.join(folder, 'logs/log') }, { folder });
    const alice = gateway.person('alice');
    const before = (await fs.readdir(`/proc/${gateway.pid}/fd`)).length;
    await fs.rm(path.join(folder, 'logs'), { recursive: true });
    for (let i = 0; i < 100; i++) {
      gateway.signal('SIGHUP');
      await alice.friends();
    }
    const after = (await fs.readdir(`/proc/${gateway.pid}/fd`)).length;
    assert.ok(after - before <= 3, 'no descriptor is lost');
  });

  test('that cannot be opened keeps it from starting', async () => {
    const { code, stderr } = await runProgram(['-o', 'log.file=/nonexistent/log', '-o', 'store.url=sqlite::memory:']);
    assert.notEqual(code, 0);
    assert.match(stderr, /\/nonexistent\/log/);
  });
});

describe('a disk that is full', { concurrency: 2 }, () => {
  test('is told to the sender; reading goes on, and sending too when there is room again', async (t) => {
    const limit = 1_000_000;
    const gateway = await startGateway(t, {}, { wrapper: ['prlimit', `--fsize=${limit}:unlimited`] });
    const [alice, bob] = await gateway.people('alice', 'bob');
    const thread = await alice.thread('bob');
    const stream = await bob.stream();
    const acknowledged = [];
    let refused;
    for (let i = 0; !refused && i < 1000; i++) {
      const answer = await alice.post('/send-message', { thread_id: thread, message: `${i} ${'x'.repeat(5000)}` });
      if (answer.status === 200) acknowledged.push(answer.body.UUID);
      else refused = answer;
    }
    assert.equal(refused?.status, 503);
    assert.match(refused.body.error, /^store_(full|unavailable)$/);
    await waitFor(async () => (await gateway.admin('/readyz')).status === 503, 'readyz says so');
    assert.equal((await gateway.admin('/healthz')).status, 200);
    await waitFor(() => stream.messages.length === acknowledged.length, 'what was acknowledged was delivered');
    assert.equal((await bob.history(thread, { limit: 10 })).messages.length, 10, 'reading goes on');
    assert.ok((await gateway.metric('nereidd_store_commit_failures_total')) > 0);

    const raising = spawn('prlimit', [`--pid=${gateway.pid}`, '--fsize=unlimited:unlimited'], { stdio: 'ignore' });
    const [code] = await within(once(raising, 'close'), 'the limit is raised');
    assert.equal(code, 0);
    await waitFor(
      async () => (await alice.post('/send-message', { thread_id: thread, message: 'room again' })).status === 200,
      'it takes messages again',
    );
    await waitFor(async () => (await gateway.admin('/readyz')).status === 200, 'readyz says so');
    await stream.message('room again');
    assert.deepEqual(
      stream.messages.slice(0, acknowledged.length).map(({ id }) => id),
      acknowledged,
    );

    await gateway.kill();
    gateway.wrapper = [];
    await gateway.start();
    const all = await bob.stream({ since: 0 });
    await all.message('room again');
    const ids = all.messages.map(({ id }) => id);
    assert.deepEqual(ids.slice(0, acknowledged.length), acknowledged, 'and all of it is there after a crash');
    assert.equal(new Set(ids).size, ids.length);
  });
});
