// SPDX-License-Identifier: MIT
// A client of Talker on a real TCP connection: events out, events in, and a strict eye on their form.
import assert from 'node:assert/strict';

import { RawSocket } from './raw.js';
import { Inbox, PATIENCE_MS } from './wait.js';

const KNOWN = ['connected', 'users', 'join', 'idle', 'back', 'leave', 'message', 'error'];

export class Talker {
  events = new Inbox();
  #text = '';
  #decoder = new TextDecoder('utf-8', { fatal: true });

  // An open connection that has said nothing yet.
  static async open(gateway, { reading = true } = {}) {
    const talker = new Talker();
    talker.raw = await RawSocket.connect(gateway, gateway.address('talker'), { reading: false });
    talker.raw.socket.on('end', () => talker.#end());
    talker.raw.socket.on('close', () => talker.#end());
    if (reading) talker.read();
    return talker;
  }

  // Connected to a room, as somebody with this token.
  static async enter(gateway, room, token, fields = {}) {
    const talker = await Talker.open(gateway);
    await talker.connect(room, token, fields);
    return talker;
  }

  // The same for a Person, with a new chat token.
  static async as(person, room, fields) {
    return Talker.enter(person.gateway, room, await person.token(), fields);
  }

  // Many of one room at once.
  static together(people, room) {
    return people.reduce(async (all, person) => [...(await all), await Talker.as(person, room)], Promise.resolve([]));
  }

  read() {
    this.raw.socket.on('data', (bytes) => this.#take(bytes));
  }

  // Each event is an object on a line of its own.
  #take(bytes) {
    this.#text += this.#decoder.decode(bytes, { stream: true });
    const lines = this.#text.split('\n');
    this.#text = lines.pop();
    for (const line of lines) {
      const event = JSON.parse(line);
      assert.ok(KNOWN.includes(event.type), line);
      this.events.push(event);
    }
  }

  #end() {
    if (!this.events.ended) this.events.end();
  }

  // --- what clients say

  write(bytes) {
    this.raw.write(bytes);
  }

  say(event) {
    this.write(`${JSON.stringify(event)}\n`);
  }

  async connect(room, token, fields = {}) {
    this.say({ type: 'connect', room, token, ...fields });
    this.user = (await this.event('connected')).user;
    this.users = (await this.event('users')).users;
    return this.user;
  }

  message(content, to) {
    this.say({ type: 'message', content, ...(to === undefined ? {} : { to }) });
  }

  ping() {
    this.say({ type: 'ping' });
  }

  // Says goodbye, and waits until the server has closed.
  async leave() {
    this.say({ type: 'close' });
    await this.end();
    this.close();
  }

  // Is gone without a word: an RST, as after a crash.
  break() {
    this.raw.reset();
  }

  close() {
    this.raw.close();
  }

  // --- what clients hear

  // The next event of this type; those before it are skipped.
  event(type, matches = () => true, ms = PATIENCE_MS) {
    return this.events.next((event) => event.type === type && matches(event), `an event ${type}`, ms);
  }

  // The next event, whatever it is.
  next(ms = PATIENCE_MS) {
    return this.events.next(() => true, 'an event', ms);
  }

  // The next message, or the next with this content.
  hears(content, ms) {
    return this.event('message', (message) => content === undefined || message.content === content, ms);
  }

  // The next event of this type about a user.
  about(type, user, ms) {
    return this.event(type, (event) => (event.user.id ?? event.user) === user, ms);
  }

  // All of what has come, by type.
  all(type) {
    return this.events.items.filter((event) => event.type === type);
  }

  get contents() {
    return this.all('message').map(({ content }) => content);
  }

  get ids() {
    return this.users.map(({ id }) => id);
  }

  // All there is until the server closes.
  end(ms) {
    return this.events.rest('the server closes', ms);
  }

  // The last event is an error that says so, and the connection is closed behind it.
  async isRefused(sentence, ms) {
    const events = await this.end(ms);
    const last = events.at(-1);
    assert.equal(last?.type, 'error', `an error at the end, not ${JSON.stringify(last)}`);
    assert.match(last.message, sentence);
    assert.equal(this.#text, '', 'nothing behind the last line');
    this.close();
    return events;
  }

  // What was said so far has been heard by the server and answered: a message to nobody comes back as an error.
  async settled() {
    this.message('x', 'nobody of this name');
    await this.event('error', ({ message }) => /nobody/.test(message));
  }
}
