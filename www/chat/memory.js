// SPDX-License-Identifier: MIT
// What the browser keeps for this page.
//
// For the tab (sessionStorage): the chat token, never a password, and what was on show, so that a reload goes on where
// it was. It goes with the tab, and when its user signs out. A chat token reads what comes and sends; for all else the
// page asks for the password again. For the browser (localStorage): up to when each thread was read.

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

export const recallSession = () => read("sessionStorage", SESSION);

// `session` is {token, user, withLogin} and maybe {view, cursor}, which is left out where there is no room for it.
export function keepSession(session) {
  const { view, cursor, ...least } = session;
  if (!write("sessionStorage", SESSION, session)) write("sessionStorage", SESSION, least);
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

  get(id) {
    return this.#marks[id] ?? this.#since;
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
