// SPDX-License-Identifier: MIT
// How long a page stood still because the machine was busy with something else: what a test that measures in pages does
// not hold against the program. A tick that comes late is one at which the page could do nothing.

// For addInitScript.
export function keepStalls() {
  const TICK_MS = 20;
  let last = Date.now();
  window.stalls = [];
  setInterval(() => {
    const now = Date.now();
    if (now - last > 2 * TICK_MS) window.stalls.push({ from: last + TICK_MS, to: now });
    last = now;
  }, TICK_MS);
}

// How many ms of the time between `from` and `to` were stalls.
export function stalledBetween(stalls, from, to) {
  const parts = stalls.map((stall) => Math.min(stall.to, to) - Math.max(stall.from, from));
  return parts.reduce((sum, part) => sum + Math.max(0, part), 0);
}
