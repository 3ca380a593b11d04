// SPDX-License-Identifier: MIT
// The client of nereidd: a feed by whatever way gets through, sends in order, one stream per browser.
//
//   NereidChat    what an application has: calls, events, state
//     Server      requests; the login and the chat token
//     Feed        what happens, way after way, again after each loss, always from the cursor
//       Ladder    which way to take, and when to try a better one
//       WAYS      each reads until there is no more, or it is told to stop
//     Outbox      what is to be sent: one after the other, until each is answered
//     Share       of the tabs of one user one has the feed, and the others hear from it
//     diagnose    what lies between here and the server
//
// A message is handed out before the cursor moves past it, and what was handed out is known by its id. So whatever
// breaks, and wherever the feed goes on, there is neither a hole nor a double. The protocol is in nereid-chat(7).

/**
 * @typedef {{id: string, displayName: string, show: string, available: boolean, status?: string}} Presence
 * @typedef {{id: string, thread: string, text: string, type: string, subject?: string, language?: string,
 *   attachments: object[], sender: {id: string, displayName: string}}} Message
 * @typedef {{type: string, timestamp: string, message?: Message, presence?: Presence[],
 *   gap?: {oldest: string | null}}} Stanza
 * @typedef {{cursor?: string, stanzas: Stanza[], error?: string, message?: string}} Envelope
 * @typedef {"connecting" | "live" | "polling" | "catching_up" | "offline" | "refused" | "closed"} Mode
 * @typedef {{mode: Mode, way: string | null, leads: boolean, unsent: number, retryAt: number | null,
 *   error: ChatError | null}} State
 * @typedef {{thread?: string, to?: string | string[], text?: string, type?: string, subject?: string,
 *   language?: string, attachments?: object[], id?: string}} Sending
 * @typedef {string | {token: string, expires_in?: number}} Given
 * @typedef {Record<string, any>} Fields
 *
 * @typedef Options
 * @property {string} [url] the base of the interface; default "nereid-chat/" beside the page
 * @property {string | (() => string | Promise<string>)} [login] the value of Authorization
 * @property {string | (() => Given | Promise<Given>)} [token] a chat token
 * @property {RequestCredentials} [credentials] default "omit"
 * @property {boolean | string} [share] one stream per browser; default true
 * @property {string[]} [ways] default: all
 * @property {string} [cursor] where to go on from
 * @property {number} [queue] how many messages may wait to be sent; default 1000
 * @property {Partial<typeof TIMES>} [times] in ms
 * @property {typeof globalThis.fetch} [fetch] this and what follows: instead of the browser's own
 * @property {typeof globalThis.EventSource} [EventSource]
 * @property {typeof globalThis.BroadcastChannel} [BroadcastChannel]
 * @property {Pick<LockManager, "request">} [locks]
 * @property {Pick<Storage, "getItem" | "setItem">} [storage]
 * @property {EventTarget} [window]
 * @property {() => number} [random]
 */

const TIMES = {
  base: 500, // the first wait after a failure, at most
  max: 30000, // and the longest
  patience: 1000, // for a way to prove itself; four round trips more
  heartbeat: 20000, // how often the server says that it is there
  wait: 25000, // of a poll
  request: 15000, // for any other answer
  climb: 600000, // until a better way is tried, at most
  memory: 3600000, // how long the way that worked is remembered
};

const MARKS = 6; // signs of life that a stream begins with: a busy page takes some in one go
const PROOF = 2; // so many of them have to come by themselves
const MARK_APART = 50; // ms after the first bytes: a mark that came with them proves nothing
const SILENCE = 2.5; // heartbeats
const SOUND = 1000; // ms that a stream has to last: one that is over sooner is no better than none
const QUICK = 500; // ms: a poll that was to wait and is over so soon did not wait
const BETWEEN = 5000; // ms, the longest pause between polls where they cannot wait
const LONGEST_RETRY = 600; // seconds that a server or a hop may ask for
const SEEN = 2000; // ids of messages
const CONNECTED = ["live", "polling"]; // modes
const CHANCE = 2; // faults in a row that may be: a connection that is used again may be an old one, about to be cut
const SOON = 100; // ms, of timers
const SLEPT = 2000; // ms: a timer that is so late was no busy page's, nor one of a page that is hidden for a while
const QUIET = 1.5; // heartbeats or polls: what was not heard of for so long may be dead
const ANSWER = 3000; // ms, for a leader to say that it is awake
const LONGEST_TIMER = 2 ** 31 - 1;

export class ChatError extends Error {
  /**
   * @param {string} word the server's word, or one of: network, silence, closed, queue_full
   * @param {string} [message]
   * @param {{status?: number, retryAfter?: number}} [more] `retryAfter` in seconds
   */
  constructor(word, message = word, { status, retryAfter } = {}) {
    super(message);
    this.word = word;
    this.status = status;
    this.retryAfter = retryAfter;
  }
}

/** @param {any} error */
const asChatError = (error) => (error instanceof ChatError ? error : new ChatError("network", String(error)));

/** A random UUID, such as `send` takes for an id; crypto.randomUUID is there on pages with TLS only. */
export function uuid() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 15) | 64;
  bytes[8] = (bytes[8] & 63) | 128;
  return hex(bytes).replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}

/** @param {Uint8Array} bytes */
const hex = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");

// --- waiting

/** Also for a signal that has gone off. @param {AbortSignal} signal @param {() => void} act */
function onAbort(signal, act) {
  if (signal.aborted) act();
  else signal.addEventListener("abort", act);
}

/** A signal that goes off with its parent, or when what is expected does not come in time. */
class Patience extends AbortController {
  /** @type {any} */ #timer;
  #parent;
  #giveUp = () => this.abort(this.#parent.reason);
  slept = false; // the page stood still, or its timers did, when the time was over

  /** @param {AbortSignal} parent */
  constructor(parent) {
    super();
    this.#parent = parent;
    onAbort(parent, this.#giveUp);
  }

  /** From now on `ms`. Timers of hidden pages are always late, so there is one respite. @param {number} ms */
  expect(ms, mayBeLate = true) {
    clearTimeout(this.#timer);
    if (this.signal.aborted) return;
    if (mayBeLate) this.slept = false;
    const due = Date.now() + ms;
    this.#timer = setTimeout(() => {
      const late = Date.now() - due; // the page was busy, or asleep: what has come meanwhile is looked at first
      this.slept ||= late > SLEPT;
      if (mayBeLate && late > SOON) this.expect(Math.min(late, 10 * SOON), false);
      else this.abort(new ChatError("silence", "nothing was heard in time"));
    }, ms);
  }

