// SPDX-License-Identifier: MIT
// A Redis of one's own: the real redis-server on a private socket or a free port, ended by its own process id. Also
// replicas of it, and Sentinels that watch it.
//
// Hooks of a test run in the order they were given, so Redis would end before the gateways that use it: those are told
// to it by `redis.serves(gateway)` and ended first (`startNode` of nodes.js does that).
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';

import { freePort } from './daemon.js';
import { waitFor, within } from './wait.js';

const ADDRESS_TAKEN = /Address already in use|bind: Invalid argument/;
const STARTS = 10;

// What a test that ended badly leaves running ends with the process of the tests.
const running = new Set();
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

// Runs a program to its end; { code, stdout, stderr }.
async function run(program, args, env = {}) {
  const child = spawn(program, args, { env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
  const out = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr']) child[name].setEncoding('utf8').on('data', (text) => (out[name] += text));
  try {
    const [code] = await within(once(child, 'close'), `${program} ${args.join(' ')} ends`);
    return { code, ...out };
  } finally {
    child.kill('SIGKILL');
  }
}

const quoted = (word) => (/^[\w./:@*-]+$/.test(word) ? word : `"${word.replace(/["\\]/g, '\\$&')}"`);

// One redis-server. It reads a file of configuration, which it (or a Sentinel) may rewrite: what it has become, such as
// the master after a failover, it is again after `kill` and `start`.
class RedisServer {
  login = null; // { user, password } for `cli`, if it asks for one
  #gateways = [];

  // `lines` are lines of the file, each a list of words; `args` further arguments of redis-server.
  constructor(dir, { port, lines = [], args = [] }) {
    Object.assign(this, { dir, lines, args });
    this.usesTcp = port === 'tcp' || Number.isInteger(port);
    this.wantedPort = Number.isInteger(port) ? port : undefined;
    this.socket = this.usesTcp ? undefined : path.join(dir, 'redis.sock');
    this.conf = path.join(dir, 'redis.conf');
  }

  // For `-o store.url=`.
  get url() {
    return this.usesTcp ? `redis://127.0.0.1:${this.port}/0` : `redis+unix:${this.socket}`;
  }

  get pid() {
    return this.child.pid;
  }

  get running() {
    return this.exit === null;
  }

  async #writeConf() {
    const address = this.usesTcp
      ? [
          ['port', this.port],
          ['bind', '127.0.0.1'],
        ]
      : [
          ['port', 0],
          ['unixsocket', this.socket],
        ];
    const lines = [...address, ['dir', this.dir], ...this.lines];
    await fs.writeFile(this.conf, lines.map((words) => `${words.map(String).map(quoted).join(' ')}\n`).join(''));
  }

  // The first start. A free port may be taken by somebody else before Redis has it: then another one is tried.
  async open() {
    for (let left = STARTS; ; left--) {
      if (this.usesTcp) this.port = this.wantedPort ?? (await freePort());
      await this.#writeConf();
      if (await this.#launch()) return this;
      if (left === 0 || this.wantedPort || !ADDRESS_TAKEN.test(this.log)) this.#failToStart();
    }
  }

  // Starts it again, in the same folder and at the same address.
  async start() {
    assert.ok(!this.running, 'it has ended before');
    if (!(await this.#launch())) this.#failToStart();
    return this;
  }

  #failToStart() {
    assert.fail(`redis-server did not start: ${JSON.stringify(this.exit)}\n${this.log}`);
  }

  // Whether it answers; false if it has ended instead.
  async #launch() {
    this.log = '';
    this.exit = null;
    const child = spawn('redis-server', [this.conf, ...this.args], { stdio: ['ignore', 'pipe', 'pipe'] });
    this.child = child;
    running.add(child);
    for (const name of ['stdout', 'stderr']) child[name].setEncoding('utf8').on('data', (text) => (this.log += text));
    this.closed = once(child, 'close').then(([code, signal]) => {
      running.delete(child);
      this.exit = { code, signal };
    });
    await waitFor(async () => this.exit || (await this.#answers()), 'redis-server answers');
    return this.running;
  }

  // A server that wants a password answers so; one that is loading its file does not yet serve.
  async #answers() {
    const { stdout, stderr } = await run('redis-cli', [...this.#cliAddress(), 'PING']);
    return /PONG|NOAUTH/.test(stdout + stderr);
  }

  #cliAddress() {
    return this.usesTcp ? ['-h', '127.0.0.1', '-p', String(this.port)] : ['-s', this.socket];
  }

  // What plain redis-cli says, without the last line end. Fails if the server answers with an error.
  async cli(...args) {
    const { user, password } = this.login ?? {};
    const as = user ? ['--user', user] : [];
    const env = password ? { REDISCLI_AUTH: password } : {};
    const words = args.map(String);
    const { code, stdout, stderr } = await run('redis-cli', ['-e', ...as, ...this.#cliAddress(), ...words], env);
    assert.equal(code, 0, `redis-cli ${words.join(' ')}: ${stderr}${stdout}`);
    return stdout.replace(/\n$/, '');
  }

  // The same as a list, one item per line.
  async list(...args) {
    const text = await this.cli(...args);
    return text ? text.split('\n') : [];
  }

  async kill(signal = 'SIGKILL') {
    this.child.kill(signal);
    await within(this.closed, `redis-server ends after ${signal}`);
  }

  async restart(signal) {
    await this.kill(signal);
    return this.start();
  }

  // Stops it where it is: connections stay, nothing is answered.
  pause() {
    this.child.kill('SIGSTOP');
  }

  resume() {
    this.child.kill('SIGCONT');
  }

  // These end before it does.
  serves(gateway) {
    this.#gateways.push(gateway);
    return gateway;
  }

  async cleanUp() {
    if (this.running) this.resume();
    const ends = await Promise.allSettled(this.#gateways.map((gateway) => gateway.cleanUp()));
    this.child.kill('SIGKILL');
    await this.closed;
    await fs.rm(this.dir, { recursive: true, force: true });
    for (const { reason } of ends) if (reason) throw reason;
  }
}

async function openServer(t, make) {
  const server = make(await fs.mkdtemp(path.join(os.tmpdir(), 'nereidd-redis-')));
  t.after(() => server.child && server.cleanUp());
  return server.open();
}

const persistence = (appendonly) => (appendonly ? [['appendonly', 'yes'], ['appendfsync', 'always']] : []);

// No snapshots, and a replica is served at once.
const BASICS = [
  ['save', ''],
  ['repl-diskless-sync-delay', 0],
];

// `appendonly`: what it has acknowledged is in its file, so `kill` and `start` lose nothing. `port`: 'tcp' or a number,
// else it has a Unix socket. `args`: more for redis-server, such as ['--maxmemory', '10mb'].
export async function startRedis(t, { appendonly = false, args = [], port } = {}) {
  const lines = [...BASICS, ...persistence(appendonly)];
  return openServer(t, (dir) => new RedisServer(dir, { port, lines, args }));
}

// A server that follows `master` (which has a port), once it has all of it.
export async function startReplica(t, master, { appendonly = false, args = [] } = {}) {
  const lines = [...BASICS, ...persistence(appendonly), ['replicaof', '127.0.0.1', master.port]];
  const replica = await openServer(t, (dir) => new RedisServer(dir, { port: 'tcp', lines, args }));
  await waitFor(
    async () => /master_link_status:up/.test(await replica.cli('INFO', 'replication')),
    'the replica has what its master has',
  );
  return replica;
}

// One that watches `master`. `url` names the group, for the gateway; `quorum` is how many have to agree.
class Sentinel extends RedisServer {
  constructor(dir, name, options) {
    super(dir, options);
    this.name = name;
    this.args.push('--sentinel');
  }

  get url() {
    return `redis+sentinel://127.0.0.1:${this.port}/${this.name}/0`;
  }

  // The port of who is master now, as it says.
  async masterPort() {
    const [, port] = await this.list('SENTINEL', 'GET-MASTER-ADDR-BY-NAME', this.name);
    return Number(port);
  }

  // Waits until it knows so many others; before that it would not fail over.
  async knows({ replicas = 0, sentinels = 0 }) {
    await waitFor(async () => {
      const state = await this.list('SENTINEL', 'MASTER', this.name);
      const valueOf = (key) => Number(state[state.indexOf(key) + 1]);
      return valueOf('num-slaves') >= replicas && valueOf('num-other-sentinels') >= sentinels;
    }, `the Sentinel knows ${replicas} replicas and ${sentinels} others`);
    return this;
  }
}

// The url for several Sentinels of one group.
export function sentinelUrl(...sentinels) {
  return `redis+sentinel://${sentinels.map(({ port }) => `127.0.0.1:${port}`).join(',')}/${sentinels[0].name}/0`;
}

export async function startSentinel(t, { master, name = 'chat', quorum = 1 }) {
  const lines = [
    ['sentinel', 'monitor', name, '127.0.0.1', master.port, quorum],
    ['sentinel', 'down-after-milliseconds', name, 2000],
    ['sentinel', 'failover-timeout', name, 3000],
  ];
  return openServer(t, (dir) => new Sentinel(dir, name, { port: 'tcp', lines }));
}
