// SPDX-License-Identifier: MIT
// Waiting for something to happen, never longer than a deadline and never for luck.
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';

// Long enough for a sanitizer build on a busy machine; a good run never waits for it.
export const PATIENCE_MS = 15_000;
const POLL_MS = 10;

// Resolves as `promise` does, or fails when the deadline is over.
export async function within(promise, what, ms = PATIENCE_MS) {
  const stop = new AbortController();
  const late = sleep(ms, undefined, { signal: stop.signal, ref: true }).then(
    () => {
      throw new assert.AssertionError({ message: `not within ${ms} ms: ${what}` });
    },
    () => {},
  );
  try {
    return await Promise.race([promise, late]);
  } finally {
    stop.abort();
  }
}

// Asks `condition` (which may be asynchronous) again and again until it is truthy; resolves with what it said.
export async function waitFor(condition, what, ms = PATIENCE_MS) {
  const end = Date.now() + ms;
  for (;;) {
    const answer = await condition();
    if (answer) return answer;
    if (Date.now() > end) assert.fail(`not within ${ms} ms: ${what}`);
    await sleep(POLL_MS);
  }
}

// Things that come one after the other, and those who wait for them.
export class Inbox {
  items = [];
  ended = false;
  #next = 0; // the first item that nobody has taken or skipped
  #wake = [];

  push(item) {
    this.items.push(item);
    this.#wakeAll();
  }

  end() {
    this.ended = true;
    this.#wakeAll();
  }

  #wakeAll() {
    for (const wake of this.#wake.splice(0)) wake();
  }

  // The next item that `matches`; those before it are skipped. Fails if there is none before the end, or within `ms`.
  async next(matches = () => true, what = 'the next item', ms = PATIENCE_MS) {
    const end = Date.now() + ms;
    for (;;) {
      while (this.#next < this.items.length) {
        const item = this.items[this.#next++];
        if (matches(item)) return item;
      }
      if (this.ended) assert.fail(`ended before: ${what}`);
      const left = end - Date.now();
      if (left <= 0) assert.fail(`not within ${ms} ms: ${what}`);
      const stop = new AbortController();
      await Promise.race([
        new Promise((wake) => this.#wake.push(wake)),
        sleep(left, undefined, { signal: stop.signal }).catch(() => {}),
      ]);
      stop.abort();
    }
  }

  // Until nothing more will come.
  async rest(what = 'the end', ms = PATIENCE_MS) {
    await waitFor(() => this.ended, what, ms);
    return this.items;
  }
}
