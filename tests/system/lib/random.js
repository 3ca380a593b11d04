// SPDX-License-Identifier: MIT
// Numbers for tests that take another way each time, and the same way again when told (TEST_SEED).
export const SEED = Number(process.env.TEST_SEED ?? Math.floor(Math.random() * 2 ** 31));

// Draws whole numbers from 0 to below n, the same ones each time for a seed. Says the seed in what the test prints.
export function randomOf(t, seed = SEED) {
  let state = seed | 1;
  t.diagnostic(`TEST_SEED=${seed}`);
  return (n) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % n;
  };
}
