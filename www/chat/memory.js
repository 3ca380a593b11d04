// SPDX-License-Identifier: MIT
// What the browser keeps for this page.
//
// For the tab (sessionStorage): the chat token, never a password, and what was on show, so that a reload goes on where
// it was. It goes with the tab, and when its user signs out. A chat token reads what comes and sends; for all else the
// page asks for the password again. For the browser (localStorage): up to when each thread was read.
import { cutLog } from "./model.js";

const SESSION = "nereid-chat session";
const READ = "nereid-chat read ";
const MARKS = 500; // threads to remember

// Storage may be forbidden, full, or hold anything: then nothing is remembered.
function read(storage, key) {
  try {
    return JSON.parse(globalThis[storage].getItem(key));
  } catch {
    return null;
  }
}

function write(storage, key, value) {
  try {
    globalThis[storage].setItem(key, JSON.stringify(value));
    return true;
  } catch {
    return false;
  }
}

// A view with so many messages of each thread.
const withLogs = (view, most) => {
  const cut = (thread) => ({ ...thread, ...cutLog(thread, most) });
  return { ...view, threads: view.threads.map(cut) };
};

// A view with nothing but what is on show, by its name, and what was not sent.
function leastOf({ open, threads }) {
  const needed = threads.filter(({ id, outbox }) => id === open || outbox.length);
  const least = needed.map(({ id, room, members, known, outbox }) => ({ id, room, members, known, outbox, log: [] }));
  return { open, people: [], threads: least };
}

// What there may be no room for is given up in this order; what was not sent yet is nowhere else, and goes last.
const STEPS = [
  ({ view, ...rest }) => ({ ...rest, view }),
  ({ view, ...rest }) => ({ ...rest, view: withLogs(view, 1) }),
  ({ view, ...rest }) => ({ ...rest, view: leastOf(view) }),
  ({ view, cursor, ...rest }) => rest,
];

export const recallSession = () => read("sessionStorage", SESSION);

// `session` is {token, endsAt, user, isSaid} and maybe {view, cursor}, of which as much is kept as there is room for.
export function keepSession(session) {
  const steps = session.view ? STEPS : STEPS.slice(-1);
  steps.some((step) => write("sessionStorage", SESSION, step(session)));
}

export function forgetSession() {
  try {
    sessionStorage.removeItem(SESSION);
  } catch {
    /* nothing was kept */
  }
}

export class ReadMarks extends EventTarget {
  #key = null;
  #marks = {};
  #since = Date.now(); // what is older than this browser's first look counts as read

  // Tells ("read", detail {id, at}) what other tabs have read.
  constructor() {
    super();
    window.addEventListener("storage", (event) => {
      if (event.key !== this.#key || !event.newValue) return;
      const marks = read("localStorage", this.#key)?.marks ?? {};
      for (const [id, at] of Object.entries(marks)) {
        if (at <= (this.#marks[id] ?? 0)) continue;
        this.#marks[id] = at;
        this.dispatchEvent(new CustomEvent("read", { detail: { id, at } }));
      }
    });
  }

  // Whose marks these are.
  use(user) {
    this.#key = READ + user;
    const kept = read("localStorage", this.#key);
    this.#marks = kept?.marks ?? {};
    this.#since = kept?.since ?? Date.now();
    if (!kept) this.#write();
  }

  // The time up to which a thread was read here; `otherwise` where it never was.
  get(id, otherwise = this.#since) {
    return this.#marks[id] ?? otherwise;
  }

  set(id, at) {
    if (at <= (this.#marks[id] ?? 0)) return;
    this.#marks[id] = at;
    if (this.#key) this.#write();
  }

  #write() {
    const newest = Object.entries(this.#marks).sort((a, b) => b[1] - a[1]);
    write("localStorage", this.#key, { since: this.#since, marks: Object.fromEntries(newest.slice(0, MARKS)) });
  }
}
