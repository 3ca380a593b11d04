// SPDX-License-Identifier: MIT
// Somebody who uses a gateway: logged in under a name, and what people do there as one call each.
import assert from 'node:assert/strict';

import { NdjsonFeed, SseFeed } from './feed.js';

export const BASE = '/nereid-chat';

// Lists repeat their name, as forms do.
function parameters(fields) {
  const all = new URLSearchParams();
  for (const [name, value] of Object.entries(fields)) for (const one of [value].flat()) all.append(name, one);
  return all;
}

export function withQuery(path, query = {}) {
  const text = parameters(query).toString();
  return text ? `${path}?${text}` : path;
}

export function basic(user, password = 'x') {
  return `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;
}

async function readAnswer(response) {
  const text = await response.text();
  const isJson = response.headers.get('content-type') === 'application/json';
  return { status: response.status, headers: response.headers, text, body: isJson ? JSON.parse(text) : undefined };
}

export class Person {
  // `authorization` null: nobody.
  constructor(gateway, name, { password = 'x', authorization = basic(name, password), headers = {} } = {}) {
    this.gateway = gateway;
    this.name = name;
    this.headers = authorization ? { Authorization: authorization, ...headers } : headers;
  }

  // The same person at another gateway.
  at(gateway) {
    return Object.assign(Object.create(Person.prototype), this, { gateway });
  }

  url(path, query) {
    return this.gateway.url + withQuery(BASE + path, query);
  }

  // `json` or `form` is the body. Answers { status, headers, text, body }.
  async request(method, path, { query, json, form, headers, body } = {}) {
    const init = { method, headers: { ...this.headers, ...headers }, body };
    if (form) init.body = parameters(form);
    if (json !== undefined) {
      init.body = JSON.stringify(json);
      init.headers['Content-Type'] ??= 'application/json';
    }
    return readAnswer(await fetch(this.url(path, query), init));
  }

  get(path, query, options) {
    return this.request('GET', path, { query, ...options });
  }

  post(path, form, options) {
    return this.request('POST', path, { form, ...options });
  }

  delete(path) {
    return this.request('DELETE', path);
  }

  // --- what people do; each expects to succeed

  async ask(method, path, options) {
    const answer = await this.request(method, path, options);
    assert.ok(answer.status === 200 || answer.status === 204, `${method} ${path}: ${answer.status} ${answer.text}`);
    return answer.body;
  }

  async token() {
    const { token } = await this.ask('POST', '/token');
    this.gateway.secrets.add(token);
    return token;
  }

  // Who holds a token of this person, and nothing else.
  async tokenHolder() {
    const token = await this.token();
    const holder = new Person(this.gateway, this.name, { authorization: `Bearer ${token}` });
    return Object.assign(holder, { chatToken: token });
  }

  revoke(token) {
    return this.ask('DELETE', `/token/${token}`);
  }

  // Finds or makes the thread with these users; its id.
  async thread(...users) {
    const { thread_id: id } = await this.ask('POST', '/start-session', { form: { user: users } });
    return id;
  }

  async room(name) {
    const { thread_id: id } = await this.ask('POST', '/start-session', { form: { room: name } });
    return id;
  }

  // Sends, as JSON; { UUID, thread }.
  send(fields) {
    return this.ask('POST', '/send-message', { json: fields });
  }

  say(thread, message) {
    return this.send({ thread_id: thread, message });
  }

  async history(thread, query) {
    return this.ask('GET', `/history/${thread}`, { query });
  }

  poll(query) {
    return this.ask('GET', '/poll', { query });
  }

  // Polls one time after the other, as clients do, until an answer is no news; that answer.
  async pollToTheEnd(wait = 30) {
    let since;
    for (;;) {
      const answer = await this.get('/poll', { wait, ...(since ? { since } : {}) });
      if (answer.status !== 200) return answer;
      since = answer.body.cursor;
    }
  }

  async friends(query) {
    const { friends } = await this.ask('GET', '/get-friends', { query });
    return friends;
  }

  async friend(name) {
    return (await this.friends()).find(({ id }) => id === name);
  }

  setPresence(fields) {
    return this.ask('POST', '/presence', { form: fields });
  }

  // An NDJSON stream by login.
  async stream(query) {
    const feed = await NdjsonFeed.open(this.gateway, this.url('/stream', query), { headers: this.headers });
    assert.equal(feed.status, 200);
    return feed;
  }

  // Server-sent events through a token in the path, as a page does it.
  async events(query, token) {
    const feed = SseFeed.open(this.gateway, this.url(`/stream/${token ?? (await this.token())}`, query));
    await feed.isOpen();
    return feed;
  }
}
