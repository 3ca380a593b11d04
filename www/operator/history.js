// SPDX-License-Identifier: MIT
// What was read over the last hour, as columns for charts. Where nothing was read there is a hole, not a line.

// The times, in seconds since 1970, are one column; each series is another, with null where it is not known.
export class History {
  #columns = new Map(); // the name of a series → values
  times = [];

  constructor(rowsMax) {
    this.rowsMax = rowsMax;
  }

  // `values`: name → number or null. Times only rise: a clock that was set back begins a new history.
  add(time, values) {
    if (this.times.length && time <= this.times.at(-1)) this.clear();
    for (const [name, value] of values) this.column(name).push(Number.isFinite(value) ? value : null);
    this.times.push(time);
    for (const column of this.#columns.values()) {
      while (column.length < this.times.length) column.push(null);
      if (column.length > this.rowsMax) column.shift();
    }
    if (this.times.length > this.rowsMax) this.times.shift();
  }

  // Nothing is known from the last row on, until the next.
  interrupt() {
    const last = this.times.at(-1);
    if (last !== undefined && !this.#isHole(this.times.length - 1)) this.add(last + 0.001, new Map());
  }

  #isHole(row) {
    return [...this.#columns.values()].every((column) => column[row] === null);
  }

  column(name) {
    if (!this.#columns.has(name))
      this.#columns.set(
        name,
        this.times.map(() => null),
      );
    return this.#columns.get(name);
  }

  // { lowest, highest } of a series since a time; null where nothing is known.
  range(name, since) {
    const column = this.column(name);
    let range = null;
    for (let row = this.times.length - 1; row >= 0 && this.times[row] >= since; row--) {
      const value = column[row];
      if (value === null) continue;
      range = { lowest: Math.min(value, range?.lowest ?? value), highest: Math.max(value, range?.highest ?? value) };
    }
    return range;
  }

  clear() {
    this.times = [];
    for (const name of this.#columns.keys()) this.#columns.set(name, []);
  }
}
