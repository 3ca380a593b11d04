// SPDX-License-Identifier: MIT
// A nereidd of one's own: the real program on free ports in a private folder, ended by its own process id.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs/promises';
import http from 'node:http';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { parseMetrics } from './metrics.js';
import { Person } from './person.js';
import { RawSocket } from './raw.js';
import { PATIENCE_MS, waitFor, within } from './wait.js';

const top = fileURLToPath(new URL('../../..', import.meta.url));

export const program = process.env.NEREIDD ?? path.join(top, 'build/src/nereidd');

const SANITIZER_REPORT = /(Address|Leak|Thread|UndefinedBehavior)Sanitizer|runtime error:/;

// A private folder that goes with the test.
export async function makeFolder(t) {
  const folder = await fs.mkdtemp(path.join(os.tmpdir(), 'nereidd-test-'));
  t.after(() => fs.rm(folder, { recursive: true, force: true }));
  return folder;
}

export function optionArguments(options) {
  return Object.entries(options).flatMap(([name, value]) => ['-o', `${name}=${[].concat(value).join(',')}`]);
}

// Runs nereidd to its end, for what does not serve: -t, -V, and starts that fail.
export async function runProgram(args, { input = '', env = {} } = {}) {
  const child = spawn(program, args, { env: { ...process.env, ...env } });
  const out = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr']) child[name].setEncoding('utf8').on('data', (text) => (out[name] += text));
  child.stdin.on('error', () => {}).end(input);
  try {
    const [code, signal] = await within(once(child, 'close'), `nereidd ${args.join(' ')} ends`);
    return { code, signal, ...out };
  } finally {
    child.kill('SIGKILL');
  }
}

export class Gateway {
  // `options` are nereidd's; `wrapper` is a command that becomes nereidd, such as ['prlimit', '--nofile=64'].
  constructor(folder, options = {}, { wrapper = [] } = {}) {
    this.folder = folder;
    this.options = {
      'http.listen': '127.0.0.1:0',
      'http.www': '',
      'admin.www': '',
      'admin.listen': '127.0.0.1:0',
      'talker.listen': '127.0.0.1:0',
      'store.url': `sqlite:${path.join(folder, 'chat.db')}`,
      'limits.send_rate': 0,
      'limits.token_rate': 0,
      ...options,
    };
    this.wrapper = wrapper;
    this.secrets = new Set(); // what must never be in a log
    this.clients = new Set(); // what to close before the gateway is ended
  }

  async start() {
    const [command, ...args] = [...this.wrapper, program, ...optionArguments(this.options)];
    this.stdout = '';
    this.stderr = '';
    this.exit = null;
    this.wasAsked = false;
    this.child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    this.child.stdout.setEncoding('utf8').on('data', (text) => (this.stdout += text));
    this.child.stderr.setEncoding('utf8').on('data', (text) => (this.stderr += text));
    this.closed = once(this.child, 'close').then(([code, signal]) => (this.exit = { code, signal }));
    await waitFor(() => this.exit || this.#isReady(), 'nereidd says where it listens');
    if (this.exit) assert.fail(`nereidd did not start: ${JSON.stringify(this.exit)}\n${this.stderr}`);
    this.listeners = [...this.stdout.matchAll(/^listening (\S+) (\S+)$/gm)].map(([, name, address]) => ({
      name,
      address,
    }));
    return this;
  }

  #isReady() {
    const listens = ['http', 'admin', 'talker'].flatMap((name) => this.options[`${name}.listen`]);
    const wanted = listens.filter((address) => address !== '').length;
    return (this.stdout.match(/^listening .*\n/gm) ?? []).length >= wanted;
  }

  // The real address of the first listener: `127.0.0.1:40123`, `unix:/path`.
  address(name = 'http') {
    return this.listeners.find((listener) => listener.name === name).address;
  }

  get url() {
    return `http://${this.address()}`;
  }

