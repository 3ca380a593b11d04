// SPDX-License-Identifier: MIT
// What /metrics says, and what two answers of it say together: rates, and how long things took.
//
//     Prometheus' text ── parseMetrics ──> Reading
//     Reading, Reading ── Interval ──> rates, means, quantiles; nothing where the two do not belong together

const SAMPLE = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$/;
const HEAD = /^# (HELP|TYPE) (\S+) (.*)$/;
const LABEL_VALUE = /="((?:[^"\\]|\\.)*)"/;
const STARTED = "process_start_time_seconds";

const numberOf = (text) => Number(text.replace("Inf", "Infinity"));

// One answer. `at` is when it came, in milliseconds of a clock that never goes back; `wall` by the clock of the day.
export class Reading {
  #samples = new Map(); // the full name, with labels → number
  families = new Map(); // name → { name, kind, help, keys }, in the order of the answer

  constructor(text, { at, wall }) {
    this.at = at;
    this.wall = wall;
    let family = this.#family("");
    for (const line of text.split("\n")) {
      const head = HEAD.exec(line);
      const sample = SAMPLE.exec(line);
      if (head) {
        family = this.#family(head[2]);
        family[head[1] === "HELP" ? "help" : "kind"] = head[3];
      } else if (sample) {
        const key = line.slice(0, line.lastIndexOf(" "));
        this.#samples.set(key, numberOf(sample[3]));
        family.keys.push(key);
      }
    }
    this.families.delete("");
  }

  #family(name) {
    if (!this.families.has(name)) this.families.set(name, { name, kind: "", help: "", keys: [] });
    return this.families.get(name);
  }

  // The number by its full name, such as `nereidd_sessions{protocol="talker"}`; undefined where there is none.
  value(key) {
    return this.#samples.get(key);
  }

  has(key) {
    return this.#samples.has(key);
  }

  // The members of a family that has one label: [{ key, label, value }].
  members(name) {
    const keys = this.families.get(name)?.keys ?? [];
    return keys.map((key) => ({ key, label: LABEL_VALUE.exec(key)?.[1] ?? "", value: this.value(key) }));
  }

  sum(name) {
    return this.families.has(name) ? this.members(name).reduce((sum, { value }) => sum + value, 0) : undefined;
  }

  // Whether this is the same run of the gateway as before, as far as can be told: counters only rise in it.
  follows(before) {
    if (this.value(STARTED) !== before.value(STARTED)) return false;
    for (const { kind, keys } of this.families.values())
      if (kind === "counter" && keys.some((key) => this.value(key) < before.value(key))) return false;
    return true;
  }
}

// What happened between two readings of one run. `before` null: nothing is known.
export class Interval {
  constructor(before, now) {
    this.before = before;
    this.now = now;
    this.seconds = before ? (now.at - before.at) / 1000 : null;
  }

  rise(key) {
    if (!this.before || !this.now.has(key)) return null;
    return this.now.value(key) - (this.before.value(key) ?? 0);
  }

  rate(key) {
    const rise = this.rise(key);
    return rise === null ? null : rise / this.seconds;
  }

  // Of all members of a family together, but for those left out.
  rateOf(name, without = []) {
    if (!this.before || !this.now.families.has(name)) return null;
    const members = this.now.members(name).filter(({ key }) => !without.includes(key));
    return members.reduce((sum, { key }) => sum + this.rate(key), 0);
  }

  // The mean of what a histogram saw, in seconds; null where that is nothing.
  mean(name) {
    const seen = this.rise(`${name}_count`);
    return seen ? this.rise(`${name}_sum`) / seen : null;
  }

  // An estimate: within a bucket all values are taken to lie evenly. Infinity: it is beyond the last bound.
  quantile(name, q) {
    const seen = this.rise(`${name}_count`);
    if (!seen) return null;
    const wanted = q * seen;
    let [lower, below] = [0, 0];
    for (const { key, label } of this.now.members(name).filter((member) => member.label)) {
      const bound = numberOf(label);
      const upTo = this.rise(key);
      if (upTo >= wanted)
        return bound === Infinity ? Infinity : lower + ((bound - lower) * (wanted - below)) / Math.max(upTo - below, 1);
      [lower, below] = [bound, upTo];
    }
    return null;
  }
}
