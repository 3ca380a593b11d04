// SPDX-License-Identifier: MIT
// What nereid-redis(7) says to those who share the Redis: its examples work, and its rights are enough for a node and
// no more than it needs.
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import fs from 'node:fs/promises';
import path from 'node:path';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { makeFolder } from './lib/gateway.js';
import { meet, startNode } from './lib/nodes.js';
import { startRedis, startReplica } from './lib/redis.js';
import { PATIENCE_MS, waitFor, within } from './lib/wait.js';

const top = fileURLToPath(new URL('../../', import.meta.url));
const page = (await fs.readFile(path.join(top, 'man/nereid-redis.7'), 'utf8'))
  .replaceAll('\\-', '-')
  .replaceAll('\\(aq', "'")
  .replaceAll('\\e\n', '\\\n');

// The commands of its examples, one each, with lines that a backslash continues taken together.
const examples = [...page.matchAll(/^redis-cli (?:.*\\\n)*.*$/gm)].map(([text]) => text.replaceAll(/\\\n */g, ''));

const roleOf = (user) => examples.find((line) => line.startsWith(`redis-cli ACL SETUSER ${user} `));
const rightsOf = (line) =>
  line
    .split(/\s+/)
    .map((word) => word.replaceAll("'", ''))
    .filter((word) => /^[-+~&]/.test(word));

// A shell in which redis-cli goes to this server. `run` expects a command to succeed and gives what it printed, `fails`
// expects it to fail and gives why, and `start` lets it run on until `stop`.
async function shellFor(t, redis, args = []) {
  const folder = await makeFolder(t);
  const found = spawnSync('sh', ['-c', 'command -v redis-cli']).stdout.toString().trim();
  const where = redis.socket ? `-s '${redis.socket}'` : `-h 127.0.0.1 -p ${redis.port}`;
  const words = args.map((word) => `'${word}'`).join(' ');
  const wrapper = `#!/bin/sh\nexec '${found}' -e ${where} ${words} "$@"\n`;
  await fs.writeFile(path.join(folder, 'redis-cli'), wrapper, { mode: 0o755 });
  const env = { ...process.env, PATH: `${folder}:${process.env.PATH}` };
  return {
    run: (line) => {
      const { status, stdout, stderr } = spawnSync('sh', ['-c', line], { env, timeout: PATIENCE_MS });
      assert.equal(status, 0, `${line}\n${stdout}${stderr}`);
      return stdout.toString().trim();
    },
    fails: (line) => {
      const { status, stderr } = spawnSync('sh', ['-c', line], { env, timeout: PATIENCE_MS });
      assert.notEqual(status, 0, `${line} is refused`);
      return stderr.toString();
    },
    start: (line) => {
      const child = spawn('sh', ['-c', `exec ${line}`], { env, stdio: ['ignore', 'pipe', 'ignore'] });
      const running = { text: '', stop: () => child.kill() };
      child.stdout.setEncoding('utf8').on('data', (text) => (running.text += text));
      t.after(running.stop);
      return running;
    },
  };
}

// Everything that a gateway does with its store.
async function useAll([first, second]) {
  const [alice, bob, carol] = await meet([first, second], 'alice', 'bob', 'carol');
  const stream = await alice.at(second).stream();
  const thread = await alice.thread('bob');
  const room = await alice.room('lobby');
  await carol.room('lobby');
  await alice.ask('POST', `/threads/${thread}/members`, { form: { user: 'carol' } });
  await alice.ask('DELETE', `/threads/${thread}/members/carol`);
  await bob.setPresence({ show: 'dnd', status: 'busy' });
  await stream.presence('bob', ({ show }) => show === 'dnd');
  for (let i = 0; i < 10; i++) await bob.say(thread, `message ${i}`);
  const { cursor } = await stream.message('message 5');
  await stream.message('message 9');
  await bob.send({ id: randomUUID(), thread_id: thread, message: 'with an id' });
  await alice.ask('GET', '/threads');
  await alice.history(thread);
  await carol.history(room);
  assert.ok((await alice.poll({ since: cursor, wait: 0 })).stanzas.length > 0);
  const holder = await bob.tokenHolder();
  const held = await holder.stream();
  await holder.send({ to: 'alice', message: 'by token' });
  await bob.revoke(holder.chatToken);
  assert.equal((await held.end()).error, 'no_token');
  return stream;
}