  get adminUrl() {
    return `http://${this.address('admin')}`;
  }

  get pid() {
    return this.child.pid;
  }

  get running() {
    return this.exit === null;
  }

  person(name, login) {
    return new Person(this, name, login);
  }

  // People the gateway has seen before: one can only talk to those it knows.
  async people(...names) {
    const people = names.map((name) => this.person(name));
    for (const person of people) await person.friends();
    return people;
  }

  async raw(options) {
    return RawSocket.connect(this, this.address(options?.listener ?? 'http'), options);
  }

  // A GET at the admin listener, on a connection of its own.
  async admin(path) {
    const request = http.get(this.adminUrl + path, { agent: false });
    const [response] = await within(once(request, 'response'), `GET ${path}`);
    let body = '';
    for await (const text of response.setEncoding('utf8')) body += text;
    return { status: response.statusCode, headers: response.headers, body };
  }

  // Whether it can serve now, as a load balancer asks.
  async ready() {
    return (await this.admin('/readyz')).status === 200;
  }

  becomesReady(ms) {
    return waitFor(() => this.ready(), 'nereidd is ready', ms);
  }

  async metrics() {
    return parseMetrics((await this.admin('/metrics')).body);
  }

  // A number by its full name, such as `nereidd_limit_hits_total{limit="url"}`.
  async metric(name) {
    const { samples } = await this.metrics();
    assert.ok(samples.has(name), `there is no metric ${name}`);
    return samples.get(name);
  }

  async metricBecomes(name, value) {
    return waitFor(async () => (await this.metric(name)) === value, `${name} is ${value}`);
  }

  limitHits(limit) {
    return this.metric(`nereidd_limit_hits_total{limit="${limit}"}`);
  }

  signal(name) {
    this.wasAsked ||= name !== 'SIGHUP'; // to end
    this.child.kill(name);
  }

  closeClients() {
    for (const client of this.clients) client.close();
    this.clients.clear();
  }

  async ended(what = 'nereidd ends', ms = PATIENCE_MS) {
    await within(this.closed, what, ms);
    return this.exit;
  }

  // Ends it in good order and looks at what it leaves behind.
  async stop() {
    this.signal('SIGTERM');
    const exit = await this.ended('nereidd ends after SIGTERM');
    assert.deepEqual(exit, { code: 0, signal: null }, `nereidd did not end in good order:\n${this.stderr}`);
    assert.doesNotMatch(this.stderr, /draining took too long/);
    await this.checkLog();
  }

  async kill() {
    this.signal('SIGKILL');
    await this.ended('nereidd ends after SIGKILL');
    await this.checkLog();
  }

  async restart() {
    await this.stop();
    return this.start();
  }

  async logText() {
    const file = this.options['log.file'];
    return this.stderr + (file ? await fs.readFile(file, 'utf8').catch(() => '') : '');
  }

  // The log comes through a pipe, and so a little later than what it is about.
  logged(pattern) {
    return waitFor(async () => pattern.exec(await this.logText()), `the log says ${pattern}`);
  }

  async checkLog() {
    const log = await this.logText();
    assert.doesNotMatch(this.stderr, SANITIZER_REPORT);
    for (const secret of this.secrets) assert.ok(!log.includes(secret), 'the log holds a token or a password');
  }

  async cleanUp() {
    this.closeClients();
    if (!this.running) {
      if (this.wasAsked) return;
      console.error(this.stderr); /* the test has failed by now, and tells its own error only */
      assert.fail(`nereidd ended by itself: ${JSON.stringify(this.exit)}`);
    }
    try {
      await this.stop();
    } finally {
      this.child.kill('SIGKILL');
    }
  }
}

// A gateway that runs, and is ended after the test.
export async function startGateway(t, options = {}, { folder, ...rest } = {}) {
  const gateway = new Gateway(folder ?? (await makeFolder(t)), options, rest);
  t.after(() => gateway.cleanUp());
  return gateway.start();
}
