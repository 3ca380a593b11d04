// SPDX-License-Identifier: MIT
// Waiting for something to happen, never longer than a deadline and never for luck.
import assert from 'node:assert/strict';
import { setImmediate as turn, setTimeout as sleep } from 'node:timers/promises';

// Long enough for a sanitizer build on a busy machine; a good run never waits for it.
export const PATIENCE_MS = 15_000;
const POLL_MS = 10;
const SLICE_MS = 100;

// Sleeps, and lets be read what came meanwhile. Resolves with how much longer than `ms` it slept: then it was this process
// that stood still, which is not held against the program.
async function nap(ms, signal) {
  const end = Date.now() + ms;
  await sleep(ms, undefined, { signal });
  const late = Date.now() - end;
  await turn();
  return Math.max(late, 0);
}

// Resolves after `ms` in which this process was awake; rejects when `signal` ends it before.
async function patience(ms, signal) {
  for (let end = Date.now() + ms; Date.now() < end; )
    end += await nap(Math.min(SLICE_MS, end - Date.now()), signal);
}

// Resolves as `promise` does, or fails when the deadline is over.
export async function within(promise, what, ms = PATIENCE_MS) {
  const stop = new AbortController();
  const late = patience(ms, stop.signal).then(
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
  let end = Date.now() + ms;
  for (;;) {
    const answer = await condition();
    if (answer) return answer;
    if (Date.now() > end) assert.fail(`not within ${ms} ms: ${what}`);
    end += await nap(POLL_MS);
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
    const stop = new AbortController();
    let over = false;
    patience(ms, stop.signal).then(
      () => {
        over = true;
        this.#wakeAll();
      },
      () => {},
    );
    try {
      for (;;) {
        while (this.#next < this.items.length) {
          const item = this.items[this.#next++];
          if (matches(item)) return item;
        }
        if (this.ended) assert.fail(`ended before: ${what}`);
        if (over) assert.fail(`not within ${ms} ms: ${what}`);
        await new Promise((wake) => this.#wake.push(wake));
      }
    } finally {
      stop.abort();
    }
  }

  // Until nothing more will come.
  async rest(what = 'the end', ms = PATIENCE_MS) {
    await waitFor(() => this.ended, what, ms);
    return this.items;
  }
}
