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
import { dayOf } from "./words.js";

const SAVED_MESSAGES = 50; // of a thread, and
const SAVED_THREADS = 40; // so many threads, over a reload
const UNSEEN_MESSAGES = 100; // of a thread that is not on show; half as many more may gather

const collator = new Intl.Collator();

/**
 * message: {id, at, day, message} and in an outbox: state "waiting" | "refused", reason?
 *   isListed  only the list of threads has told of it: the feed may bring it yet
 * thread: {id, room, members, known, log, outbox, ids, before, unread, opened, newFrom, draft, version, generation}
 *   known     the members are what the server said; else they are those who were heard, and there may be more
 *   before    undefined: history was not asked since the log was begun or cut; null: there is none; else where the page
 *             before begins
 *   opened    was opened or made here, so it is in the list though nothing was said in it
 *   gone      one is no member any more
 *   newFrom   id of the first message that was unread when the thread was opened
 *   version   changes with what is to be seen of its messages
 *   generation  changes when its log is begun anew: answers to older questions do not fit any more
 */
function makeThread(id) {
  const thread = { id, room: null, members: [], known: false, before: undefined, unread: 0, newFrom: null };
  const state = { opened: false, gone: false, draft: "", version: 0, generation: 0 };
  return Object.assign(thread, state, { log: [], outbox: [], ids: new Set() });
}

function entryOf({ timestamp, message }) {
  const at = Date.parse(timestamp);
  return { id: message.id, at, day: dayOf(at), message };
}

// The last `most` messages of a thread's log, as {log, before}: what was before them is asked for again.
export function cutLog({ log, before }, most) {
  return log.length > most ? { log: log.slice(log.length - most), before: undefined } : { log, before };
}

export class Model extends EventTarget {
  me = null; // id
  isSaid = false; // that is hearsay: the server has not said it
  people = new Map(); // presence by id
  threads = new Map();
  open = null; // the thread on show
  attended = true; // the thread on show is before somebody's eyes
  listed = false; // the server has said which threads there are
  version = 0; // changes with what is to be seen in any thread: names, days
  #readMarks;
  #tell = gathered(() => this.dispatchEvent(new Event("change")));

  // `readMarks` remembers {thread id: time}; see ReadMarks.
  constructor(readMarks) {
    super();
    this.#readMarks = readMarks;
  }

  // `thread`: of all that is to be seen in threads only something in this one.
  changed(thread = this) {
    thread.version++;
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

  // The person on the other side, in a thread of which it is known that nobody else is in it.
  partnerIn(thread) {
    const others = this.othersIn(thread);
    return thread.known && !thread.room && thread.members.length === 2 && others.length === 1 ? others[0] : null;
  }

  titleOf(thread) {
    if (thread.room) return `#${thread.room}`;
    const names = this.othersIn(thread).map((member) => this.nameOf(member)).join(", ");
    if (thread.known) return names || "Only you";
    return names ? `${names} and perhaps others` : "A conversation";
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
    return others.sort((a, b) => b.available - a.available || this.compareNames(a, b));
  }

  compareNames(a, b) {
    return collator.compare(this.nameOf(a), this.nameOf(b));
  }

  // --- threads

  thread(id) {
    if (!this.threads.has(id)) this.threads.set(id, makeThread(id));
    return this.threads.get(id);
  }

  // As the server describes it: {thread_id, room?, members, last?}.
  takeThread({ thread_id: id, room, members, last }) {
    const thread = this.thread(id);
    if (members) Object.assign(thread, { members, known: true });
    if (room) thread.room = room;
    thread.gone = false;
    if (last && !thread.log.length) this.#append(thread, { ...entryOf(last), isListed: true });
    this.changed(thread);
    return thread;
  }

  // All threads there are. Those among `asked`, known when it was asked, that are not there any more were left.
  takeThreads(list, asked) {
    const ids = new Set(list.map((thread) => thread.thread_id));
    for (const thread of asked) if (!ids.has(thread.id)) this.#lose(thread);
    list.forEach((thread) => this.takeThread(thread));
    this.listed = true;
    this.changed();
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

  // Who was told of a message by the list has not heard it yet: it is taken as one that is new.
  #unlist(thread, id) {
    const index = thread.log.findIndex((entry) => entry.isListed && entry.id === id);
    if (index < 0) return;
    thread.log.splice(index, 1);
    thread.ids.delete(id);
  }

  // A message from the feed. True: it is new, of somebody else, and nobody has seen it yet.
  takeMessage(stanza) {
    const entry = entryOf(stanza);
    const thread = this.thread(entry.message.thread);
    this.#settleOwn(thread, entry);
    this.#unlist(thread, entry.id);
    if (thread.ids.has(entry.id)) return false;
    this.#append(thread, entry);
    if (thread !== this.open && thread.log.length > 1.5 * UNSEEN_MESSAGES) this.#cut(thread, UNSEEN_MESSAGES);
    this.#knowSender(thread, entry.message.sender);
    const isOthers = !this.isMe(entry.message.sender);
    const wasSeen = entry.at <= this.#readMarks.get(thread.id, 0); // in another tab
    const isSeen = wasSeen || (thread === this.open && this.attended);
    if (isOthers && !isSeen) {
      thread.unread++;
      if (thread === this.open) thread.newFrom ??= entry.id;
    }
    if (isSeen) this.#readMarks.set(thread.id, entry.at);
    this.changed(thread);
    return isOthers && !wasSeen;
  }

  // Members come and go without a word on the feed; "strange" says that there is one who was not known, or that one is
  // a member again oneself.
  #knowSender(thread, { id, displayName }) {
    const isMember = thread.members.some((member) => member.id === id);
    if (isMember && !thread.gone) return;
    if (!isMember) thread.members = [...thread.members, { id, displayName, role: "guest" }];
    if (thread.gone) Object.assign(thread, { gone: false, known: false });
    this.dispatchEvent(new Event("strange"));
  }

