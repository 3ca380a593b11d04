// SPDX-License-Identifier: MIT
// Readers of streams: NDJSON by fetch, server-sent events by the `eventsource` client.
import assert from 'node:assert/strict';
import { EventSource } from 'eventsource';

import { Inbox, waitFor, within } from './wait.js';

// What both have in common: stanzas, each with the cursor that came with it.
class StanzaReader {
  stanzas = new Inbox();

  take(stanza, cursor) {
    this.stanzas.push({ ...stanza, cursor });
  }

  stanza(type, matches = () => true, ms) {
    return this.stanzas.next((stanza) => stanza.type === type && matches(stanza), `a ${type} stanza`, ms);
  }

  // The next message, or the next with this text; its cursor and timestamp beside its own fields.
  async message(text, ms) {
    const wanted = (stanza) => text === undefined || stanza.message.text === text;
    const stanza = await this.stanza('message', wanted, ms);
    return { ...stanza.message, cursor: stanza.cursor, timestamp: stanza.timestamp };
  }

  // The next presence of this user that `matches`.
  async presence(user, matches = () => true, ms) {
    let found;
    await this.stanza(
      'presence',
      ({ presence }) => (found = presence.find((one) => one.id === user && matches(one))),
      ms,
    );
    return found;
  }

  get messages() {
    return this.stanzas.items
      .filter(({ type }) => type === 'message')
      .map(({ message, cursor }) => ({ ...message, cursor }));
  }

  get texts() {
    return this.messages.map(({ text }) => text);
  }

  get lastCursor() {
    return this.stanzas.items.at(-1)?.cursor;
  }
}

export class NdjsonFeed extends StanzaReader {
  envelopes = new Inbox();
  #stop = new AbortController();
  #reader;

  static async open(gateway, url, init = {}) {
    const feed = new NdjsonFeed();
    const response = await within(fetch(url, { ...init, signal: feed.#stop.signal }), `the head of ${url}`);
    feed.status = response.status;
    feed.headers = response.headers;
    feed.#reader = response.body.getReader();
    feed.finished = feed.#pump();
    gateway.clients.add(feed);
    return feed;
  }

  async #pump() {
    const decoder = new TextDecoder('utf-8', { fatal: true });
    let text = '';
    try {
      for (;;) {
        const { done, value: bytes } = await this.#reader.read();
        if (done) break;
        text += decoder.decode(bytes, { stream: true });
        const lines = text.split('\n');
        text = lines.pop();
        for (const line of lines) this.#takeLine(line);
      }
      this.cut = false;
    } catch (error) {
      this.cut = true; // without a proper end
      if (error.code === 'ERR_ASSERTION' || error instanceof SyntaxError) this.fault = error;
    }
    this.envelopes.end();
    this.stanzas.end();
  }

  #takeLine(line) {
    const envelope = JSON.parse(line);
    this.envelopes.push(envelope);
    for (const stanza of envelope.stanzas) this.take(stanza, envelope.cursor);
  }

  get cursor() {
    return this.envelopes.items.filter(({ cursor }) => cursor).at(-1)?.cursor;
  }

  // The last envelope of a stream that the gateway ends: why.
  async end() {
    await within(this.finished, 'the stream ends');
    if (this.fault) throw this.fault;
    assert.equal(this.cut, false, 'the stream ends with its last chunk');
    return this.envelopes.items.at(-1);
  }

  // The fetch of Node 18 may have let go of the signal by the time it is aborted; its reader it holds on to.
  close() {
    this.#reader?.cancel().catch(() => {});
    this.#stop.abort();
  }
}

export class SseFeed extends StanzaReader {
  events = new Inbox(); // everything with data, parsed
  opened = 0;

  static open(gateway, url, init = {}) {
    const feed = new SseFeed();
    feed.source = new EventSource(url, init);
    feed.source.addEventListener('open', () => feed.opened++);
    feed.source.addEventListener('message', (event) => feed.#takeEvent(event));
    feed.source.addEventListener('error', (event) => (feed.lastError = event));
    feed.source.addEventListener('end', (event) => (feed.farewell = JSON.parse(event.data)));
    gateway.clients.add(feed);
    return feed;
  }

  #takeEvent({ data, lastEventId }) {
    const stanza = JSON.parse(data);
    this.events.push({ stanza, id: lastEventId });
    if (typeof stanza === 'object') this.take(stanza, lastEventId);
  }

  // Waits until it is open, for the `times`-th time.
  isOpen(times = 1) {
    return waitFor(() => this.opened >= times, `the event source is open, time ${times}`);
  }

  close() {
    this.source.close();
  }
}
