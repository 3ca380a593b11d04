// SPDX-License-Identifier: MIT
// Clients of a gateway whose store is away now and then, and what is to be said of it. A journal is a room under load
// while something happens to the store: who sends, who follows, and a judge of the outcome. Nothing that was
// acknowledged may be lost, nothing may come twice, and all see one order, which is also that of each sender.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';

import { Follower, Sender, checkLog, wholeHistory } from './load.js';
import { waitFor, within } from './wait.js';

const PACE_MS = 5; // between two messages of a sender
const AGAIN_MS = 40; // before a stream that was refused is asked for again
const SETTLE_MS = 30_000;

// 503 as it should be: with a reason, and when to come again.
export function assertRefusal(answer, what) {
  assert.equal(answer.status, 503, `${what}: ${answer.status} ${answer.text}`);
  assert.ok(Number(answer.headers.get('retry-after')) > 0, `${what}: when to come again`);
  assert.match(answer.body.error, /^store_(unavailable|full)$/);
  assert.ok(answer.body.message.length > 0);
}

// Sends a message, with one id again and again, until it is acknowledged.
export async function sendAtLast(person, fields) {
  const message = { id: randomUUID(), ...fields };
  return waitFor(async () => {
    const answer = await within(person.request('POST', '/send-message', { json: message }), 'a send is answered');
    if (answer.status === 200) return answer.body;
    assertRefusal(answer, 'a send');
    return null;
  }, 'a send is acknowledged');
}

// The lines of a gateway's log, from warnings on, that came since `mark` (an earlier length of it).
export function complaints({ stderr }, mark = 0) {
  const lines = stderr.slice(mark).split('\n');
  return lines.filter((line) => / (warn|error) "/.test(line));
}

// Comes back with its cursor whenever its stream is cut.
class LastingFollower extends Follower {
  cuts = 0;
  gaps = 0;
  #closed = false;

  async run() {
    while (!this.#closed) {
      const stream = await this.#open();
      await stream?.finished;
      if (!stream || this.#closed) continue;
      if (stream.fault) throw stream.fault;
      this.gaps += stream.stanzas.items.filter(({ type }) => type === 'gap').length;
      this.cuts++;
      await this.detach({ close: false });
    }
  }

  async #open() {
    try {
      return (await this.attach()).stream;
    } catch {
      await sleep(AGAIN_MS);
      return null;
    }
  }

  close() {
    this.#closed = true;
    this.stream?.close();
  }
}

export class Journal {
  senders = [];
  followers = [];

  constructor(room = 'lobby') {
    this.room = room;
  }

  // Sends from now on, at the person's own gateway.
  async sends(person) {
    const sender = new Sender(person, await person.room(this.room));
    sender.finished = sender.run({ pause_ms: PACE_MS });
    sender.finished.catch(() => {}); // `verify` tells it
    this.senders.push(sender);
  }

  // Follows from the beginning on.
  async follows(person) {
    this.thread = await person.room(this.room);
    const follower = new LastingFollower(person);
    follower.finished = follower.run();
    person.gateway.clients.add(follower);
    this.followers.push(follower);
    await waitFor(() => follower.stream, `${person.name} follows`);
  }

  get acknowledged() {
    return this.senders.flatMap(({ acknowledged }) => acknowledged);
  }

  // Sends that were not acknowledged at first.
  get retries() {
    return this.senders.reduce((sum, { retries }) => sum + retries, 0);
  }

  // Streams that ended although nobody had closed them.
  get cuts() {
    return this.followers.reduce((sum, { cuts }) => sum + cuts, 0);
  }

  // Until every sender has had so many more messages acknowledged.
  async goesOn(count = 1, ms) {
    const before = this.senders.map(({ acknowledged }) => acknowledged.length);
    await waitFor(
      () => this.senders.every(({ acknowledged }, i) => acknowledged.length >= before[i] + count),
      'every sender gets on',
      ms,
    );
  }

  // Lets the senders finish, waits until everybody has seen everything, and judges.
  async verify(t) {
    for (const sender of this.senders) sender.stop();
    for (const { finished, person } of this.senders)
      await within(finished, `the last message of ${person.name} is acknowledged`, SETTLE_MS);
    const all = await wholeHistory(this.followers[0].person, this.thread);
    for (const follower of this.followers) {
      const hasSeenAll = () => follower.seen.length >= all.length && follower.seen.at(-1) === all.at(-1);
      await waitFor(hasSeenAll, `${follower.person.name} sees all`, SETTLE_MS);
    }
    assert.equal(all.length, this.acknowledged.length, 'there is nothing but what was acknowledged in the end');
    await checkLog(all, this.senders, this.followers);
    for (const { person, gaps, stream } of this.followers) {
      const gapsNow = gaps + stream.stanzas.items.filter(({ type }) => type === 'gap').length;
      assert.equal(gapsNow, 0, `${person.name} was told of no gap`);
    }
    t.diagnostic(`${all.length} messages acknowledged, ${this.retries} sent again, ${this.cuts} streams cut`);
  }
}
