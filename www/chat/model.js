// SPDX-License-Identifier: MIT
// What the page knows: people, threads and their messages. Says "change" when anything of it has changed.
//
// A thread's `log` holds messages in the order of the server's log: pages of history go before what is there, live
// ones behind. Cursors are opaque, so order is known only by where messages came from. `outbox` holds one's own until
// the server shows them; they stand behind all others.
//
// What is unread is not kept by the server. This browser remembers, for each thread, the time of the newest message
// that was seen here, and counts those after it that others wrote.

import { gathered } from "./dom.js";

const SAVED_MESSAGES = 50; // of a thread, and
const SAVED_THREADS = 40; // so many threads, over a reload

/**
 * message: {id, at, message} and in an outbox: state "waiting" | "refused", reason?
 * thread: {id, room, members, log, outbox, ids, before, unread, opened, newFrom, draft}
 *   before    undefined: history was not asked yet; null: there is none; else where the page before begins
 *   opened    was opened or made here, so it is in the list though nothing was said in it
 *   gone      one is no member any more
 *   newFrom   id of the first message that was unread when the thread was opened
 */
function makeThread(id) {
  const thread = { id, room: null, members: [], before: undefined, unread: 0, newFrom: null };
  return Object.assign(thread, { opened: false, gone: false, draft: "", log: [], outbox: [], ids: new Set() });
}

const entryOf = ({ timestamp, message }) => ({ id: message.id, at: Date.parse(timestamp), message });

export class Model extends EventTarget {
  me = null; // id
  people = new Map(); // presence by id
  threads = new Map();
  open = null; // the thread on show
  attended = true; // the thread on show is before somebody's eyes
  #readMarks;
  #tell = gathered(() => this.dispatchEvent(new Event("change")));

  // `readMarks` remembers {thread id: time}; see ReadMarks.
  constructor(readMarks) {
    super();
    this.#readMarks = readMarks;
  }

  changed() {
    this.#tell();
  }

  // --- people

  takePresences(presences) {
    for (const presence of presences) this.people.set(presence.id, presence);
    this.changed();
  }

  nameOf({ id, displayName }) {
    return this.people.get(id)?.displayName || displayName || id;
  }

  isMe(person) {
    return this.me !== null && person.id === this.me;
  }

  othersIn(thread) {
    return thread.members.filter((member) => !this.isMe(member));
  }

  // The person on the other side, in a thread of two.
  partnerIn(thread) {
    const others = this.othersIn(thread);
    return !thread.room && others.length === 1 && thread.members.length <= 2 ? others[0] : null;
  }

  titleOf(thread) {
    if (thread.room) return `#${thread.room}`;
    const others = this.othersIn(thread);
    return others.map((member) => this.nameOf(member)).join(", ") || "Only you";
  }

  isOwner(thread) {
    return thread.members.some((member) => this.isMe(member) && member.role === "owner");
  }

  threadWith(person) {
    return [...this.threads.values()].find((thread) => this.partnerIn(thread)?.id === person);
  }

  // Those of others, the most reachable first.
  get peopleList() {
    const others = [...this.people.values()].filter((person) => !this.isMe(person));
    return others.sort((a, b) => b.available - a.available || this.nameOf(a).localeCompare(this.nameOf(b)));
  }

  // --- threads

  thread(id) {
    if (!this.threads.has(id)) this.threads.set(id, makeThread(id));
    return this.threads.get(id);
  }

  // As the server describes it: {thread_id, room?, members, last?}.
  takeThread({ thread_id: id, room, members, last }) {
    const thread = this.thread(id);
    if (members) thread.members = members;
    if (room) thread.room = room;
    thread.gone = false;
    if (last && !thread.log.length) this.#append(thread, entryOf(last));
    this.changed();
    return thread;
  }

  // All threads there are. Those among `asked`, known when it was asked, that are not there any more were left.
  takeThreads(list, asked) {
    const ids = new Set(list.map((thread) => thread.thread_id));
    for (const thread of asked) if (!ids.has(thread.id)) this.#lose(thread);
    list.forEach((thread) => this.takeThread(thread));
  }

