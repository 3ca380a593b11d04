// SPDX-License-Identifier: MIT
// The tongues a gateway speaks, one class each with the same few verbs, so that a test can be told without saying which
// protocol somebody uses:
//
//   const nora = await TONGUES.talker.join(person, 'commons');   a client of this person, in the room
//   await nora.say('hello');                                     to the room
//   const { id, from } = await nora.hears({ text: 'hello' });    waits for it
//   await nora.sees('sven', 'here');                             waits until this client was told so
//   nora.breaks();                                               the connection is cut, without a word
//   await nora.returns();                                        comes back, and asks for what it has missed
//   nora.closes();                                               the client says goodbye, where there is a word for it
//
// A client keeps what it heard (`heard`: { text, from, id, thread, isPrivate }, as far as its protocol tells) and what
// it was told about people (`seen`: { user, state, show }, the state being `here`, `idle` or `gone`), in order.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

import { SseFeed } from './feed.js';
import { Person } from './person.js';
import { connect } from './socketio.js';
import { Talker } from './talker.js';
import { waitFor, within } from './wait.js';

const POLL_WAIT_S = 20;
const PING_MS = 10_000;

// Whether this is the message that was meant: by id where both have one, else by text.
export function isSame(heard, message) {
  return heard.id && message.id ? heard.id === message.id : heard.text === message.text;
}

class Tongue {
  static showsPresence = true; // tells who is there, and who is not
  static showsIdle = false; // and whose connection broke a moment ago
  static hearsItself = true; // gets what it says itself
  static isIdleOnBreak = true; // a user whose only connection breaks is idle first
  static asksForMissed = true; // has a word for what it missed

  heard = [];
  seen = [];
  ended = false;

  // A client of this person in the room, which the person has entered before, or enters by this client only if it
  // `visits`. It shows `token`, if there is one. Where a name may be taken it asks again for `ms`. Fails if it is refused.
  static async join(person, room, { token, visits = false, ms } = {}) {
    const tongue = new this();
    const bearer = token ? new Person(person.gateway, person.name, { authorization: `Bearer ${token}` }) : person;
    const roomId = visits ? undefined : await person.room(room);
    Object.assign(tongue, { person, bearer, token, name: person.name, roomId, room, ms });
    await within(tongue.enter(), `${this.tongue}: ${person.name} joins`);
    return tongue;
  }

  // Comes back after a break, and is told anew who is there.
  async returns() {
    this.ended = false;
    this.seen.push({ user: this.name });
    await within(this.enter(), `${this.what} returns`);
  }

  async enters(isIn) {
    await waitFor(() => this.ended || isIn(), `${this.what} is in`);
    assert.ok(!this.ended, `${this.what} is refused: ${this.error ?? 'ended'}`);
  }

  get what() {
    return `${this.name} by ${this.constructor.tongue}`;
  }

  // By HTTP, as clients do whose protocol has no word for it.
  async say(text) {
    await this.person.say(this.roomId, text);
  }

  async hears(message, ms) {
    const found = () => this.heard.find((heard) => isSame(heard, message));
    return waitFor(() => found() ?? this.#gone(message), `${this.what} hears ${JSON.stringify(message)}`, ms);
  }

  #gone(message) {
    if (this.ended) assert.fail(`${this.what} ended before it heard ${JSON.stringify(message)}`);
  }

  hasHeard(message) {
    return this.heard.some((heard) => isSame(heard, message));
  }

  // How this user is, as the client was last told.
  lastOf(user) {
    return this.seen.findLast((one) => one.user === user);
  }

  stateOf(user) {
    return this.lastOf(user)?.state;
  }

  // Now, or in passing from now on.
  async sees(user, state, ms) {
    const mark = this.seen.length;
    const isSeen = () => this.stateOf(user) === state || this.statesSince(mark, user).includes(state);
    await waitFor(isSeen, `${this.what} sees that ${user} is ${state}`, ms);
  }

  async seesShow(user, show, ms) {
    await waitFor(() => this.lastOf(user)?.show === show, `${this.what} sees that ${user} shows ${show}`, ms);
  }