  // Forgets all but the last messages of a thread: each new one costs as much as there are.
  #cut(thread, most) {
    Object.assign(thread, cutLog(thread, most));
    thread.ids = new Set(thread.log.map((entry) => entry.id));
    this.changed(thread);
  }

  // The same for the thread on show, whose end is in sight.
  cutOpen(most) {
    this.#cut(this.open, most);
  }

  // The server shows what was sent here: now it is known whose it is ("me" if that is news), and that it waits no more.
  #settleOwn(thread, entry) {
    const mine = thread.outbox.findIndex((waiting) => waiting.id === entry.id);
    if (mine < 0) return;
    thread.outbox.splice(mine, 1);
    const { id } = entry.message.sender;
    if (id === this.me && !this.isSaid) return;
    Object.assign(this, { me: id, isSaid: false });
    this.changed();
    this.dispatchEvent(new Event("me"));
  }

  // A page of history, {messages, before}: the newest one first, then what was before it. The feed leaves no holes, so
  // a page stands where it has an entry in common with the log, and before it all where it has none. True: something in
  // it was not there yet.
  takeHistory(thread, { messages, before }) {
    const page = messages.map(entryOf);
    for (const entry of page) this.#settleOwn(thread, entry);
    const ids = new Set(page.map((entry) => entry.id));
    const isShared = (entry) => ids.has(entry.id);
    const first = Math.max(0, thread.log.findIndex(isShared));
    const older = thread.log.slice(0, first);
    const had = thread.log.length;
    thread.log = [...older, ...page, ...thread.log.slice(first).filter((entry) => !isShared(entry))];
    for (const id of ids) thread.ids.add(id);
    thread.before = before;
    this.changed(thread);
    return thread.log.length > had;
  }

  // Messages were lost to the feed: what is there may have holes, so history is asked again, and counted.
  forgetLogs() {
    const empty = () => ({ log: [], ids: new Set(), before: undefined, unread: 0 });
    for (const thread of this.threads.values()) {
      Object.assign(thread, empty());
      thread.generation++;
    }
    this.changed();
  }

  // --- one's own

  // Shows what is being sent, before the server has it.
  putWaiting(thread, message) {
    const sender = { id: this.me ?? "" };
    const at = Date.now();
    const entry = { id: message.id, at, day: dayOf(at), message: { ...message, sender }, state: "waiting" };
    thread.outbox.push(entry);
    this.changed(thread);
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
    if (this.open && this.open !== thread) {
      this.open.newFrom = null;
      this.#cut(this.open, UNSEEN_MESSAGES);
    }
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
    for (const entry of thread.log) entry.isListed = false;
    thread.unread = thread.log.filter((entry) => entry.at > mark && !this.isMe(entry.message.sender)).length;
    this.changed();
  }

  // --- over a reload

  snapshot() {
    const isUnsent = (entry) => entry.state !== "sent";
    const isNeeded = (thread) => thread === this.open || thread.outbox.some(isUnsent);
    const kept = this.threadList.filter((thread, index) => index < SAVED_THREADS || isNeeded(thread));
    const threads = kept.map(({ ids, ...thread }) => {
      const outbox = thread.outbox.filter(isUnsent);
      return { ...thread, ...cutLog(thread, SAVED_MESSAGES), outbox, newFrom: null };
    });
    return { people: [...this.people.values()], threads, open: this.open?.id ?? null };
  }

  // What was unread then may have been read in another tab since.
  restore({ people, threads }) {
    this.takePresences(people);
    for (const saved of threads) {
      const ids = new Set(saved.log.map((entry) => entry.id));
      const thread = Object.assign(makeThread(saved.id), saved, { ids });
      this.threads.set(saved.id, thread);
      if (this.#readMarks.get(thread.id, 0)) this.countUnread(thread);
    }
    this.changed();
  }
}