  /** @param {any} [reason] */
  end(reason) {
    clearTimeout(this.#timer);
    this.#parent.removeEventListener("abort", this.#giveUp);
    this.abort(reason);
  }

  /**
   * Settles as `work` does, which has this signal, but never later than the signal. That is the end of it then.
   * @template T
   * @param {Promise<T>} work
   * @returns {Promise<T>}
   */
  async guard(work) {
    const { signal } = this;
    /** @type {Promise<never>} */
    const end = new Promise((_, reject) => onAbort(signal, () => reject(signal.reason)));
    try {
      return await Promise.race([work, end]);
    } catch (error) {
      throw asChatError(signal.aborted ? signal.reason : error);
    } finally {
      this.end();
    }
  }
}

/**
 * Does `work`, within `ms`.
 * @template T
 * @param {number} ms @param {AbortSignal} signal @param {(signal: AbortSignal) => Promise<T>} work
 */
function inTime(ms, signal, work) {
  const patience = new Patience(signal);
  patience.expect(ms);
  return patience.guard(work(patience.signal));
}

/** Waits between tries: full jitter, so that the many who lost the server together do not come back together. */
class Pause {
  #setup;
  #tries = 0;
  #mayWake = true; // what the server has asked for is kept
  wake = () => {};

  /** @param {Setup} setup */
  constructor(setup) {
    this.#setup = setup;
  }

  reset() {
    this.#tries = 0;
  }

  /** How long to wait after this. @param {ChatError} [error] @param {number} [max] */
  next(error, max = Infinity) {
    const { times, random } = this.#setup;
    const most = Math.min(max, times.max, times.base * 2 ** this.#tries++);
    this.#mayWake = !error?.retryAfter;
    return (error?.retryAfter ?? 0) * 1000 + random() * most;
  }

  /** Waits, until it is over or woken. @param {number} ms @param {AbortSignal} signal */
  async sleep(ms, signal) {
    /** @type {any} */ let timer;
    /** @type {any} */ let wake;
    await new Promise((resolve) => {
      wake = resolve;
      timer = setTimeout(wake, Math.min(ms, LONGEST_TIMER));
      this.wake = () => this.#mayWake && wake();
      onAbort(signal, wake);
    });
    clearTimeout(timer);
    signal.removeEventListener("abort", wake);
    this.#mayWake = true;
  }
}

// --- the server

/** Of a header: in seconds, or a date. @param {string} text */
function secondsUntil(text) {
  const seconds = Number(text) || (Date.parse(text) - Date.now()) / 1000;
  return seconds > 0 ? Math.min(seconds, LONGEST_RETRY) : undefined;
}

/** @param {Response} answer */
async function refusalOf(answer) {
  const body = (await answer.json().catch(() => null)) ?? {}; // what a hop says is no JSON
  const { status } = answer;
  const retryAfter = secondsUntil(answer.headers.get("Retry-After") ?? "");
  return new ChatError(body.error ?? "network", body.message ?? `the answer was ${status}`, { status, retryAfter });
}

/**
 * Whether it may be over soon. What a hop says may, unless it is about us or our request.
 * @param {ChatError} error
 */
function mayPass({ word, status = 0 }) {
  if (word === "network" || word === "silence") return ![400, 401, 413].includes(status);
  return status >= 500 || status === 408 || status === 429;
}

/** What has nothing to say in a dialect is asked without. */
const PLAIN = { query: { dialect: undefined } };

class Server {
  roundTrip = 100; // ms, about
  renewAt = Infinity;
  #setup;
  #endsAt = Infinity;
  /** @type {string | undefined} */ #token;
  /** @type {Promise<void> | undefined} */ #asking;

  /** @param {Setup} setup */
  constructor(setup) {
    this.#setup = setup;
  }

  /** The gateway may speak another dialect by itself. @param {string} path @param {Fields} [query] */
  url(path, query) {
    const url = new URL(path, this.#setup.url);
    const all = { dialect: "spec", ...query };
    for (const [name, value] of Object.entries(all)) if (value !== undefined) url.searchParams.set(name, value);
    return url.href;
  }

  /**
   * With a chat token as that, with null as nobody, else by login. Without one the browser or a hop says who it is.
   * @param {string | null} [token]
   */
  async #authorization(token) {
    const { login, token: given } = this.#setup.options;
    if (token === null) return "";
    if (token) return `Bearer ${token}`;
    if (login) return typeof login === "function" ? login() : login;
    return given && `Bearer ${await this.token()}`;
  }

  /**
   * Sends a request; resolves with the head of a good answer.
   * @param {string} method @param {string} path @param {AbortSignal} signal
   * @param {{query?: Fields, body?: Fields, token?: string | null}} [more]
   */
  async open(method, path, signal, { query, body, token } = {}) {
    const { fetch, credentials } = this.#setup;
    /** @type {Record<string, string>} */ const headers = {};
    const authorization = await this.#authorization(token);
    if (authorization) headers.Authorization = authorization;
    if (body) headers["Content-Type"] = "application/json";
    const init = { method, headers, body: body && JSON.stringify(body), signal, credentials };
    const answer = await fetch(this.url(path, query), { ...init, cache: "no-store" });
    if (answer.ok) return answer;
    const refusal = await refusalOf(answer);
    if (token && refusal.word === "no_token") this.forget(token);
    throw refusal;
  }

