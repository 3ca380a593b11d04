// SPDX-License-Identifier: MIT
// Asks the gateway how it is, again and again, while somebody looks.
//
//     resting ── start ──> asking ──┬─ both answered ──> told `read` ──┐
//        ^                          └─ not answered ──> told `lost` ───┤ after the interval
//        └──────────── stop (paused, hidden) ──────────────────────────┘
//
// Two readings make an interval where they follow each other without a break, in one run of the gateway.
import { Interval, Reading } from "./metrics.js";

export const INTERVAL_MS = 2000;
const PATIENCE_MS = 8000;
const BREAK_MS = 3 * INTERVAL_MS;

async function get(path) {
  const response = await fetch(path, { cache: "no-store", signal: AbortSignal.timeout(PATIENCE_MS) });
  const [at, wall] = [performance.now(), Date.now()];
  const text = await response.text();
  return { ok: response.ok, status: response.status, text, at, wall };
}

// An error in JSON as nereidd writes it, in words.
function reasonOf({ status, text }) {
  try {
    return JSON.parse(text).message ?? `status ${status}`;
  } catch {
    return `status ${status}`;
  }
}

async function readMetrics() {
  const answer = await get("metrics");
  if (!answer.ok) throw new Error(`/metrics: ${reasonOf(answer)}`);
  return new Reading(answer.text, answer);
}

// { told }, or { refused } in words: /status is more particular than /metrics about who asks.
async function readStatus() {
  const answer = await get("status");
  return answer.ok ? { told: JSON.parse(answer.text) } : { refused: reasonOf(answer) };
}

export class Sampler {
  #timer = null;
  #turn = 0; // what was asked before the last stop is not heard
  #last = null;

  // `read({ interval, status, broken, restarted })`, `lost(error)`.
  constructor({ read, lost }) {
    Object.assign(this, { read, lost });
  }

  get running() {
    return this.#timer !== null;
  }

  start() {
    if (!this.running) this.#ask();
  }

  stop() {
    this.#turn++;
    clearTimeout(this.#timer);
    this.#timer = null;
  }

  async #ask() {
    const turn = this.#turn;
    const begun = performance.now();
    this.#timer = 0; // running, whatever comes
    const answers = await Promise.all([readMetrics(), readStatus()]).catch((error) => error);
    if (turn !== this.#turn) return;
    const wait = Math.max(INTERVAL_MS - (performance.now() - begun), INTERVAL_MS / 4);
    this.#timer = setTimeout(() => this.#ask(), wait);
    if (answers instanceof Error) this.lost(answers);
    else this.#take(...answers);
  }

  #take(reading, status) {
    const last = this.#last;
    const broken = !last || reading.at - last.at > BREAK_MS || reading.wall - last.wall > BREAK_MS;
    const restarted = Boolean(last) && !reading.follows(last);
    this.#last = reading;
    const interval = new Interval(broken || restarted ? null : last, reading);
    this.read({ interval, status, broken, restarted });
  }
}
