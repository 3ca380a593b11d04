// SPDX-License-Identifier: MIT
// Parts of the chat page by themselves: what it knows, what it keeps, and where links end.
import assert from 'node:assert/strict';
import { test } from 'node:test';

// What these parts use of a browser.
class Storage {
  #items = new Map();
  room = Infinity; // letters

  getItem(key) {
    return this.#items.get(key) ?? null;
  }

  setItem(key, text) {
    if (text.length > this.room) throw new Error('no room');
    this.#items.set(key, text);
  }

  removeItem(key) {
    this.#items.delete(key);
  }
}

const sessionStorage = new Storage();
Object.assign(globalThis, { window: new EventTarget(), document: { baseURI: 'http://127.0.0.1/' } });
Object.assign(globalThis, { sessionStorage, localStorage: new Storage() });

const { trimLink } = await import('../../www/chat/body.js');
const { keepSession, ReadMarks, recallSession } = await import('../../www/chat/memory.js');
const { Model } = await import('../../www/chat/model.js');
const { Session } = await import('../../www/chat/session.js');
const { issueToken } = await import('../../www/chat/access.js');
const { verdictWords } = await import('../../www/chat/words.js');

const NOON = Date.parse('2026-01-01T12:00:00Z');

// A message from bob, so many seconds after noon.
function said(id, second, thread = 'a-thread') {
  const sender = { id: 'bob', displayName: 'Bob' };
  return { timestamp: new Date(NOON + second * 1000).toISOString(), message: { id, thread, text: id, sender } };
}

const sayAll = (model, count, from = 0) => {
  for (let i = from; i < from + count; i++) model.takeMessage(said(`m${i}`, i));
};

const idsOf = (thread) => thread.log.map(({ id }) => id);
const members = (...ids) => ids.map((id) => ({ id, role: 'guest' }));

let users = 0;

// What alice's page knows, who shares nothing with the other tests.
function newModel() {
  const marks = new ReadMarks();
  marks.use(`alice ${users++}`);
  const model = Object.assign(new Model(marks), { me: 'alice' });
  return { marks, model };
}

test('a link ends before the sentence’s marks and brackets, however many there are', () => {
  assert.equal(trimLink('https://a.example/x_(y)),'), 'https://a.example/x_(y)');
  assert.equal(trimLink('https://a.example/[1]...'), 'https://a.example/[1]');
  const begun = performance.now();
  for (let i = 0; i < 3; i++) assert.equal(trimLink(`http://a${')'.repeat(32_000)}`), 'http://a');
  assert.ok(performance.now() - begun < 3000, 'in one pass');
});

test('a thread is private only if the server has said who is in it', () => {
  const { model } = newModel();
  model.takeMessage(said('m', 1));
  const thread = model.thread('a-thread');
  assert.equal(model.partnerIn(thread), null);
  assert.equal(model.threadWith('bob'), undefined);
  assert.equal(model.titleOf(thread), 'Bob and perhaps others');
  model.takeThread({ thread_id: 'a-thread', members: members('alice', 'bob', 'carol') });
  assert.equal(model.threadWith('bob'), undefined);
  model.takeThread({ thread_id: 'a-thread', members: members('carol', 'bob') });
  assert.equal(model.threadWith('bob'), undefined, 'one is no member oneself');
  model.takeThread({ thread_id: 'a-thread', members: members('alice', 'bob') });
  assert.equal(model.threadWith('bob'), thread);
});

test('where there is little room, what was not sent is kept before what can be had again', () => {
  const { model } = newModel();
  for (let i = 0; i < 60; i++) model.takeMessage(said(`m${i} ${'x'.repeat(1000)}`, i));
  for (let i = 0; i < 60; i++) model.takeMessage(said(`o${i} ${'x'.repeat(1000)}`, i, `other ${i}`));
  const thread = model.thread('a-thread');
  model.show(thread);
  model.putWaiting(thread, { id: 'unsent', thread: 'a-thread', text: 'unsent' });
  const keptIn = (room) => {
    keepSession({ hasLeft: true });
    sessionStorage.room = room;
    keepSession({ token: 'secret', view: model.snapshot(), cursor: '42' });
    sessionStorage.room = Infinity;
    const { token, cursor, view } = recallSession();
    const again = newModel().model;
    if (view) again.restore(view);
    const { log, outbox } = again.thread('a-thread');
    return [token, cursor, view?.open, log.length, outbox.map(({ id }) => id).join(), again.threads.size];
  };
  assert.deepEqual(keptIn(Infinity), ['secret', '42', 'a-thread', 50, 'unsent', 40]);
  assert.deepEqual(keptIn(150_000), ['secret', '42', 'a-thread', 1, 'unsent', 40]);
  assert.deepEqual(keptIn(1000), ['secret', '42', 'a-thread', 0, 'unsent', 1]);
  assert.deepEqual(keptIn(50), ['secret', undefined, undefined, 0, '', 1]);
});