describe('nereid-redis(7)', () => {
  test('the rights of a node are enough', async (t) => {
    const redis = await startRedis(t, { port: 'tcp' });
    await startReplica(t, redis);
    const shell = await shellFor(t, redis);
    shell.run(roleOf('nereidd'));
    const [, password] = /'>(.*?)'/.exec(roleOf('nereidd'));
    const credentials = path.join(await makeFolder(t), 'credentials');
    await fs.writeFile(credentials, `nereidd:${password}\n`, { mode: 0o600 });
    const options = {
      'store.url': `redis://127.0.0.1:${redis.port}/3`,
      'store.credentials': credentials,
      'store.replicas': 1,
      'store.retention_count': 5,
      'store.lease': '3s',
      'store.lease_renewal': '1s',
      'presence.grace': 0,
    };
    const nodes = [await startNode(t, redis, options), await startNode(t, redis, options)];
    for (const node of nodes) node.secrets.add(password);
    const stream = await useAll(nodes);
    await waitFor(async () => (await nodes[0].metric('nereidd_store_pruned_total')) > 0, 'retention');
    const other = await nodes[1].person('carol').stream();
    await stream.presence('carol', ({ available }) => available);
    other.close();
    await stream.presence('carol', ({ available }) => !available);
    const watching = await nodes[1].person('bob').stream();
    await watching.presence('bob');
    await nodes[0].kill();
    await waitFor(async () => (await redis.cli('-n', 3, 'ZCARD', 'chat:nodes')) === '1', 'the dead node is taken down');
    assert.equal(await redis.cli('ACL', 'LOG'), '', 'nothing was refused');
    for (const node of nodes) assert.doesNotMatch(await node.logText(), /NOPERM|permit/);
  });

  test('a node uses each of its rights', async () => {
    let text = '';
    for (const folder of ['src/store', 'src/store/lua'])
      for (const name of await fs.readdir(path.join(top, folder)))
        if (/^redis.*\.c$|\.lua$/.test(name)) text += await fs.readFile(path.join(top, folder, name), 'utf8');
    const words = [...text.matchAll(/call\('([A-Z]+)'|"([A-Z]{3,})"/g)];
    const used = new Set(words.map(([, inLua, inC]) => (inLua ?? inC).toLowerCase()));
    const commands = rightsOf(roleOf('nereidd'))
      .filter((word) => word.startsWith('+'))
      .map((word) => word.slice(1).split('|')[0]);
    for (const command of commands) assert.ok(used.has(command), `${command} is used`);
    for (const [, command] of text.matchAll(/call\('([A-Z]+)'/g))
      assert.ok(commands.includes(command.toLowerCase()), `${command} is permitted`);
  });

  test('contrib/two-nodes/redis.conf gives the same rights', async () => {
    const conf = await fs.readFile(path.join(top, 'contrib/two-nodes/redis.conf'), 'utf8');
    const line = /^user nereidd on .*$/m.exec(conf)[0];
    assert.deepEqual(rightsOf(line).sort(), rightsOf(roleOf('nereidd')).sort());
  });

  test('an application and a reader have the rights that the page gives them, and no others', async (t) => {
    const redis = await startRedis(t);
    const node = await startNode(t, redis);
    await meet([node], 'alice', 'bob');
    const shell = await shellFor(t, redis);
    for (const user of ['application', 'reader']) shell.run(roleOf(user));
    const as = async (user) => {
      const [, password] = /'>(.*?)'/.exec(roleOf(user));
      return shellFor(t, redis, ['--no-auth-warning', '--user', user, '--pass', password]);
    };
    const application = await as('application');
    const token = randomUUID();
    application.run(`redis-cli SET chat:token:${token} alice EX 60`);
    assert.match(application.run(`redis-cli EXPIRE chat:token:${token} 120`), /1/);
    assert.equal(application.run(`redis-cli GET chat:token:${token}`), 'alice');
    application.run(`redis-cli PUBLISH chat:events '{"kind":"token","token":"${token}"}'`);
    application.run(`redis-cli DEL chat:token:${token}`);
    const foreign = ['GET chat:log', 'HGETALL chat:user:alice', 'SET chat:user:alice x', "KEYS 'chat:*'", 'FLUSHALL'];
    for (const line of foreign)
      assert.match(application.fails(`redis-cli ${line}`), /NOPERM/);
    const reader = await as('reader');
    assert.match(reader.run('redis-cli HGETALL chat:user:alice'), /version/);
    assert.match(reader.run('redis-cli ZRANGE chat:users 0 -1'), /alice/);
    reader.run('redis-cli XRANGE chat:log - +');
    const listening = reader.start('redis-cli SUBSCRIBE chat:events');
    await waitFor(() => /subscribe/.test(listening.text), 'the reader listens');
    const writes = ['SET chat:token:x alice', "XADD chat:log '*' a b", 'PUBLISH chat:events x', 'DEL chat:log'];
    for (const line of [...writes, "KEYS '*'", 'GET x'])
      assert.match(reader.fails(`redis-cli ${line}`), /NOPERM/);
  });

  test('its examples work', async (t) => {
    const redis = await startRedis(t);
    const node = await startNode(t, redis);
    const [alice] = await meet([node], 'alice', 'bob');
    const { UUID: message, thread } = await alice.send({ to: 'bob', message: 'Hello' });
    const token = /chat:token:([0-9a-f-]{36})/.exec(page)[1];
    const shell = await shellFor(t, redis);
    let stream;
    let done = 0;
    for (const example of examples.filter((line) => !line.includes('ACL SETUSER'))) {
      const line = example
        .replace(/(?<=chat:(history|members):)[0-9a-f-]{36}/, thread)
        .replace(/(?<=chat:ids )[0-9a-f-]{36}/, message);
      if (/BLOCK|SUBSCRIBE/.test(line)) {
        const running = shell.start(line);
        // Until it listens, what happens passes it by.
        await waitFor(async () => {
          await alice.setPresence({ status: 'in a meeting' });
          await alice.say(thread, 'in a meeting');
          return running.text.includes('in a meeting');
        }, line);
        running.stop();
      } else {
        const printed = shell.run(line);
        assert.notEqual(printed, line.includes('HGET') ? '' : null, line);
        if (/XREVRANGE|HGET /.test(line)) assert.match(printed, /^\S/, line);
      }
      if (line.includes(' SET chat:token:')) stream = await alice.events({}, token);
      if (line.includes(' PUBLISH ')) {
        await waitFor(() => stream.farewell, 'the stream ends at once', PATIENCE_MS / 3);
        assert.equal(stream.farewell.error, 'no_token');
        stream.close();
      }
      done++;
    }
    assert.ok(done >= 15, `${done} examples`);
  });

  test('a user whom nobody knows becomes known by a token', async (t) => {
    const redis = await startRedis(t);
    const node = await startNode(t, redis);
    await redis.cli('SET', 'chat:token:550e8400-e29b-41d4-a716-446655440000', 'newcomer', 'EX', 60);
    const holder = node.person('newcomer', { authorization: 'Bearer 550e8400-e29b-41d4-a716-446655440000' });
    const stream = await holder.stream();
    await within(stream.presence('newcomer', ({ available }) => available), 'the newcomer is there');
    assert.equal(await redis.cli('HGET', 'chat:user:newcomer', 'available'), '1');
  });
});