  // All that it was told of this user since a moment: the length of `seen` then.
  statesSince(mark, user) {
    return this.seen.slice(mark).flatMap((one) => (one.user === user ? [one.state] : []));
  }

  closes() {
    this.breaks();
  }

  async isOver(ms) {
    await waitFor(() => this.ended, `${this.what} has ended`, ms);
  }

  // Takes what has come and what comes into an inbox, until its end. That of an earlier connection is no end.
  listen(inbox, take) {
    const { push, end } = inbox;
    this.inbox = inbox;
    inbox.push = (item) => {
      push.call(inbox, item);
      take(item);
    };
    inbox.end = () => {
      end.call(inbox);
      this.ended ||= inbox === this.inbox;
    };
    for (const item of inbox.items) take(item);
    this.ended ||= inbox.ended;
  }

  hear(message) {
    this.heard.push(message);
  }

  see(user, state, show) {
    const last = this.lastOf(user);
    if (last?.state !== state || last.show !== show) this.seen.push({ user, state, show });
  }

  takeMessage({ id, text, sender, thread }) {
    this.hear({ id, text, thread, from: sender.id });
  }

  takePresence(list) {
    for (const { id, available, show } of list) this.see(id, available ? 'here' : 'gone', show);
  }

  takeStanza({ type, message, presence }) {
    if (type === 'message') this.takeMessage(message);
    if (type === 'presence') this.takePresence(presence);
  }
}

class Stream extends Tongue {
  follow(feed) {
    this.feed = feed;
    this.listen(feed.stanzas, (stanza) => {
      this.since = { since: stanza.cursor };
      this.takeStanza(stanza);
    });
    return this.enters(() => this.stateOf(this.name) === 'here');
  }

  breaks() {
    this.feed.close();
  }
}

class Ndjson extends Stream {
  static tongue = 'NDJSON';

  async enter() {
    await this.follow(await this.bearer.stream(this.since));
  }
}

class Sse extends Stream {
  static tongue = 'SSE';

  async enter() {
    const token = this.token ?? (await this.person.token());
    const feed = SseFeed.open(this.person.gateway, this.person.url(`/stream/${token}`, this.since));
    feed.source.addEventListener('error', () => (this.ended = true));
    await this.follow(feed);
  }
}

// One poll after the other. Its user is never idle: between two polls, a client is about to come again.
class Poll extends Tongue {
  static tongue = 'poll';
  static isIdleOnBreak = false;

  #stop;

  async enter() {
    this.#run();
    await this.enters(() => this.stateOf(this.name) === 'here');
  }

  // Its cursor tells what it knows of people, too.
  async returns() {
    this.#run();
  }

  async #run() {
    this.#stop = new AbortController();
    const { signal } = this.#stop;
    while (!signal.aborted) {
      const answer = await this.#ask({ wait: POLL_WAIT_S, ...this.since }, signal).catch(() => null);
      if (!answer) break;
      this.since = { since: answer.cursor };
      for (const stanza of answer.stanzas) this.takeStanza(stanza);
    }
    this.ended = !signal.aborted;
  }

  async #ask(query, signal) {
    const { headers } = this.bearer;
    const answer = await fetch(this.bearer.url('/poll', query), { headers, signal });
    return answer.status === 200 ? answer.json() : null;
  }

  breaks() {
    this.#stop.abort();
  }
}

// A socket that shows a chat token.
class SocketIo extends Tongue {
  static asksForMissed = false;

  async open(nsp) {
    this.token ??= await this.person.token();
    this.client = await connect(this.person.gateway, { transport: 'websocket', nsp, auth: { token: this.token } });
    this.client.socket.on('disconnect', () => (this.ended = true));
    this.client.take = (name, args) => {
      Object.getPrototypeOf(this.client).take.call(this.client, name, args);
      this.takeEvent(name, ...args);
    };
  }

  breaks() {
    this.client.manager.engine.transport.ws.terminate();
  }

  closes() {
    this.client.close();
  }
}