test('of a thread that is not on show only its last messages stay', () => {
  const { model } = newModel();
  sayAll(model, 1000);
  const thread = model.thread('a-thread');
  assert.ok(thread.log.length <= 150, String(thread.log.length));
  assert.equal(thread.ids.size, thread.log.length);
  assert.equal(thread.unread, 1000);
  assert.equal(idsOf(thread).at(-1), 'm999');
  const [first] = idsOf(thread);
  const from = Number(first.slice(1)) - 20;
  const page = (at) => ({ messages: Array.from({ length: 50 }, (_, i) => said(`m${at + i}`, at + i)), before: 'x' });
  assert.equal(model.takeHistory(thread, page(950)), false, 'nothing new is in the newest page');
  assert.equal(model.takeHistory(thread, page(from)), true);
  assert.deepEqual(idsOf(thread), Array.from({ length: 1000 - from }, (_, i) => `m${from + i}`), 'all in order');
});

test('what was read in another tab is not unread when it comes here', () => {
  const { marks, model } = newModel();
  marks.set('a-thread', NOON + 2000);
  assert.equal(model.takeMessage(said('m1', 1)), false, 'and is not read out');
  assert.equal(model.takeMessage(said('m2', 2)), false);
  assert.equal(model.takeMessage(said('m3', 3)), true);
  const thread = model.thread('a-thread');
  assert.equal(thread.unread, 1);
  const view = model.snapshot();
  marks.set('a-thread', NOON + 3000);
  model.restore(view);
  assert.equal(model.thread('a-thread').unread, 0, 'nor after a reload');
});

test('a message that the list of threads has told of is new all the same when the feed brings it', () => {
  const { model } = newModel();
  const last = said('m3', 3);
  const list = [{ thread_id: 'a-thread', members: members('alice', 'bob'), last }];
  model.takeThreads(list, []);
  for (const stanza of [said('m1', 1), said('m2', 2), last]) assert.equal(model.takeMessage(stanza), true);
  assert.equal(model.takeMessage(last), false);
  const thread = model.thread('a-thread');
  assert.equal(thread.unread, 3);
  assert.deepEqual(idsOf(thread), ['m1', 'm2', 'm3']);
});

test('a message that the list of threads has told of is counted once', () => {
  const { marks, model } = newModel();
  marks.set('a-thread', NOON);
  const last = said('m1', 1);
  model.takeThreads([{ thread_id: 'a-thread', members: members('alice', 'bob'), last }], []);
  model.countUnread(model.thread('a-thread'));
  assert.equal(model.takeMessage(last), false);
  assert.equal(model.thread('a-thread').unread, 1);
});

test('a token that is refused for now says when to come again', async () => {
  const headers = { 'Retry-After': '7' };
  globalThis.fetch = async () => new Response('{"error":"too_many","message":"wait"}', { status: 429, headers });
  await assert.rejects(issueToken('Basic x'), { word: 'too_many', status: 429, retryAfter: 7 });
});

test('chat goes on by polls only where it does', () => {
  for (const verdict of ['held_bytes', 'held_until_end']) {
    assert.match(verdictWords({ verdict }, 'poll').todo, /^Chat goes on by polls\. [A-Z]/);
    assert.doesNotMatch(verdictWords({ verdict }, 'post').todo, /polls/);
  }
});

test('a message in a thread that was left is from one that was entered again', () => {
  const { model } = newModel();
  let strange = 0;
  model.addEventListener('strange', () => strange++);
  const thread = model.takeThread({ thread_id: 'a-thread', members: members('alice', 'bob') });
  model.show(thread);
  model.takeThreads([], [thread]);
  assert.equal(thread.gone, true);
  model.takeMessage(said('m', 1));
  assert.deepEqual([thread.gone, strange], [false, 1]);
});

test('whose messages they are is known from the server, whatever a link said', () => {
  const { model } = newModel();
  model.isSaid = true;
  const thread = model.thread('a-thread');
  model.putWaiting(thread, { id: 'mine', thread: 'a-thread', text: 'mine' });
  model.takeMessage(said('mine', 1)); // the server has it from bob
  assert.deepEqual([model.me, model.isSaid, thread.outbox.length], ['bob', false, 0]);
});

test('after a gap answers to what was asked before it are dropped, and what is unread is counted anew', async () => {
  const session = new Session({ user: 'alice', credentials: 'omit' });
  const { chat, model } = session;
  const last = said('m99', 99);
  const asked = [];
  chat.threads = async () => [{ thread_id: 'a-thread', members: members('alice', 'bob'), last }];
  chat.history = () => new Promise((answer) => asked.push(answer));
  session.marks.set('a-thread', NOON);
  const thread = model.takeThread({ thread_id: 'a-thread', members: members('alice', 'bob') });
  thread.unread = 7;
  const old = session.loadHistory(thread);
  chat.dispatchEvent(new CustomEvent('gap', { detail: { oldest: '1' } }));
  asked[0]({ messages: [said('m50', 50), said('m51', 51)], before: '50' });
  await old;
  assert.ok(!thread.ids.has('m50'), 'it would leave a hole');
  while (asked.length < 2) await new Promise(setImmediate);
  asked[1]({ messages: [said('m98', 98), last], before: null });
  while (session.isBehind || thread.log.length < 2) await new Promise(setImmediate);
  await session.refresh();
  assert.deepEqual(idsOf(thread), ['m98', 'm99']);
  assert.equal(thread.unread, 2);
  await chat.close();
});
