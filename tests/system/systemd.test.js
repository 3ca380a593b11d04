// SPDX-License-Identifier: MIT
// The unit for systemd, and sockets that a service manager has opened and passes (sd_listen_fds(3)): nereidd serves on
// them as they are.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs/promises';
import net from 'node:net';
import path from 'node:path';
import { describe, test } from 'node:test';

import { makeFolder, optionArguments, program, runProgram } from './lib/gateway.js';
import { waitFor, within } from './lib/wait.js';

// The manager names the process that its sockets are for, which only that process itself knows in time.
const AS_THE_MANAGER_DOES = 'LISTEN_PID=$$; export LISTEN_PID; exec "$0" "$@"';

// A listening socket of ours, as a manager would open it.
async function openSocket() {
  const server = net.createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { server, port: server.address().port };
}

// nereidd with these sockets, by their names.
async function startWith(t, sockets, options) {
  const folder = await makeFolder(t);
  const args = optionArguments({ 'store.url': `sqlite:${path.join(folder, 'chat.db')}`, ...options });
  const child = spawn('sh', ['-c', AS_THE_MANAGER_DOES, program, ...args], {
    env: { ...process.env, LISTEN_FDS: `${sockets.length}`, LISTEN_FDNAMES: sockets.map(({ name }) => name).join(':') },
    stdio: ['ignore', 'pipe', 'inherit', ...sockets.map(({ server }) => server._handle.fd)],
  });
  const ended = once(child, 'exit');
  // From here on they are the child's alone: what connects is not ours to accept.
  for (const { server } of sockets) server.close();
  t.after(() => child.kill('SIGKILL'));
  let stdout = '';
  child.stdout.setEncoding('utf8').on('data', (text) => (stdout += text));
  await waitFor(() => stdout.split('\n').length > sockets.length, 'a line for each socket');
  return {
    lines: stdout.trim().split('\n'),
    async stop() {
      child.kill('SIGTERM');
      assert.deepEqual(await within(ended, 'nereidd ends'), [0, null]);
    },
  };
}

describe('the unit', () => {
  const file = new URL('../../contrib/systemd/nereidd.service.in', import.meta.url);

  test('starts nereidd in a way that ends for good where the options are wrong', async (t) => {
    const unit = await fs.readFile(file, 'utf8');
    const folder = await makeFolder(t);
    const [never] = unit.match(/(?<=^RestartPreventExitStatus=)\d+$/m);
    assert.doesNotMatch(unit, /^ExecStartPre=/m, 'of which the status does not count');
    const [, command] = /^ExecStart=@sbindir@\/nereidd (.*)$/m.exec(unit);
    const args = command.replaceAll('@sysconfdir@', folder).split(' ');
    await fs.mkdir(path.join(folder, 'nereidd'));
    const start = async (...lines) => {
      const common = ['[http]', 'listen = 127.0.0.1:0', '[store]', `url = sqlite:${folder}/none/chat.db`];
      await fs.writeFile(path.join(folder, 'nereidd/nereidd.conf'), [...common, ...lines, ''].join('\n'));
      const { code, stderr } = await runProgram(args);
      return { code: `${code}`, stderr };
    };
    const bad = [
      [['[limits]', 'body = lots'], /limits\.body/],
      [['[auth]', 'methods = basic', 'users = /none/users'], /\/none\/users/],
      [['[tls]', 'certificate = /none/cert', 'key = /none/key'], /\/none\/cert/],
    ];
    for (const [lines, pattern] of bad) {
      const { code, stderr } = await start(...lines);
      assert.equal(code, never, stderr);
      assert.match(stderr, pattern);
    }
    const { stderr } = await start(...bad[1][0], ...bad[2][0]);
    for (const [, pattern] of bad.slice(1)) assert.match(stderr, pattern, 'everything at once');
    const later = await start();
    assert.equal(later.code, '1', 'the folder may be there the next time');
    assert.match(later.stderr, /none\/chat\.db/);
  });
});

describe('sockets from systemd', () => {
  test('are served, each by its name', async (t) => {
    const [http, admin] = [await openSocket(), await openSocket()];
    const passed = [
      { name: 'admin', ...admin },
      { name: 'http', ...http },
    ];
    const options = {
      'http.listen': 'systemd:http',
      'talker.listen': '',
      'admin.listen': 'systemd:admin',
      'auth.demo_anywhere': 'yes',
    };
    const nereidd = await startWith(t, passed, options);
    assert.deepEqual(nereidd.lines, [
      `listening http 127.0.0.1:${http.port}`,
      `listening admin 127.0.0.1:${admin.port}`,
    ]);
    const probe = await fetch(`http://127.0.0.1:${http.port}/nereid-chat/probe?marks=1`);
    assert.equal(JSON.parse(await probe.text()).mark, 1);
    assert.equal((await fetch(`http://127.0.0.1:${admin.port}/readyz`)).status, 200);
    await nereidd.stop();
  });
});