// Hears that something was said, not what.
class Maxtalk extends SocketIo {
  static tongue = 'maxtalk';
  static showsPresence = false;
  static hearsItself = false;

  async enter() {
    await this.open('/max');
    const [{ conversations }] = await this.client.ask('join', { username: this.name, timestamp: Date.now() });
    assert.ok(conversations?.includes(this.roomId), `${this.what} is in`);
  }

  takeEvent(name, packet) {
    if (name !== 'update') return;
    this.hear({ id: packet.messageID, thread: packet.conversation, from: packet.username });
  }
}

class Messaging extends SocketIo {
  static tongue = 'messaging';

  async enter() {
    await this.open('/');
    this.client.emit('authenticate', { token: this.token });
    await this.enters(() => this.client.all('authenticated').length > 0);
  }

  takeEvent(name, what) {
    if (name === 'message') this.takeMessage(what);
    if (name === 'presence') this.takePresence(what);
  }
}

class Sockets extends SocketIo {
  static tongue = 'Sockets';
  static showsPresence = false;
  static hearsItself = false;

  async enter() {
    const registers = async () => (await this.client.ask('register', this.name))[0];
    await this.open('/');
    await waitFor(registers, `${this.what}: the name is free`, this.ms); /* a moment after somebody broke off */
  }

  async say(text) {
    assert.deepEqual(await this.client.ask('message', { from: this.name, message: text }), [true]);
  }

  takeEvent(name, { from, message } = {}) {
    if (name === 'message' && from !== 'Server') this.hear({ text: message, from });
  }
}

class TalkerLine extends Tongue {
  static tongue = 'Talker';
  static showsIdle = true;

  #pings;

  async enter() {
    this.line = await Talker.open(this.person.gateway);
    this.listen(this.line.events, (event) => this.takeEvent(event));
    const last = this.heard.at(-1);
    await this.#connect(last && { last_event_id: last.id });
    await this.enters(() => this.stateOf(this.name));
    this.#pings = setInterval(() => this.line.ping(), PING_MS).unref();
  }

  async #connect(fields) {
    const token = this.token ?? (await this.person.token());
    this.line.say({ type: 'connect', room: this.room, token, ...fields });
  }

  // What it says comes back.
  async say(text) {
    this.line.message(text);
    await this.hears({ text });
  }

  // To one who is in the room, alone. It does not come back.
  whisper(to, text) {
    this.line.message(text, to);
  }

  takeEvent(event) {
    const { type, user, users } = event;
    if (type === 'message') this.hear({ id: event.id, text: event.content, from: user.id, isPrivate: !!event.private });
    if (type === 'users') for (const one of users) this.see(one.id, one.idle ? 'idle' : 'here');
    if (type === 'join' || type === 'back') this.see(user.id, 'here');
    if (type === 'idle') this.see(user.id, 'idle');
    if (type === 'leave') this.see(user, 'gone');
    if (type === 'error') this.error = event.message;
  }

  breaks() {
    clearInterval(this.#pings);
    this.line.break();
  }

  closes() {
    clearInterval(this.#pings);
    this.line.say({ type: 'close' });
  }
}

export const TONGUES = {
  ndjson: Ndjson,
  sse: Sse,
  poll: Poll,
  maxtalk: Maxtalk,
  messaging: Messaging,
  sockets: Sockets,
  talker: TalkerLine,
};

const child = fileURLToPath(new URL('tongues_child.js', import.meta.url));

// Clients in a process of their own, which can be killed: [{ person, tongue }], of people at one or several gateways.
export async function joinElsewhere(t, clients, room) {
  const plan = clients.map(({ person: { gateway, name }, tongue }) => {
    return { tongue, name, room, url: gateway.url, talker: gateway.address('talker') };
  });
  const elsewhere = spawn(process.execPath, [child, JSON.stringify(plan)], { stdio: ['ignore', 'pipe', 'inherit'] });
  t.after(() => elsewhere.kill('SIGKILL'));
  const [line] = await within(once(elsewhere.stdout, 'data'), 'all have joined in another process');
  assert.equal(String(line), 'joined\n');
  return elsewhere;
}
