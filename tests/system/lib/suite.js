// SPDX-License-Identifier: MIT
// The test program that plays the servers of the official suites (tests/suite/server.c), for tests that need an echo.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';

import { program } from './gateway.js';
import { waitFor, within } from './wait.js';

export const suiteProgram = process.env.SUITE_SERVER ?? path.join(path.dirname(program), '../tests/suite/server');

const ADDRESS = /^listening http (127\.0\.0\.1:\d+)$/m;

export class SuiteServer {
  clients = new Set();
  stdout = '';
  stderr = '';

  constructor(args) {
    this.args = args;
  }

  async start() {
    this.child = spawn(suiteProgram, this.args, { stdio: ['ignore', 'pipe', 'pipe'] });
    for (const name of ['stdout', 'stderr'])
      this.child[name].setEncoding('utf8').on('data', (text) => (this[name] += text));
    let exit = null;
    this.closed = once(this.child, 'close').then(([code, signal]) => (exit = { code, signal }));
    await waitFor(() => exit || ADDRESS.test(this.stdout), 'the suite server says where it listens');
    assert.equal(exit, null, `the suite server ended: ${this.stderr}`);
    this.url = `http://${ADDRESS.exec(this.stdout)[1]}`;
    return this;
  }

  async stop() {
    for (const client of this.clients) client.close();
    this.child.kill('SIGTERM');
    try {
      const exit = await within(this.closed, 'the suite server ends after SIGTERM');
      assert.deepEqual(exit, { code: 0, signal: null }, this.stderr);
      assert.doesNotMatch(this.stderr, /Sanitizer|runtime error:/);
    } finally {
      this.child.kill('SIGKILL');
    }
  }
}

// One that runs, on a free port and without haste, and is ended after the test; `args` are further arguments.
export async function startSuite(t, ...args) {
  const calm = ['--port=0', '--ping-interval=25000', '--ping-timeout=20000', '--connect-timeout=45000'];
  const server = new SuiteServer([...calm, ...args]);
  t.after(() => server.stop());
  return server.start();
}