  // What is on show, or waits to be sent, is not taken away before somebody's eyes.
  #lose(thread) {
    thread.gone = true;
    if (thread !== this.open && !thread.outbox.length) this.threads.delete(thread.id);
  }

  drop(thread) {
    if (this.open === thread) this.open = null;
    this.threads.delete(thread.id);
    this.changed();
  }

  lastOf(thread) {
    return thread.outbox.at(-1) ?? thread.log.at(-1) ?? null;
  }

  // Those to list, last activity first. A thread of two where nothing was said is no conversation yet.
  get threadList() {
    const at = (thread) => this.lastOf(thread)?.at ?? (thread.opened ? thread.openedAt : 0);
    const isListed = (thread) => this.lastOf(thread) || thread.opened || !this.partnerIn(thread);
    return [...this.threads.values()].filter(isListed).sort((a, b) => at(b) - at(a));
  }

  get unread() {
    let count = 0;
    for (const thread of this.threads.values()) count += thread.unread;
    return count;
  }

  // --- messages

  #append(thread, entry) {
    thread.ids.add(entry.id);
    thread.log.push(entry);
  }

  // A message from the feed. True: it is new, of somebody else, and nobody has seen it yet.
  takeMessage(stanza) {
    const entry = entryOf(stanza);
    const thread = this.thread(entry.message.thread);
    this.#settleOwn(thread, entry);
    if (thread.ids.has(entry.id)) return false;
    this.#append(thread, entry);
    this.#knowSender(thread, entry.message.sender);
    const isOthers = !this.isMe(entry.message.sender);
    const isSeen = thread === this.open && this.attended;
    if (isOthers && !isSeen) {
      thread.unread++;
      if (thread === this.open) thread.newFrom ??= entry.id;
    }
    if (isSeen) this.#readMarks.set(thread.id, entry.at);
    this.changed();
    return isOthers;
  }

  // Members come and go without a word on the feed; "strange" says that there is one who was not known.
  #knowSender(thread, { id, displayName }) {
    if (thread.members.some((member) => member.id === id)) return;
    thread.members = [...thread.members, { id, displayName, role: "guest" }];
    this.dispatchEvent(new Event("strange"));
  }

  // The server shows what was sent here: now it is known whose it is, and that it waits no more.
  #settleOwn(thread, entry) {
    const mine = thread.outbox.findIndex((waiting) => waiting.id === entry.id);
    if (mine < 0) return;
    thread.outbox.splice(mine, 1);
    this.me ??= entry.message.sender.id;
  }

  // A page of history, {messages, before}: the newest one first, then what was before it. The feed leaves no holes, so
  // a log goes on from its first entry; a page may have entries before that, and some that are there already.
  takeHistory(thread, { messages, before }) {
    const page = messages.map(entryOf);
    for (const entry of page) this.#settleOwn(thread, entry);
    const ids = new Set(page.map((entry) => entry.id));
    const isShared = (entry) => ids.has(entry.id);
    const first = thread.before === undefined ? Math.max(0, thread.log.findIndex(isShared)) : 0;
    const older = thread.log.slice(0, first);
    thread.log = [...older, ...page, ...thread.log.slice(first).filter((entry) => !isShared(entry))];
    for (const id of ids) thread.ids.add(id);
    thread.before = before;
    this.changed();
  }

  // Messages were lost to the feed: what is there may have holes, so history is asked again.
  forgetLogs() {
    for (const thread of this.threads.values()) Object.assign(thread, { log: [], ids: new Set(), before: undefined });
    this.changed();
  }

  // --- one's own

  // Shows what is being sent, before the server has it.
  putWaiting(thread, message) {
    const sender = { id: this.me ?? "" };
    const entry = { id: message.id, at: Date.now(), message: { ...message, sender }, state: "waiting" };
    thread.outbox.push(entry);
    this.changed();
    return entry;
  }

  // It is stored: until the feed shows it, it stands at the end.
  settle(entry) {
    entry.state = "sent";
    this.changed();
  }

  refuse(entry, reason) {
    Object.assign(entry, { state: "refused", reason });
    this.changed();
  }

  discard(thread, entry) {
    thread.outbox = thread.outbox.filter((other) => other !== entry);
    this.changed();
  }

  // Nothing waits any more.
  abandon() {
    for (const thread of this.threads.values()) thread.outbox = [];
  }

  get unsent() {
    let count = 0;
    for (const { outbox } of this.threads.values()) count += outbox.filter((entry) => entry.state !== "sent").length;
    return count;
  }

  // --- reading

  // Shows a thread, or none (null).
  show(thread) {
    if (this.open && this.open !== thread) this.open.newFrom = null;
    this.open = thread;
    if (thread) {
      if (!thread.opened) Object.assign(thread, { opened: true, openedAt: Date.now() });
      const others = thread.log.filter((entry) => !this.isMe(entry.message.sender));
      if (thread.unread) thread.newFrom = others.at(-thread.unread)?.id ?? others[0]?.id ?? null;
      this.read();
    }
    this.changed();
  }

  // Somebody looks at the thread on show.
  read() {
    const thread = this.open;
    if (!thread || !this.attended) return;
    thread.unread = 0;
    const last = thread.log.at(-1);
    if (last) this.#readMarks.set(thread.id, last.at);
    this.changed();
  }

  // Somebody looks at the page, or no more.
  attend(attended) {
    this.attended = attended;
    this.read();
  }

  // Another tab has read this thread up to `at`.
  readElsewhere(id, at) {
    const thread = this.threads.get(id);
    if (!thread?.unread || (thread.log.at(-1)?.at ?? 0) > at) return;
    thread.unread = 0;
    this.changed();
  }

  // Whether messages came while this browser was away.
  hasNews(thread) {
    const last = thread.log.at(-1);
    return Boolean(last) && !this.isMe(last.message.sender) && last.at > this.#readMarks.get(thread.id);
  }

  // Counts what came while this browser was away, as far as it is there.
  countUnread(thread) {
    const mark = this.#readMarks.get(thread.id);
    thread.unread = thread.log.filter((entry) => entry.at > mark && !this.isMe(entry.message.sender)).length;
    this.changed();
  }

  // --- over a reload

  snapshot() {
    const threads = this.threadList.slice(0, SAVED_THREADS).map((thread) => this.#threadSnapshot(thread));
    return { me: this.me, people: [...this.people.values()], threads, open: this.open?.id ?? null };
  }

  #threadSnapshot({ ids, ...thread }) {
    const cut = thread.log.length > SAVED_MESSAGES;
    const log = thread.log.slice(-SAVED_MESSAGES);
    const outbox = thread.outbox.filter((entry) => entry.state !== "sent");
    return { ...thread, log, outbox, before: cut ? undefined : thread.before, newFrom: null };
  }

  restore({ me, people, threads }) {
    this.me = me;
    this.takePresences(people);
    for (const saved of threads) {
      const ids = new Set(saved.log.map((entry) => entry.id));
      this.threads.set(saved.id, Object.assign(makeThread(saved.id), saved, { ids }));
    }
    this.changed();
  }
}
