// SPDX-License-Identifier: MIT
// kill -9 under load, again and again: what was acknowledged is there, once, and in order. Only the process dies here,
// not the machine.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { randomUUID } from 'node:crypto';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

import { startGateway } from './lib/gateway.js';
import { waitFor } from './lib/wait.js';

const ROUNDS = Number(process.env.KILL_ROUNDS ?? 20);
const LOAD_MS = Number(process.env.KILL_MS ?? 300);
const SENDERS = 4;

// Sends numbered messages one after the other until the gateway is gone. Each has an id, so that one whose answer was
// lost can be sent again in the next round, as a client does.
class Sender {
  acknowledged = []; // ids, in order
  #unanswered = null;

  constructor(person, thread) {
    Object.assign(this, { person, thread, count: 0 });
  }

  async run() {
    for (;;) {
      this.#unanswered ??= { thread_id: this.thread, id: randomUUID(), message: `${this.person.name} ${this.count++}` };
      const { id } = this.#unanswered;
      const answer = await this.person.request('POST', '/send-message', { json: this.#unanswered }).catch(() => null);
      if (!answer) return;
      assert.equal(answer.status, 200, answer.text);
      assert.equal(answer.body.UUID, id);
      this.acknowledged.push(id);
      this.#unanswered = null;
    }
  }
}

// Follows the room through all rounds with the cursor it has seen last.
class Follower {
  seen = [];

  constructor(person) {
    this.person = person;
    this.cursor = 0;
  }

  async attach() {
    this.stream = await this.person.stream({ since: this.cursor });
  }

  // Takes over what came before the gateway died.
  async collect() {
    await this.stream.finished;
    const { messages } = this.stream;
    this.seen.push(...messages.map(({ id }) => id));
    this.cursor = messages.at(-1)?.cursor ?? this.cursor;
  }
}

async function wholeHistory(person, thread) {
  const ids = [];
  let before;
  do {
    const page = await person.history(thread, { limit: 200, ...(before ? { before } : {}) });
    ids.unshift(...page.messages.map(({ message }) => message.id));
    before = page.before;
  } while (before);
  return ids;
}

// Whether all of `some` are in `all`, in the same order.
function isInOrder(some, all) {
  const place = new Map(all.map((id, i) => [id, i]));
  return some.every((id, i) => place.has(id) && (i === 0 || place.get(id) > place.get(some[i - 1])));
}

test(`kill -9 under load, ${ROUNDS} times`, async (t) => {
  const gateway = await startGateway(t);
  const people = await gateway.people(...Array.from({ length: SENDERS }, (_, i) => `sender${i}`), 'reader');
  for (const person of people) await person.room('lobby');
  const lobby = await people[0].room('lobby');
  const senders = people.slice(0, SENDERS).map((person) => new Sender(person, lobby));
  const reader = people.at(-1);
  const follower = new Follower(reader);

  for (let round = 0; round < ROUNDS; round++) {
    await follower.attach();
    const running = senders.map((sender) => sender.run());
    const before = senders.reduce((sum, { acknowledged }) => sum + acknowledged.length, 0);
    await waitFor(
      () => senders.reduce((sum, { acknowledged }) => sum + acknowledged.length, 0) > before,
      'there is load',
    );
    await sleep(Math.random() * LOAD_MS); /* at a random moment: this is what the test is about */
    await gateway.kill();
    await Promise.all(running);
    await follower.collect();
    const began = Date.now();
    await gateway.start();
    assert.ok(Date.now() - began < 5000, 'it is back soon');

    const all = await wholeHistory(reader, lobby);
    assert.equal(new Set(all).size, all.length, 'nothing is doubled');
    for (const { person, acknowledged } of senders) {
      assert.ok(isInOrder(acknowledged, all), `what ${person.name} was told is there, in order (round ${round})`);
    }
  }

  await follower.attach();
  for (const { person } of senders) await person.say(lobby, 'the end');
  await follower.stream.message('the end');
  const all = await wholeHistory(reader, lobby);
  await waitFor(() => follower.stream.messages.at(-1)?.id === all.at(-1), 'the follower has it all');
  const followed = [...follower.seen, ...follower.stream.messages.map(({ id }) => id)];
  assert.deepEqual(followed, all, 'who followed by cursor saw each message once, in the order of the log');
  const total = senders.reduce((sum, { acknowledged }) => sum + acknowledged.length, 0);
  t.diagnostic(`${total} messages acknowledged, ${all.length} kept`);

  await gateway.stop();
  const file = path.join(gateway.folder, 'chat.db');
  const check = spawnSync('sqlite3', [file, 'PRAGMA integrity_check'], { encoding: 'utf8' });
  if (check.error) t.diagnostic('no sqlite3 here: the file was checked by nereidd alone');
  else assert.equal(check.stdout.trim(), 'ok');
});
