// SPDX-License-Identifier: MIT
// The README's minute with curl, run exactly as it is written there, so that it stays true. Only the port is another.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs/promises';
import { test } from 'node:test';

import { startGateway } from './lib/gateway.js';
import { waitFor, within } from './lib/wait.js';

const README = new URL('../../README.md', import.meta.url);
const README_ADDRESS = '127.0.0.1:8080';

// The code blocks of the section, and the command within its text that reads on.
async function readMinute() {
  const text = await fs.readFile(README, 'utf8');
  const section = /\n## A chat with curl\n([^]*?)\n## /.exec(text)[1];
  const blocks = section
    .split('\n\n')
    .filter((block) => block.startsWith('    '))
    .map((block) => block.replaceAll(/^ {4}/gm, ''));
  assert.equal(blocks.length, 3, 'a terminal for alice, one for bob, and what alice sees');
  const [alice, bob, shown] = blocks;
  const readOn = /`(curl -N [^`]*since=1[^`]*)`/.exec(section)[1];
  return { alice, bob, shown, readOn };
}

// A terminal of its own: bash with this script, ended as Ctrl-C would end it.
function openTerminal(t, script) {
  const child = spawn('bash', ['-e', '-u', '-o', 'pipefail', '-c', script], {
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const terminal = { output: '', errors: '', closed: once(child, 'close') };
  child.stdout.setEncoding('utf8').on('data', (text) => (terminal.output += text));
  child.stderr.setEncoding('utf8').on('data', (text) => (terminal.errors += text));
  terminal.interrupt = async () => {
    try {
      if (child.exitCode === null && child.signalCode === null) process.kill(-child.pid, 'SIGTERM');
    } catch (error) {
      assert.equal(error.code, 'ESRCH', 'it may be ending by itself, as its stream does with the gateway');
    }
    await within(terminal.closed, 'the terminal closes');
  };
  t.after(terminal.interrupt);
  return terminal;
}

async function run(t, script) {
  const terminal = openTerminal(t, script);
  const [code] = await within(terminal.closed, 'the commands end');
  assert.equal(code, 0, terminal.errors);
  return terminal.output;
}

const messagesIn = (output) =>
  output
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line))
    .flatMap(({ stanzas }) => stanzas)
    .filter(({ type }) => type === 'message')
    .map(({ message }) => message);

test('the minute with curl in the README', async (t) => {
  const gateway = await startGateway(t);
  const minute = await readMinute();
  for (const block of [minute.alice, minute.bob]) assert.ok(block.includes(README_ADDRESS));
  const here = (script) => script.replaceAll(README_ADDRESS, gateway.address());

  const alice = openTerminal(t, here(minute.alice));
  await waitFor(() => alice.output.includes('"presence"'), 'her stream begins at once', 5000);
  const answer = JSON.parse(await run(t, here(minute.bob)));
  await waitFor(() => alice.output.includes('Hello, alice'), 'the message', 1000);
  const [message] = messagesIn(alice.output);
  assert.equal(message.id, answer.UUID);
  assert.equal(message.sender.displayName, 'bob');

  /* What the README shows is cut at its dots and wrapped; the pieces are in what came. */
  const line = alice.output.split('\n').find((text) => text.includes('Hello, alice'));
  const keys = [...minute.shown.matchAll(/"([a-zA-Z]+)":/g)].map(([, key]) => key);
  let at = -1;
  for (const key of keys) {
    at = line.indexOf(`"${key}":`, at + 1);
    assert.ok(at >= 0, `"${key}" is where the README shows it: ${line}`);
  }

  await alice.interrupt();
  await run(t, here(minute.bob));
  const setup = here(minute.alice)
    .split('\n')
    .filter((command) => /^[A-Z]+=/.test(command))
    .join('\n');
  const again = openTerminal(t, `${setup}\n${minute.readOn}`);
  await waitFor(() => again.output.includes('Hello, alice'), 'what she missed', 5000);
  assert.equal(messagesIn(again.output).length, 1, 'once, and nothing of before');
});
