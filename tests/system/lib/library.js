// SPDX-License-Identifier: MIT
// The client library in Node: chats, what they told, and what a browser has and Node does not.
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';

import { EventSource } from 'eventsource';

import { NereidChat } from '../../../www/nereid-chat.js';
import { basic } from './person.js';
import { Inbox, within } from './wait.js';

const EVENTS = ['message', 'presence', 'gap', 'state', 'sent', 'refused'];

// A chat of the library, and what it has told, by kinds of events.
export class Listener {
  told = Object.fromEntries(EVENTS.map((type) => [type, new Inbox()]));

  constructor(options) {
    this.chat = new NereidChat(options);
    for (const type of EVENTS) this.chat.addEventListener(type, ({ detail }) => this.told[type].push(detail));
  }

  get texts() {
    return this.told.message.items.map(({ message }) => message.text);
  }

  get modes() {
    return this.told.state.items.map(({ mode }) => mode);
  }

  async message(text, ms) {
    const { message } = await this.told.message.next(({ message }) => message.text === text, `"${text}" is heard`, ms);
    return message;
  }

  // Resolves with the state that has these members: the present one, or one from now on.
  becomes(wanted, ms) {
    const matches = (state) => Object.entries(wanted).every(([name, value]) => state[name] === value);
    if (matches(this.chat.state)) return Promise.resolve(this.chat.state);
    const coming = new Promise((resolve) => {
      this.chat.addEventListener('state', ({ detail }) => matches(detail) && resolve(detail));
    });
    return within(coming, `the state is ${JSON.stringify(wanted)}`, ms);
  }

  isLive(ms) {
    return this.becomes({ mode: 'live' }, ms);
  }
}

// Starts a chat of `name` that is closed after the test; `at` is what has a `url`: a gateway, a relay, a hop. It has
// its feed for itself and remembers nothing unless `options` say so.
export function startChat(t, at, name, options = {}) {
  const own = { login: basic(name), share: false, storage: makeStorage(), EventSource };
  const listener = new Listener({ url: `${at.url}/nereid-chat/`, ...own, ...options });
  t.after(() => listener.chat.close());
  listener.chat.connect();
  return listener;
}

// Waits that are over soon, for tests of what comes after them; and no way is given up because the machine is busy.
export const soon = { base: 50, max: 200, patience: 5000 };

// ---- What Node does not have ----

export function makeStorage(items = {}) {
  const map = new Map(Object.entries(items));
  return { map, getItem: (key) => map.get(key) ?? null, setItem: (key, value) => map.set(key, value) };
}

// Web Locks as far as the library takes them: exclusive ones, given in order, that may be stolen.
export class Locks {
  names = new Set(); // all that were ever asked for
  #queues = new Map();

  request(name, { signal, steal = false }, work) {
    this.names.add(name);
    const queue = this.#queues.get(name) ?? [];
    this.#queues.set(name, queue);
    return new Promise((resolve, reject) => {
      const request = { work, resolve, reject, granted: false };
      if (signal?.aborted) return reject(signal.reason);
      signal?.addEventListener('abort', () => this.#giveUp(queue, request, signal.reason));
      if (steal && queue[0]?.granted) queue.shift().reject(new DOMException('stolen', 'AbortError'));
      if (steal) queue.unshift(request);
      else queue.push(request);
      this.#grant(queue);
    });
  }

  #giveUp(queue, request, reason) {
    if (request.granted || !queue.includes(request)) return;
    queue.splice(queue.indexOf(request), 1);
    request.reject(reason);
  }

  #grant(queue) {
    const [first] = queue;
    if (!first || first.granted) return;
    first.granted = true;
    Promise.resolve()
      .then(first.work)
      .then(first.resolve, first.reject)
      .finally(() => {
        if (queue[0] === first) queue.shift();
        this.#grant(queue);
      });
  }
}

// The channels of one tab, which hears and says nothing while it sleeps.
export function makeSleeper() {
  const sleeper = { asleep: false };
  sleeper.BroadcastChannel = class extends BroadcastChannel {
    postMessage(message) {
      if (!sleeper.asleep) super.postMessage(message);
    }

    set onmessage(listener) {
      super.onmessage = (event) => sleeper.asleep || listener(event);
    }
  };
  return sleeper;
}

// ---- Requests, looked at and meddled with ----

// A fetch that writes down requests, each { method, path, query, at, authorization }, and asks `meddle` first: what
// that gives is the answer, and null is none until the request is given up.
export function makeFetch(meddle = () => undefined) {
  const requests = [];
  const record = async (url, init) => {
    const { pathname, searchParams } = new URL(url);
    const path = pathname.replace('/nereid-chat/', '');
    const request = { method: init.method, path, query: Object.fromEntries(searchParams), at: Date.now() };
    requests.push({ ...request, authorization: init.headers.Authorization });
    const answer = meddle(request, url, init);
    return answer === null ? held(init.signal) : (answer ?? fetch(url, init));
  };
  return Object.assign(record, {
    requests,
    to: (path) => requests.filter((request) => request.path === path),
  });
}

function held(signal) {
  return new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
}

// A line on which `bytes` take `ms`.
export function makeSlow(bytes, ms) {
  return new TransformStream({
    async transform(piece, controller) {
      for (let at = 0; at < piece.length; at += bytes) {
        controller.enqueue(piece.subarray(at, at + bytes));
        if (at + bytes < piece.length) await sleep(ms);
      }
    },
  });
}

// A line that carries so many pieces only, and is cut then if `ends`.
export function makeBrief(pieces, ends) {
  let left = pieces;
  return new TransformStream({
    transform(piece, controller) {
      if (left-- > 0) controller.enqueue(piece);
      else if (ends) controller.terminate();
    },
  });
}

// The line of a tab, which carries nothing while it sleeps.
export function makeDeaf(sleeper) {
  return new TransformStream({
    transform: (piece, controller) => sleeper.asleep || controller.enqueue(piece),
  });
}

export function refusal(status, error, headers = {}) {
  return new Response(JSON.stringify({ error, message: error }), { status, headers });
}

// Each text once, in this order, whatever else is heard.
export function assertHeard(listener, texts) {
  assert.deepEqual(
    listener.texts.filter((text) => texts.includes(text)),
    texts,
  );
}
