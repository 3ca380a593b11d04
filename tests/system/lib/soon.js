// SPDX-License-Identifier: MIT
// Things that come soon, many of them in one test. Where the machine does not get to run the gateway, or what stands
// around it, in time, one of them may be late: no more than one, and not for ever.
import { waitFor } from './wait.js';

const LATE = 5; // times as long as the others may take

// A function for each of them: it calls `wait(ms)`, which fails if the thing has not come by then.
export function soonButForOne(t, soon_ms = 1000) {
  let late = 0;
  return async (wait) => {
    try {
      return await wait(soon_ms);
    } catch (error) {
      if (late++) throw error;
      t.diagnostic(`late: ${error.message}`);
      return wait(LATE * soon_ms);
    }
  };
}

// Waits until a text has come in what somebody reads, `{ text }`: soon, where that matters.
export function comes(reader, text, soon = (wait) => wait()) {
  return soon((ms) => waitFor(() => reader.text.includes(text), `${text} comes`, ms));
}