  /**
   * A request and its answer, which has to be there in time: hops may swallow either.
   * @param {string} method @param {string} path
   * @param {{query?: Fields, body?: Fields, token?: string, ms?: number, signal?: AbortSignal}} [more]
   * @returns {Promise<any>}
   */
  call(method, path, { ms = this.#setup.times.request, signal = this.#setup.closing, ...more } = {}) {
    return inTime(ms, signal, async (signal) => {
      const answer = await this.open(method, path, signal, more);
      return answer.status === 204 ? undefined : answer.json();
    });
  }

  /** A token that is good. One that ends soon is replaced before; if that fails, it is still good until then. */
  async token() {
    if (!this.#token || Date.now() >= this.renewAt) {
      this.#asking ??= this.#renew().finally(() => (this.#asking = undefined));
      await this.#asking.catch((error) => {
        this.renewAt = Date.now() + Math.max(this.#setup.times.max, (error?.retryAfter ?? 0) * 1000);
        if (!this.#token || Date.now() >= this.#endsAt) throw error;
      });
    }
    return /** @type {string} */ (this.#token);
  }

  async #renew() {
    const { options, times, closing, random } = this.#setup;
    const { token: source } = options;
    const began = Date.now();
    const ask = async () => (typeof source === "function" ? source() : (source ?? this.call("POST", "token", PLAIN)));
    const given = await inTime(times.request, closing, ask);
    if (!source) this.measured(Date.now() - began);
    const { token, expires_in: seconds = Infinity } = typeof given === "string" ? { token: given } : given;
    this.#token = token;
    this.#endsAt = began + seconds * 1000;
    this.renewAt = began + seconds * (700 + 200 * random());
  }

  /** A request took so long. A page that starts makes some slow, so one slow one says little. @param {number} ms */
  measured(ms) {
    this.roundTrip = Math.min(Math.max(ms, 10), 2 * this.roundTrip); // a coarse clock says 0
  }

  /** The server does not take this token any more. @param {string} token */
  forget(token) {
    if (this.#token === token) this.#token = undefined;
  }

  /** Revokes the token, if there is one; also when all else has ended. */
  async revoke() {
    const token = this.#token;
    if (token) await this.call("DELETE", `token/${token}`, { token, signal: new AbortController().signal });
  }

  /** Whether the same again may succeed. @param {ChatError} error */
  mayRetry(error) {
    return mayPass(error) || (error.word === "no_token" && this.renews);
  }

  /** Whether the application or the server can give another token. */
  get renews() {
    return typeof this.#setup.options.token !== "string";
  }
}

// --- the ways

/**
 * What comes as JSON, line by line. `onPart` is called when there is a piece of a line and not yet all of it.
 * @param {Response} answer @param {(value: any, line: string) => void} take @param {() => void} [onPart]
 */
async function eachLine(answer, take, onPart) {
  if (!answer.body) throw new ChatError("network", "there are no streams here");
  const reader = answer.body.getReader();
  const decoder = new TextDecoder();
  for (let rest = ""; ; ) {
    const { value, done } = await reader.read();
    if (done) return;
    const lines = (rest + decoder.decode(value, { stream: true })).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) take(JSON.parse(line), line);
    if (rest) onPart?.();
  }
}

/** Streams by fetch: an envelope on each line. @param {Line} line @param {string} method */
async function readLines(line, method) {
  const ask = { format: "ndjson", ...line.ask };
  const more = { token: line.token, ...(method === "POST" ? { body: ask } : { query: ask }) };
  const answer = await line.server.open(method, "stream", line.signal, more);
  await eachLine(
    answer,
    (envelope) => line.take(envelope),
    () => line.hold(),
  );
}

/**
 * Server-sent events: a stanza in each. EventSource shows no status, and its own reconnecting is not used.
 * @param {Line} line
 * @returns {Promise<never>}
 */
async function readEvents(line) {
  const source = new line.EventSource(line.server.url(`stream/${line.token}`, { format: "sse", ...line.ask }), {
    withCredentials: line.withCredentials,
  });
  /** @type {Record<string, (data: any) => Envelope>} */
  const kinds = {
    message: (stanza) => ({ stanzas: [stanza] }),
    heartbeat: () => ({ stanzas: [] }),
    end: (farewell) => farewell,
  };
  try {
    return await new Promise((_, reject) => {
      for (const [name, open] of Object.entries(kinds)) {
        source.addEventListener(name, ({ data, lastEventId }) => {
          line.take({ cursor: lastEventId || undefined, ...open(JSON.parse(data)) });
        });
      }
      source.onerror = () => reject(new ChatError("network", "the event source has failed"));
      onAbort(line.signal, () => reject(line.signal.reason));
    });
  } finally {
    source.close();
  }
}

/**
 * Polls: one that does not wait says whether anybody is there, then those that wait, until one fails.
 * @param {Line} line
 */
async function readPolls(line) {
  for (let wait = line.times.wait / 1000; ; ) {
    line.take(await line.poll(0));
    wait = await readLongPolls(line, wait);
  }
}

/**
 * After one that a hop has cut before its time the next are shorter, until polls come through again. Where none can
 * wait, there are pauses between them. Resolves with how long the next may wait, in seconds.
 * @param {Line} line @param {number} wait
 */
async function readLongPolls(line, wait) {
  for (const most = line.times.wait / 1000; ; wait = Math.min(most, wait + 1)) {
    wait = Math.max(1, Math.round(wait));
    const began = Date.now();
    try {
      const envelope = await line.poll(wait);
      line.take(envelope);
      if (envelope.stanzas.length || Date.now() - began >= QUICK) line.pause.reset();
      else await line.rest();
    } catch (error) {
      if (line.signal.aborted) throw error;
      const reason = asChatError(error);
      const shorter = shorterWait(wait, (Date.now() - began) / 1000, reason);
      await line.rest(reason);
      return shorter;
    }
  }
}

/**
 * In seconds, for polls after one that failed; throws what a shorter wait does not mend.
 * @param {number} wait @param {number} waited @param {ChatError} error
 */
function shorterWait(wait, waited, error) {
  const { word, status = 502 } = error;
  if (word === "bad_field") return wait / 2;
  if (status === 502 || status === 504) return Math.min(wait - 1, waited / 1.5);
  throw error;
}

/** From the best to the last resort. @type {Record<string, (line: Line) => Promise<void>>} */
const WAYS = {
  stream: (line) => readLines(line, "GET"),
  post: (line) => readLines(line, "POST"),
  events: readEvents,
  poll: readPolls,
};

/** Which way to take. What worked is remembered, and better ones are tried again, one at a time. */
class Ladder {
  climbAt = Infinity;
  #setup;
  #ways;
  #at = 0; // the rung to take
  #good = -1; // the rung that was last seen to work
  #next = 0; // the rung to try when it is time

  /** @param {Setup} setup */
  constructor(setup) {
    const { ways, EventSource } = setup;
    this.#setup = setup;
    this.#ways = ways.filter((way) => way in WAYS && (way !== "events" || EventSource));
    this.recall();
  }

  get way() {
    return this.#ways[this.#at];
  }

  get hasPolls() {
    return this.#ways.includes("poll");
  }

  get #key() {
    return `nereid-chat ${this.#setup.url}`;
  }

