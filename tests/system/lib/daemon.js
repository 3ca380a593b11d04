// SPDX-License-Identifier: MIT
// A program of somebody else that serves on the loopback: run as whoever runs the tests, in a private folder, ended by
// its own process id.
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs/promises';
import net from 'node:net';

import { makeFolder } from './gateway.js';
import { waitFor, within } from './wait.js';

// What a test that ended badly leaves running ends with the process of the tests: by SIGTERM, or nginx' workers stay.
const running = new Set();
process.on('exit', () => {
  for (const child of running) child.kill('SIGTERM');
});

// The command of a program, which may be where only root looks; undefined if there is none. `flag` has it end at once.
export function programOf(name, flag) {
  const places = [`/usr/sbin/${name}`, `/usr/bin/${name}`, name];
  return places.find((command) => spawnSync(command, [flag]).status === 0);
}

// A port that was free a moment ago, for programs that can neither choose one nor take over a socket: somebody else may
// have it before they do, and then they have to be started again with another one.
export async function freePort() {
  const server = net.createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}

export class Daemon {
  running = false;
  log = '';

  constructor(name, folder) {
    Object.assign(this, { name, folder });
  }

  // The child gets the listening socket as its descriptor 3, so the port is its own from the start, and who connects
  // before it is ready waits. `configure` writes its files once the port is known.
  async start(command, args, env = {}) {
    const listener = net.createServer().listen({ port: 0, host: '127.0.0.1', backlog: 512 });
    await once(listener, 'listening');
    this.port = listener.address().port;
    await this.configure?.();
    this.launch(command, args, { env, inherited: [listener._handle.fd] });
    listener.close();
    return this;
  }

  launch(command, args, { env = {}, inherited = [] } = {}) {
    this.log = '';
    this.running = true;
    const child = spawn(command, args, {
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe', ...inherited],
    });
    this.child = child;
    for (const out of [child.stdout, child.stderr]) out.setEncoding('utf8').on('data', (text) => (this.log += text));
    running.add(child);
    this.closed = once(child, 'close').then(() => {
      running.delete(child);
      this.running = false;
    });
  }

  // Once `condition` is truthy; if it ends instead, what it said is in the failure.
  async isReady(condition, what = `${this.name} is ready`) {
    await waitFor(() => {
      if (!this.running) assert.fail(`${this.name} did not start:\n${this.log}`);
      return condition();
    }, what);
    return this;
  }

  async cleanUp() {
    this.child.kill('SIGTERM');
    try {
      await within(this.closed, `${this.name} ends`);
    } finally {
      this.child.kill('SIGKILL');
    }
  }
}

// A daemon of class `Kind` that is ended after the test, not yet started.
export async function makeDaemon(t, name, Kind = Daemon) {
  const folder = await makeFolder(t);
  await fs.chmod(folder, 0o755); // nginx's workers and Squid are somebody else if root runs the tests
  const daemon = new Kind(name, folder);
  t.after(() => daemon.child && daemon.cleanUp());
  return daemon;
}

// nginx in the foreground, everything it writes in its folder. It takes over the sockets that the variable NGINX names,
// where their addresses are those of `listen` lines. `http` are lines of the block http, made once the port is known.
export async function startNginx(daemon, command, http) {
  const { folder } = daemon;
  const kinds = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];
  const paths = kinds.map((kind) => `${kind}_temp_path ${folder}/${kind};`);
  daemon.configure = async () =>
    fs.writeFile(
      `${folder}/nginx.conf`,
      `
daemon off;
pid ${folder}/pid;
worker_processes 2;
events { worker_connections 1024; }
http {
    access_log off;
    ${paths.join('\n    ')}
    ${await http()}
}
`,
    );
  return daemon.start(command, ['-c', `${folder}/nginx.conf`, '-p', folder, '-e', 'stderr'], { NGINX: '3;' });
}
