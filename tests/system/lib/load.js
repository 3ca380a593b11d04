// SPDX-License-Identifier: MIT
// People who talk and listen while something happens to the gateways, and what can be said of it afterwards: nothing
// lost, nothing doubled, all in one order.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';

import { waitFor, within } from './wait.js';

const RETRY_MS = 20;

// Sends numbered messages to a thread, one after the other and in turn at all `gateways`. Each has an id of its own,
// and one that was not acknowledged is sent again, as a client does.
export class Sender {
  acknowledged = []; // ids, in order
  retries = 0;
  #turn = 0;
  #stopped = false;
  #count = 0;

  constructor(person, thread, gateways = [person.gateway]) {
    Object.assign(this, { person, thread, gateways });
  }

  // Until `count` more are acknowledged, or it is stopped. `pause_ms` lies between two.
  async run({ count = Infinity, pause_ms = 0 } = {}) {
    for (let left = count; left > 0 && !this.#stopped; left--) {
      await this.#sendOne();
      if (pause_ms) await sleep(pause_ms);
    }
    return this;
  }

  async #sendOne() {
    const fields = { thread_id: this.thread, id: randomUUID(), message: `${this.person.name} ${this.#count++}` };
    while (!(await this.#try(fields))) {
      this.retries++;
      await sleep(RETRY_MS);
    }
    this.acknowledged.push(fields.id);
  }

  async #try(fields) {
    const gateway = this.gateways[this.#turn++ % this.gateways.length];
    if (!gateway.running) return false;
    const answer = await this.person.at(gateway).request('POST', '/send-message', { json: fields }).catch(() => null);
    if (!answer || answer.status === 503) return false;
    assert.equal(answer.status, 200, answer.text);
    assert.equal(answer.body.UUID, fields.id);
    return true;
  }

  stop() {
    this.#stopped = true;
  }
}

// Follows by stream what is said, from gateway to gateway with the cursor of the last message.
export class Follower {
  #before = []; // ids, in order, of the streams that have ended

  constructor(person) {
    this.person = person;
    this.cursor = 0;
  }

  async attach(gateway = this.person.gateway) {
    this.stream = await this.person.at(gateway).stream({ since: this.cursor });
    return this;
  }

  // Takes over what the stream had when it ended, or ends it.
  async detach({ close = true } = {}) {
    if (close) this.stream.close();
    await within(this.stream.finished, 'the stream ends');
    const { messages } = this.stream;
    this.#before.push(...messages.map(({ id }) => id));
    this.cursor = messages.at(-1)?.cursor ?? this.cursor;
    this.stream = null;
  }

  get seen() {
    return [...this.#before, ...(this.stream?.messages ?? []).map(({ id }) => id)];
  }

  hasSeen(id, ms) {
    return waitFor(() => this.seen.includes(id), `${this.person.name} sees ${id}`, ms);
  }
}

// All of a thread, oldest first.
export async function wholeHistory(person, thread) {
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
export function isInOrder(some, all) {
  const place = new Map(all.map((id, i) => [id, i]));
  return some.every((id, i) => place.has(id) && (i === 0 || place.get(id) > place.get(some[i - 1])));
}

// The log `all` has what every sender was told, once, in order, and each follower has seen just that.
export async function checkLog(all, senders, followers) {
  assert.equal(new Set(all).size, all.length, 'nothing is doubled');
  for (const { person, acknowledged } of senders)
    assert.ok(isInOrder(acknowledged, all), `what ${person.name} was told is there, in order`);
  for (const follower of followers) {
    await follower.hasSeen(all.at(-1));
    assert.deepEqual(follower.seen, all, `${follower.person.name} saw each message once, in the order of the log`);
  }
}