  /** What worked for this page or another tab. */
  recall() {
    try {
      const { way, at } = JSON.parse(this.#setup.storage?.getItem(this.#key) ?? "{}");
      if (!this.#ways.includes(way) || Date.now() - at > this.#setup.times.memory) return;
      this.#at = this.#good = this.#ways.indexOf(way);
      this.climbLater(this.#setup.times.climb);
    } catch {
      /* storage may be forbidden, or hold anything */
    }
  }

  /** The rung that is taken works. */
  worked() {
    const { climb, max } = this.#setup.times;
    const fell = this.#good >= 0 && this.#at > this.#good; // what worked a while ago may have failed by chance
    if (this.#good !== this.#at || this.climbAt === Infinity) {
      this.#good = this.#at;
      this.climbLater(fell ? max : climb);
    }
    try {
      this.#setup.storage?.setItem(this.#key, JSON.stringify({ way: this.way, at: Date.now() }));
    } catch {
      /* then it is not remembered */
    }
  }

  /** @param {number} [most] ms */
  climbLater(most = 0) {
    this.climbAt = this.#good > 0 ? Date.now() + (0.1 + 0.9 * this.#setup.random()) * most : Infinity;
  }

  /** Time to try a better rung: each in turn. */
  climb() {
    this.#at = this.#next++ % this.#good;
    this.climbAt = Infinity;
  }

  /**
   * The rung that is taken does not work, or not for long. Whether there is another to try at once.
   * @param {boolean} wasLive
   */
  down(wasLive) {
    if (wasLive) this.#good = -1; // it will look well again, so not soon
    const wasTrial = this.#at < this.#good;
    this.#at = wasTrial ? this.#good : (this.#at + 1) % this.#ways.length;
    if (wasTrial) this.climbLater(this.#setup.times.climb);
    return this.#at > 0;
  }
}

// --- the feed

/** One attempt at a feed by one way. */
class Line {
  live = false;
  token = "";
  /** @type {any} */ timer; // until a new token or a better way is due
  server;
  times;
  pause;
  #feed;
  #patience;
  #firstAt = 0; // when the first bytes came
  #lastAt = Date.now(); // and what was heard last
  #marks = 0; // that came by themselves

  /** @param {Feed} feed @param {string} way @param {AbortSignal} signal */
  constructor(feed, way, signal) {
    this.way = way;
    this.server = feed.setup.server;
    this.times = feed.setup.times;
    this.pause = feed.pause;
    this.EventSource = /** @type {typeof globalThis.EventSource} */ (feed.setup.EventSource);
    this.withCredentials = feed.setup.credentials === "include";
    this.#feed = feed;
    this.#patience = new Patience(signal);
  }

  get signal() {
    return this.#patience.signal;
  }

  get ask() {
    return { since: this.#feed.setup.chat.cursor, heartbeat: this.times.heartbeat / 1000, marks: MARKS };
  }

  get trial() {
    return this.times.patience + 4 * this.server.roundTrip;
  }

  /** How long there was something to hear, in ms. */
  get age() {
    return Date.now() - this.#firstAt;
  }

  /** It has not ended, but the page has slept, and it may not live any more. */
  get isDoubtful() {
    return this.live && Date.now() - this.#lastAt > QUIET * Math.max(this.times.heartbeat, this.times.wait);
  }

  /** It was silent while the page slept. */
  get slept() {
    return this.live && this.#patience.slept;
  }

  /** Reads until it is over; always throws why. */
  run() {
    return this.#patience.guard(this.#read());
  }

  /** One poll that does not wait. */
  once() {
    const ask = async () => {
      this.token = await this.server.token();
      const envelope = await this.poll(0);
      this.#feed.setup.chat.hear(envelope);
      return envelope;
    };
    return this.#patience.guard(ask());
  }

  /** A way may hold back all it has, so there has to be a cursor first: from there on nothing is missed. */
  async #read() {
    this.token = await this.server.token();
    if (!this.#feed.setup.chat.cursor && this.#feed.hasPolls) await this.#feed.ask(this.signal);
    if (this.way !== "poll") this.#patience.expect(this.trial);
    await WAYS[this.way](this);
    throw new ChatError("network", "the feed was cut");
  }

  /** @param {number} wait in seconds @returns {Promise<Envelope>} */
  async poll(wait) {
    const began = Date.now();
    const ms = wait * 1000 + this.times.request;
    const query = { since: this.#feed.setup.chat.cursor, wait };
    const envelope = await this.server.call("GET", "poll", { query, token: this.token, ms, signal: this.signal });
    if (!wait) this.server.measured(Date.now() - began);
    return envelope;
  }

  /** @param {Envelope} envelope */
  take(envelope) {
    if (this.signal.aborted) return;
    if (envelope.error) return this.stop(new ChatError(envelope.error, envelope.message));
    this.#feed.setup.chat.hear(envelope);
    this.#lastAt = Date.now();
    if (this.way === "poll") return this.#prove();
    const isAlone = !this.#firstAt || Date.now() - this.#firstAt >= MARK_APART;
    this.#firstAt ||= Date.now();
    if (!envelope.stanzas.length && isAlone) this.#marks++;
    if (this.#marks >= PROOF) this.#prove();
    if (this.live || envelope.stanzas.length) this.hold();
  }

  /** Something came: much that was missed takes its time. */
  hold() {
    this.#lastAt = Date.now();
    this.#firstAt ||= this.#lastAt;
    this.#patience.expect(this.live ? SILENCE * this.times.heartbeat : this.trial);
  }

  /** Between polls. @param {ChatError} [error] */
  rest(error) {
    return this.pause.sleep(this.pause.next(error, BETWEEN), this.signal);
  }

  #prove() {
    if (this.live) return;
    this.live = true;
    this.#feed.proven(this);
  }

  /** @param {any} reason */
  stop(reason) {
    this.#patience.end(reason);
  }
}

/** Why we end a line that works: there is a new token or a better way to try, or the browser has lost its network. */
const AGAIN = new ChatError("again");
const LOST = new ChatError("network", "there is no network");

class Feed {
  setup;
  pause;
  #ladder;
  #faults = 0; // of streams, in a row
  /** @type {Line | undefined} */ #line;

  /** @param {Setup} setup */
  constructor(setup) {
    this.setup = setup;
    this.#ladder = new Ladder(setup);
    this.pause = new Pause(setup);
  }

  /** Until `signal` goes off, or it throws what only the user can mend. @param {AbortSignal} signal */
  async run(signal) {
    this.#ladder.recall();
    const { chat } = this.setup;
    const mode = chat.cursor ? "catching_up" : "connecting";
    chat.tell({ mode, leads: true, way: null, retryAt: null, error: null });
    while (!signal.aborted) {
      if (Date.now() >= this.#ladder.climbAt) this.#ladder.climb();
      const line = (this.#line = new Line(this, this.#ladder.way, signal));
      const error = await line.run().catch((error) => error);
      clearTimeout(line.timer);
      const wait = signal.aborted ? 0 : await this.#judge(line, error, signal);
      if (wait && !signal.aborted) await this.#rest(line, wait, error, signal);
    }
  }

  get hasPolls() {
    return this.#ladder.hasPolls;
  }

  /** @param {Line} line */
  proven(line) {
    this.#ladder.worked();
    this.setup.chat.tell({ mode: line.way === "poll" ? "polling" : "live", way: line.way, retryAt: null, error: null });
    this.#freshenLater(line);
  }

  /** @param {Line} line */
  #freshenLater(line) {
    const due = Math.min(this.setup.server.renewAt, this.#ladder.climbAt) - Date.now();
    line.timer = setTimeout(() => this.#freshen(line), Math.min(Math.max(due, SOON), LONGEST_TIMER));
  }

  /** The line goes on while a new token is asked for. @param {Line} line */
  async #freshen(line) {
    const token = await this.setup.server.token().catch(() => line.token);
    if (line.signal.aborted) return;
    if (token !== line.token || Date.now() >= this.#ladder.climbAt) line.stop(AGAIN);
    else this.#freshenLater(line);
  }

  /**
   * What to do about the end of a line: how long to wait, in ms; throws if it is not for us to mend. Where it may have
   * been the way, a poll tells whether it was.
   * @param {Line} line @param {ChatError} error @param {AbortSignal} signal
   */
  async #judge(line, error, signal) {
    const isSound = this.#isSound(line, error);
    if (error === AGAIN) return 0;
    if (error === LOST) return this.setup.times.max;
    const isSilence = error.word === "silence";
    const mayBeTheWay = !isSound && !line.slept && line.way !== "poll" && (isSilence || error.word === "network");
    if (!mayBeTheWay) return this.#mend(line, error);
    const mayBeChance = line.live || !(isSilence || error.status);
    if (mayBeChance && (this.#faults += isSilence ? CHANCE : 1) <= CHANCE) return this.pause.next(error);
    const trouble = this.hasPolls && (await this.ask(signal).then(() => null, asChatError));
    if (trouble) return this.#mend(line, trouble);
    return this.#ladder.down(line.live) ? 0 : this.pause.next(error);
  }

  /**
   * A stream that was good until its end. Not where it was soon over or fell silent: there are hops that let the
   * beginning pass.
   * @param {Line} line @param {ChatError} error
   */
  #isSound(line, { word }) {
    const least = word === "silence" ? this.setup.times.climb : SOUND;
    if (line.way === "poll" || !line.live || line.age < least) return false;
    this.pause.reset();
    this.#faults = 0;
    return true;
  }

  /** @param {Line} line @param {ChatError} error */
  #mend(line, error) {
    const { server, chat } = this.setup;
    const { word, status } = error;
    if (word === "no_token" && server.renews) {
      server.forget(line.token);
      return line.live ? 0 : this.pause.next(error);
    }
    if (word === "bad_cursor" && chat.cursor) {
      chat.restart();
      return this.#faults++ ? this.pause.next(error) : 0;
    }
    if (word === "no_token" || status === 401 || (status === 403 && word !== "network")) throw error;
    return this.pause.next(error);
  }

  /** One poll that does not wait: brings what there is. @param {AbortSignal} signal */
  ask(signal) {
    return new Line(this, "poll", signal).once();
  }

  /** @param {Line} line @param {number} ms @param {ChatError} error @param {AbortSignal} signal */
  #rest(line, ms, error, signal) {
    const { chat, times } = this.setup;
    const wasWell = line.live || (chat.cursor && this.#faults === 1);
    const isBrief = wasWell && error !== LOST && ms <= times.base;
    const retryAt = Date.now() + ms;
    chat.tell({ mode: isBrief ? "catching_up" : "offline", way: null, error, retryAt });
    return this.pause.sleep(ms, signal);
  }

  /** The network is back. */
  wake() {
    this.#ladder.climbLater();
    this.pause.reset();
    this.pause.wake();
  }

  /** Somebody looks at the page: what may have died while it slept is not waited for. */
  check() {
    if (this.#line?.isDoubtful) this.#line.stop(AGAIN);
  }

  /** The network has gone, says the browser. */
  lost() {
    this.#line?.stop(LOST);
  }
}

// --- sending

/** @typedef {{fields: Sending, body: Fields, done: (answer: any) => void, fail: (error: any) => void}} Letter */

/** What waits to be sent. Ids are made here, so that what is sent again is not doubled. */
class Outbox {
  #setup;
  #pause;
  #busy = false;
  /** @type {Letter[]} */ #queue = [];

  /** @param {Setup} setup */
  constructor(setup) {
    this.#setup = setup;
    this.#pause = new Pause(setup);
  }

  /** @param {Sending} fields @returns {Promise<{id: string, thread: string}>} */
  send(fields) {
    return new Promise((done, fail) => {
      const { thread: thread_id, text: message, id = uuid(), ...rest } = fields;
      const body = JSON.parse(JSON.stringify({ ...rest, thread_id, message, id })); // what is not JSON rejects here
      const { closing, queue } = this.#setup;
      if (closing.aborted) throw closing.reason;
      if (this.#queue.length >= queue) throw new ChatError("queue_full", "too many messages wait to be sent");
      this.#queue.push({ fields: { ...fields, id }, body, done, fail });
      this.#tell();
      if (!this.#busy) this.#work();
    });
  }

  async #work() {
    this.#busy = true;
    for (let first; (first = this.#queue[0]); ) {
      const settle = await this.#deliver(first);
      if (this.#queue[0] === first) this.#queue.shift();
      this.#tell();
      settle();
    }
    this.#busy = false;
  }

  /** Until it is answered for good; resolves with how to say so. @param {Letter} letter */
  async #deliver({ fields, body, done, fail }) {
    const { server, closing, chat } = this.#setup;
    for (;;) {
      try {
        const token = await server.token();
        const answer = await server.call("POST", "send-message", { body, token });
        const sent = { id: answer.UUID, thread: answer.thread };
        this.#pause.reset();
        return () => {
          done(sent);
          chat.emit("sent", { ...sent, request: fields });
        };
      } catch (error) {
        const reason = asChatError(error);
        if (closing.aborted || !server.mayRetry(reason)) return () => fail(reason);
        await this.#pause.sleep(this.#pause.next(reason), closing);
      }
    }
  }

  #tell() {
    this.#setup.chat.tell({ unsent: this.#queue.length });
  }

  wake() {
    this.#pause.wake();
  }

  /** @param {ChatError} reason */
  close(reason) {
    for (const { fail } of this.#queue.splice(0)) fail(reason);
    this.#tell();
  }
}

// --- one stream per browser

/**
 * The channel of the tabs that share a feed. Its name is a digest, so that no login can be read from it. Undefined:
 * this one is by itself. A login that is a function may be another user's tomorrow, so then the application has to name
 * who shares. Where a page may store nothing it may have no channels either.
 * @param {Setup} setup @returns {Promise<BroadcastChannel | undefined>}
 */
async function openChannel({ options: { share = true, login, token }, url, locks, BroadcastChannel }) {
  const secret = login ?? token;
  const name = typeof share === "string" ? ["name", share] : share && typeof secret === "string" && ["secret", secret];
  if (!name || !locks || !BroadcastChannel || !crypto.subtle) return undefined;
  try {
    const bytes = new TextEncoder().encode(JSON.stringify([url, ...name]));
    return new BroadcastChannel(`nereid-chat ${hex(new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)))}`);
  } catch {
    return undefined;
  }
}

/**
 * The tabs of one user queue for a lock. Who holds it leads: has the feed, and tells the others what it hears. A leader
 * that is put to sleep keeps its lock; who gets no answer from it takes the lock away, and it follows when it wakes.
 */
class Share {
  leads = false;
  #setup;
  #feed;
  #channel;
  #signal;
  #queue; // goes off when the leader does not answer
  /** @type {any} */ #timer;
  #id = uuid();
  /** @type {string | undefined} */ #leader; // who said last that it leads; one that slept may not know of it
  #welcome = false; // the leader has told how things are
  /** @type {Envelope[] | null} */ #held = null; // what came while older things were still to be caught up with
  /** @type {Fields | undefined} */ #state; // the leader's

  /** @param {Setup} setup @param {Feed} feed @param {BroadcastChannel} channel @param {AbortSignal} signal */
  constructor(setup, feed, channel, signal) {
    this.#setup = setup;
    this.#feed = feed;
    this.#channel = channel;
    this.#signal = signal;
    this.#queue = new Patience(signal);
    this.#channel.onmessage = ({ data }) => this.#take(data);
  }

  /** Until the signal goes off, or we lead and only the user can help. */
  async run() {
    try {
      for (let steal = false; !this.#signal.aborted; ) steal = await this.#term(steal);
    } finally {
      clearTimeout(this.#timer);
      this.#channel.close();
    }
  }

  /** Follows, then leads. Whether the next term has to begin with a theft. @param {boolean} steal */
  async #term(steal) {
    const queue = (this.#queue = new Patience(this.#signal));
    const lead = new Patience(this.#signal);
    const locks = /** @type {LockManager} */ (this.#setup.locks);
    this.#follow();
    try {
      await locks.request(this.#channel.name, steal ? { steal } : { signal: queue.signal }, () => this.#lead(lead));
    } catch (error) {
      if (error instanceof ChatError && error !== queue.signal.reason) throw error; // the feed's
      if (!queue.signal.aborted) await this.#lead(lead); // pages of no origin have no locks
    } finally {
      this.leads = false;
      queue.end();
      lead.end();
    }
    return queue.signal.reason.word === "silence";
  }

  /**
   * A leader goes on from its own cursor: what is between ours and that is to be caught up with.
   * @param {string} [leader]
   */
  #follow(leader) {
    this.#leader = leader;
    this.#welcome = false;
    this.#held = this.#setup.chat.cursor ? [] : null;
    this.check();
  }

  /** @param {Patience} lead */
  #lead(lead) {
    this.#queue.end(AGAIN);
    clearTimeout(this.#timer);
    this.leads = true;
    this.#held = null; // the feed goes on from our own cursor
    this.tell({ lead: true });
    return this.#feed.run(lead.signal);
  }

  /** Is the leader there, and awake? */
  check() {
    if (this.leads) return;
    this.#channel.postMessage({ hello: true });
    this.#queue.expect(ANSWER);
  }

  #heard() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.check(), SILENCE * this.#setup.times.heartbeat);
    this.#queue.expect(LONGEST_TIMER);
  }

  /** To the others, if we lead. @param {Fields} told */
  tell(told) {
    if (this.leads) this.#channel.postMessage({ ...told, from: this.#id });
  }

  /** @param {Fields} told */
  #take({ hello, lead, from, welcome, state, envelope }) {
    const { chat } = this.#setup;
    // Without a cursor it is not known yet from where on the others hear from us.
    if (hello) this.tell({ welcome: chat.cursor && chat.snapshot(), state: chat.shared() });
    if (hello || this.leads || this.#signal.aborted) return;
    if (lead) this.#follow(from);
    else if (this.#leader && from !== this.#leader) return;
    this.#heard();
    if (state) this.#takeState(state);
    if (welcome && !this.#welcome) this.#takeWelcome(welcome);
    if (envelope && this.#held) this.#held.push(envelope);
    else if (envelope) chat.hear(envelope);
    if (envelope && !this.#welcome) this.check(); // now it knows
  }

  /** Errors lose their members on the channel. @param {Fields} state */
  #takeState(state) {
    const { error, mode } = (this.#state = state);
    const told = error && new ChatError(error.word, error.message, error);
    const shown = this.#held && CONNECTED.includes(mode) ? "catching_up" : mode;
    this.#setup.chat.tell({ ...state, mode: shown, leads: false, error: told });
  }

  /** @param {{people: Presence[], cursor?: string}} welcome */
  #takeWelcome({ people, cursor }) {
    const { chat } = this.#setup;
    this.#welcome = true;
    chat.hear({ cursor: chat.cursor ?? cursor, stanzas: [{ type: "presence", timestamp: "", presence: people }] });
    if (this.#held && cursor !== chat.cursor) this.#catchUp();
    else this.#release();
  }

  /** We come with a cursor of our own, and the leader is past it: what is between is polled for. */
  async #catchUp() {
    const pause = new Pause(this.#setup);
    const held = this.#held; // until there is another leader, or we lead
    while (this.#held === held && !this.#signal.aborted) {
      try {
        const envelope = await this.#feed.ask(this.#signal);
        if (!envelope.stanzas.some(({ type }) => type === "message")) break;
      } catch (error) {
        const reason = asChatError(error);
        if (!this.#setup.server.mayRetry(reason)) {
          this.#setup.chat.restart();
          break;
        }
        await pause.sleep(pause.next(reason), this.#signal);
      }
    }
    if (this.#held === held) this.#release();
  }

  #release() {
    const held = this.#held ?? [];
    this.#held = null;
    if (this.#signal.aborted) return;
    held.forEach((envelope) => this.#setup.chat.hear(envelope));
    if (this.#state) this.#takeState(this.#state);
  }
}

// --- what lies between

/**
 * @typedef {"passes" | "held_bytes" | "held_until_end" | "cut" | "unreachable"} Finding
 * @typedef {{verdict: Finding, bytes?: number, ms?: number, status?: number}} Verdict
 * @typedef {{mark: number, of: number, ms: number}} Mark as it arrived
 * @typedef {{sent: number, arrived: number, size: number}} Sample
 */

/** Runs of timed marks: how many, how far apart in ms, with how much filling. The rules are in nereid-chat(7). */
const RUNS = {
  small: [5, 400, 0],
  again: [4, 700, 0], // what delays each piece by some time makes none later where they are further apart
  medium: [20, 100, 1024],
  large: [20, 100, 16384],
  quiet: [2, 5000, 0],
};
const RUN_LATE = 10000; // ms after which a run counts as cut
const TOGETHER = 10; // ms: what arrived so close came in one lump

/** How long a run went well. @param {Verdict} found */
const lasted = ({ verdict, ms = 0 }) => (verdict === "cut" ? ms : verdict === "unreachable" ? -1 : Infinity);

class Doctor {
  #setup;
  #onMark;
  #base = Infinity; // ms that a mark takes when nothing holds it

  /** @param {Setup} setup @param {(mark: Mark) => void} [onMark] */
  constructor(setup, onMark) {
    this.#setup = setup;
    this.#onMark = onMark;
  }

  /** What is held until the end of a run may be held until there is more of it: so the next has more. */
  async examine() {
    let found = await this.#try(RUNS.small);
    if (found.verdict === "held_bytes") found = await this.#try(RUNS.again, found);
    for (const shape of [RUNS.medium, RUNS.large]) {
      if (found.verdict !== "held_until_end") break;
      const { bytes } = found;
      found = await this.#try(shape, found);
      if (found.verdict === "passes") found = { verdict: "held_bytes", bytes };
    }
    const last = found.verdict === "passes" ? await this.#try(RUNS.quiet, found) : found;
    return last.verdict === "passes" ? found : last;
  }

  /**
   * A connection that is used again may be an old one, about to be cut: so of two runs the one that lasted longer.
   * @param {number[]} shape @param {Verdict} [found]
   */
  async #try(shape, found) {
    const first = await this.#run(shape, found);
    if (first.verdict !== "cut") return first;
    const second = await this.#run(shape, first);
    return lasted(second) > lasted(first) ? second : first;
  }

  /**
   * A run that is refused says nothing: then it is what was `found` before. Where too many were made before the first,
   * it throws.
   * @param {number[]} shape @param {Verdict} [found] @returns {Promise<Verdict>}
   */
  async #run([marks, gap, pad], found) {
    /** @type {Sample[]} */ const samples = [];
    const { server, closing } = this.#setup;
    const patience = new Patience(closing);
    const began = Date.now();
    /** @type {number | undefined} */ let status;
    const read = async () => {
      const answer = await server.open("GET", "probe", patience.signal, { query: { marks, gap, pad }, token: null });
      status = answer.status;
      await eachLine(answer, ({ mark, of, timestamp }, { length }) => {
        const arrived = Date.now() - began;
        samples.push({ sent: Date.parse(timestamp), arrived, size: length + 1 });
        queueMicrotask(() => this.#onMark?.({ mark, of, ms: arrived })); // if it throws, that is not for us to catch
      });
    };
    patience.expect(marks * gap + RUN_LATE);
    await patience.guard(read()).catch((error) => {
      if (error.status === 429 && !found) throw error;
      status = error.status ?? status;
    });
    if (closing.aborted) throw closing.reason;
    if (found && status && status >= 400) return found;
    if (!samples.length) return { verdict: "unreachable", status };
    if (samples.length < marks) return { verdict: "cut", ms: Date.now() - began };
    return this.#judge(samples, gap);
  }

  /** @param {Sample[]} samples @param {number} gap @returns {Verdict} */
  #judge(samples, gap) {
    const first = samples[0].sent;
    const lags = samples.map(({ sent, arrived }) => arrived - (sent - first));
    this.#base = Math.min(this.#base, ...lags);
    const late = lags.map((lag) => lag - this.#base);
    const sorted = [...late].sort((a, b) => a - b);
    if (sorted[late.length - 1] <= gap * 0.75) return { verdict: "passes", ms: sorted[late.length >> 1] };
    const sizeOf = (/** @type {Sample[]} */ some) => some.reduce((sum, { size }) => sum + size, 0);
    const held = samples.map(({ arrived: now }) => {
      const here = samples.filter(({ arrived }) => arrived < now - TOGETHER);
      return sizeOf(samples.filter(({ sent }) => sent - first + this.#base <= now)) - sizeOf(here);
    });
    const span = samples[samples.length - 1].sent - first;
    const verdict = late[0] >= span - gap / 2 ? "held_until_end" : "held_bytes";
    return { verdict, bytes: Math.max(...held) };
  }
}

// --- the chat

/** @typedef {ReturnType<typeof makeSetup>} Setup */

/** What the parts know of each other. @param {Options} options @param {AbortSignal} closing @param {Hooks} chat */
function makeSetup(options, closing, chat) {
  const own = /** @type {any} */ (globalThis);
  const setup = {
    options,
    closing,
    chat,
    url: new URL(options.url ?? "nereid-chat/", own.document?.baseURI).href.replace(/\/?$/, "/"),
    times: { ...TIMES, ...options.times },
    credentials: options.credentials ?? "omit",
    ways: options.ways ?? Object.keys(WAYS),
    queue: options.queue ?? 1000,
    random: options.random ?? Math.random,
    fetch: options.fetch ?? ((/** @type {[any, any]} */ ...args) => fetch(...args)),
    EventSource: options.EventSource ?? own.EventSource,
    BroadcastChannel: options.BroadcastChannel ?? own.BroadcastChannel,
    locks: options.locks ?? own.navigator?.locks,
    storage: options.storage ?? ownStorage(),
    window: options.window ?? own.window,
    server: /** @type {Server} */ (/** @type {unknown} */ (undefined)),
  };
  setup.server = new Server(setup);
  return setup;
}

/** Even to look at it may be forbidden. */
function ownStorage() {
  try {
    return globalThis.localStorage;
  } catch {
    return undefined;
  }
}

/**
 * What the parts tell the chat.
 * @typedef Hooks
 * @property {string | undefined} cursor
 * @property {(envelope: Envelope) => void} hear hands out what it holds, then moves the cursor
 * @property {(change: Partial<State>) => void} tell changes the state
 * @property {(type: string, detail: any) => void} emit
 * @property {() => void} restart the cursor is no good
 * @property {() => {people: Presence[], cursor?: string}} snapshot
 * @property {() => Fields} shared the state, as other tabs see it
 */

export class NereidChat extends EventTarget {
  /** How people are, as far as it was told. @type {Map<string, Presence>} */
  people = new Map();
  /** @type {State} */
  #state = { mode: "connecting", way: null, leads: false, unsent: 0, retryAt: null, error: null };
  #closing = new AbortController();
  #seen = new Set(); // ids of messages, the oldest first
  /** @type {AbortController | undefined} */ #stop; // while it runs
  #running = Promise.resolve();
  /** @type {Share | undefined} */ #share;
  /** @type {string | undefined} */ #cursor;
  #setup;
  #server;
  #feed;
  #outbox;

  /** @param {Options} [options] */
  constructor(options = {}) {
    super();
    this.#cursor = options.cursor;
    this.#setup = makeSetup(options, this.#closing.signal, this.#hooks());
    this.#server = this.#setup.server;
    this.#feed = new Feed(this.#setup);
    this.#outbox = new Outbox(this.#setup);
  }

  // --- the feed

  /** Starts; while it runs already, nothing happens. */
  connect() {
    if (!this.#closing.signal.aborted) this.#watch("addEventListener");
    this.#begin();
  }

  /** Ends for good. What is unsent rejects with `closed`. */
  async close() {
    const reason = new ChatError("closed", "the chat was closed");
    if (!this.#closing.signal.aborted) {
      this.#watch("removeEventListener");
      this.#closing.abort(reason);
      this.#outbox.close(reason);
      this.#stop?.abort(reason);
    }
    await this.#running;
    this.#tell({ mode: "closed", way: null, leads: false, retryAt: null });
  }

  get state() {
    return this.#state;
  }

  get cursor() {
    return this.#cursor;
  }

  #begin = () => {
    if (this.#stop || this.#closing.signal.aborted) return;
    const stop = (this.#stop = new AbortController());
    this.#resting = false;
    this.#running = this.#run(stop.signal).catch((error) => {
      if (this.#stop === stop) this.#stop = undefined;
      if (!stop.signal.aborted) this.#refuse(asChatError(error));
    });
  };

  /** @param {AbortSignal} signal */
  async #run(signal) {
    const channel = await openChannel(this.#setup);
    if (signal.aborted) return channel?.close();
    if (!channel) return this.#feed.run(signal);
    const share = (this.#share = new Share(this.#setup, this.#feed, channel, signal));
    await share.run().finally(() => this.#share === share && (this.#share = undefined));
  }

  /** @param {ChatError} error */
  #refuse(error) {
    this.#tell({ mode: "refused", way: null, leads: false, retryAt: null, error });
    this.#emit("refused", error);
  }

  // --- the page

  /** @type {Record<string, (event: any) => void>} */
  #pageEvents = {
    online: () => {
      this.#feed.wake();
      this.#outbox.wake();
    },
    offline: () => this.#feed.lost(),
    // A page that is put aside must not lead: nobody would hear anything.
    pagehide: () => this.#rest(),
    freeze: () => this.#rest(),
    pageshow: () => this.#resume(),
    resume: () => this.#resume(),
    visibilitychange: () => {
      this.#share?.check(); // is the leader awake?
      this.#feed.check();
    },
  };
  #resting = false;

  /** @param {"addEventListener" | "removeEventListener"} method */
  #watch(method) {
    for (const [type, listener] of Object.entries(this.#pageEvents)) this.#setup.window?.[method](type, listener, true);
  }

  #rest() {
    this.#resting ||= Boolean(this.#stop);
    this.#stop?.abort(AGAIN);
    this.#stop = undefined;
  }

  #resume() {
    if (this.#resting) this.#running.then(this.#begin);
  }

  // --- what the parts tell

  /** @returns {Hooks} */
  #hooks() {
    const chat = this;
    return {
      get cursor() {
        return chat.#cursor;
      },
      hear: (envelope) => this.#hear(envelope),
      tell: (change) => this.#tell(change),
      emit: (type, detail) => this.#emit(type, detail),
      restart: () => {
        this.#hear({ stanzas: [{ type: "gap", timestamp: "", gap: { oldest: null } }] });
        this.#cursor = undefined;
      },
      snapshot: () => ({ people: [...this.people.values()], cursor: this.#cursor }),
      shared: () => this.#shared(),
    };
  }

  /** @param {string} type @param {any} detail */
  #emit(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }

  /** @param {Partial<State>} change */
  #tell(change) {
    if (CONNECTED.includes(change.mode ?? "")) this.#outbox.wake();
    const now = { ...this.#state, ...change };
    if (Object.entries(change).every(([name, value]) => Reflect.get(this.#state, name) === value)) return;
    this.#state = now;
    if (change.mode) this.#share?.tell({ state: this.#shared() });
    this.#emit("state", now);
  }

  #shared() {
    const { mode, way, retryAt, error } = this.#state;
    return { mode, way, retryAt, error: error && { ...error, message: error.message } };
  }

  /** @param {Envelope} envelope */
  #hear(envelope) {
    this.#share?.tell({ envelope });
    for (const stanza of envelope.stanzas) this.#show(stanza, envelope.cursor);
    this.#cursor = envelope.cursor ?? this.#cursor;
  }

  /** @param {Stanza} stanza @param {string} [cursor] */
  #show({ type, timestamp, message, presence, gap }, cursor) {
    if (presence) {
      presence.forEach((one) => this.people.set(one.id, one));
      this.#emit(type, presence);
    }
    if (gap) this.#emit(type, gap);
    if (message && this.#isNew(message.id)) this.#emit(type, { timestamp, cursor, message });
  }

  /** @param {string} id */
  #isNew(id) {
    if (this.#seen.has(id)) return false;
    this.#seen.add(id);
    if (this.#seen.size > SEEN) this.#seen.delete(this.#seen.values().next().value);
    return true;
  }

  // --- calls

  /** Resolves when the server has it. @param {Sending} fields */
  send(fields) {
    return this.#outbox.send(fields);
  }

  /** @param {{show?: string, status?: string}} fields @returns {Promise<Presence>} */
  setPresence(fields) {
    return this.#server.call("POST", "presence", { body: fields });
  }

  /** @returns {Promise<Presence[]>} */
  async friends() {
    return (await this.#server.call("GET", "get-friends")).friends;
  }

  /** @returns {Promise<Fields[]>} */
  async threads() {
    return (await this.#server.call("GET", "threads")).threads;
  }

  /** @param {string} thread @param {{before?: string, limit?: number}} [query] */
  history(thread, query) {
    return this.#server.call("GET", `history/${encodeURIComponent(thread)}`, { query });
  }

  /** Finds or makes a thread, or enters a room. @param {{user?: string | string[], room?: string}} fields */
  open(fields) {
    return this.#server.call("POST", "start-session", { body: fields });
  }

  /** @param {string} thread @param {string} user */
  addMember(thread, user) {
    return this.#server.call("POST", `threads/${encodeURIComponent(thread)}/members`, { body: { user } });
  }

  /** @param {string} thread @param {string} user */
  removeMember(thread, user) {
    const path = `threads/${encodeURIComponent(thread)}/members/${encodeURIComponent(user)}`;
    return this.#server.call("DELETE", path);
  }

  /** Closes, so that nothing asks for another token, and revokes the one there is. */
  async signOut() {
    await this.close();
    await this.#server.revoke();
  }

  /** What lies between here and the server; takes some seconds. @param {{onMark?: (mark: Mark) => void}} [options] */
  diagnose({ onMark } = {}) {
    return new Doctor(this.#setup, onMark).examine();
  }
}
