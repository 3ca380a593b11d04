// SPDX-License-Identifier: MIT
// nereidctl, the real one, beside the nereidd that is tested.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';

import { program as nereidd } from './gateway.js';
import { Inbox, within } from './wait.js';

export const program = path.join(path.dirname(nereidd), 'nereidctl');

const SANITIZER_REPORT = /(Address|Leak|Thread|UndefinedBehavior)Sanitizer|runtime error:/;

function start(args, env, command = program) {
  const child = spawn(command, args, { env: { ...process.env, NEREIDCTL_ADDRESS: '', TZ: 'UTC', ...env } });
  child.stdin.on('error', () => {});
  return child;
}

function checked(out) {
  if (SANITIZER_REPORT.test(out.stderr)) throw new Error(out.stderr);
  return out;
}

// Runs it (or a command that becomes it) to its end: { code, signal, stdout, stderr, lines }.
export async function runCtl(args, { input = '', env = {}, command } = {}) {
  const child = start(args, env, command);
  const out = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr']) child[name].setEncoding('utf8').on('data', (text) => (out[name] += text));
  child.stdin.end(input);
  try {
    const [code, signal] = await within(once(child, 'close'), `nereidctl ${args.join(' ')} ends`);
    return checked({ code, signal, ...out, lines: out.stdout.split('\n').slice(0, -1) });
  } finally {
    child.kill('SIGKILL');
  }
}

// The same at a gateway's admin listener.
export function ctl(gateway, ...args) {
  return runCtl(['-a', gateway.address('admin'), ...args]);
}

// A `watch` that goes on.
export class Watch {
  lines = new Inbox();
  stderr = '';

  static async start(gateway, thread, ...options) {
    const watch = new Watch();
    watch.child = start(['-a', gateway.address('admin'), ...options, 'watch', thread], {});
    let rest = '';
    watch.child.stdout.setEncoding('utf8').on('data', (text) => {
      const lines = (rest + text).split('\n');
      rest = lines.pop();
      for (const line of lines) watch.lines.push(line);
    });
    watch.child.stderr.setEncoding('utf8').on('data', (text) => (watch.stderr += text));
    watch.closed = once(watch.child, 'close').then(([code, signal]) => {
      watch.lines.end();
      return checked({ code, signal, stderr: watch.stderr, rest });
    });
    gateway.clients.add(watch);
    watch.first = await watch.lines.next(undefined, `the first line of a watch (${watch.stderr})`);
    return watch;
  }

  // The next line that matches.
  says(pattern, ms) {
    return this.lines.next((line) => pattern.test(line), `the watch says ${pattern}`, ms);
  }

  // As Ctrl-C does.
  interrupt() {
    this.child.kill('SIGINT');
    return this.ended();
  }

  ended() {
    return within(this.closed, 'the watch ends');
  }

  close() {
    this.child.kill('SIGKILL');
  }
}
