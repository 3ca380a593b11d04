// SPDX-License-Identifier: MIT
// One sign-in: the chat library and the model together, and what one can do.
//
// A login (Basic) is held in memory only. What survives a reload is a chat token, which is enough to hear and to send;
// what needs more then asks for the password ("password" event, answered by `proceed` or `giveUp`). Where the HTTP
// layer knows who it is there is neither, and nothing is ever asked.
import { ChatError, NereidChat, uuid } from "../nereid-chat.js";
import { BASE, basic, issueToken, whoAmI } from "./access.js";
import { gathered } from "./dom.js";
import { forgetSession, keepSession, ReadMarks } from "./memory.js";
import { Model } from "./model.js";

const NEWS = 20; // threads whose unread messages are counted at the start
const GOODBYE_MS = 3000;

const needsLogin = (error) => error.word === "password" || error.word === "token_scope";

export class Session extends EventTarget {
  marks = new ReadMarks();
  model = new Model(this.marks);
  chat;
  #login; // value of Authorization, if there is one
  #given; // {token, endsAt}: the chat token in use
  #hasLeft = false; // signed out: what is still under way makes no new token
  #isKnown; // the HTTP layer knows who it is
  #asked = null; // while the password is asked for: {done, fail}
  #loading = new Map(); // thread: its page of history that is on its way
  #isBehind = true; // which threads there are, and what is unread in them, has still to be asked

  // `means` are { user, login, given } after the form; { user, credentials } where the HTTP layer knows who it is; and
  // { user, given, view, cursor } with a token only. `isSaid`: the user's name is hearsay, and good for showing only.
  constructor({ user = null, isSaid = false, login, given, credentials, view, cursor }) {
    super();
    this.#login = login;
    this.#isKnown = credentials !== undefined;
    if (given) this.#hold(given);
    if (user) this.#become(user);
    if (view) this.model.restore(view);
    this.model.isSaid = isSaid;
    const share = user && !isSaid ? `nereid-chat of ${user} at ${BASE}` : false;
    const means = this.#isKnown ? { credentials } : { login: () => this.#loginOrAsk(), token: () => this.#token() };
    this.chat = new NereidChat({ ...means, share, cursor });
    this.marks.addEventListener("read", ({ detail }) => this.model.readElsewhere(detail.id, detail.at));
    this.model.addEventListener("strange", gathered(() => this.refresh()));
    this.model.addEventListener("me", () => this.#become(this.model.me));
    this.#listen();
  }

  // Everything may be done, without asking for a password.
  get full() {
    return this.#isKnown || Boolean(this.#login);
  }

  // --- who it is

  #become(user) {
    this.model.me = user;
    this.marks.use(user);
  }

  #hold({ token, expires_in: seconds, endsAt = seconds ? Date.now() + seconds * 1000 : undefined }) {
    this.#given = { token, endsAt, isFresh: true };
  }

  #loginOrAsk() {
    if (!this.#login) throw new ChatError("password", "That needs your password.");
    return this.#login;
  }

  // For the library: the token in hand once, then new ones.
  async #token() {
    if (!this.#given?.isFresh) {
      if (this.#hasLeft) throw new ChatError("closed", "You have signed out.");
      if (!this.#login) throw new ChatError("unauthorized", "Your session has ended.", { status: 401 });
      this.#hold(await issueToken(this.#login));
      this.keep();
    }
    this.#given.isFresh = false;
    const { token, endsAt } = this.#given;
    return endsAt ? { token, expires_in: Math.max(0, endsAt - Date.now()) / 1000 } : { token };
  }

  // The password, when it was asked for. Throws what the gateway says against it.
  async proceed(name, password) {
    const login = basic(name, password);
    this.#hold(await issueToken(login));
    this.#login = login;
    if (!this.model.me) this.#become((await whoAmI({ login })) ?? name);
    this.keep();
    this.#asked?.done();
    this.#asked = null;
    this.chat.connect(); // where it was refused
    this.refresh();
  }

  giveUp() {
    this.#asked?.fail(new ChatError("password", "That needs your password."));
    this.#asked = null;
  }

  #askPassword(why) {
    this.#asked?.fail(new ChatError("password", why));
    return new Promise((done, fail) => {
      this.#asked = { done, fail };
      this.dispatchEvent(new CustomEvent("password", { detail: { why, user: this.model.me } }));
    });
  }

  // Does what may need a login; where there is none asks for it first. `what` begins a sentence.
  async #do(action, what = "That") {
    try {
      return await action();
    } catch (error) {
      if (!needsLogin(error) || this.#isKnown) throw error;
      const why = "This tab was signed in by a token, which may read and write.";
      await this.#askPassword(`${why} ${what} needs your password.`);
      return action();
    }
  }

  // --- the feed

  #listen() {
    const { chat, model } = this;
    chat.addEventListener("message", ({ detail }) => {
      if (model.takeMessage(detail)) this.dispatchEvent(new CustomEvent("heard", { detail: detail.message }));
    });
    chat.addEventListener("presence", ({ detail }) => model.takePresences(detail));
    chat.addEventListener("gap", () => this.#mendGap());
    chat.addEventListener("refused", () => this.#isKnown || this.signInAgain());
    chat.addEventListener("state", ({ detail }) => {
      if (this.#isBehind && (detail.mode === "live" || detail.mode === "polling")) this.refresh();
      this.dispatchEvent(new CustomEvent("state", { detail }));
    });
  }

  // The server wants to see the password again; or whoever asks for one in its place, when the page is loaded.
  signInAgain() {
    if (this.#isKnown) return location.reload();
    this.#login = undefined;
    this.#askPassword("Your session has ended. Sign in again to go on where you were.").catch(() => {});
  }

  #mendGap() {
    this.model.forgetLogs();
    this.#loading.clear();
    this.#isBehind = true;
    this.refresh();
    if (this.model.open) this.loadHistory(this.model.open).catch(() => {});
    const words = "You were away for long: some messages of that time are no longer kept.";
    this.dispatchEvent(new CustomEvent("notice", { detail: words }));
  }

  // Threads are asked for once the feed has begun: so nothing can happen between the two.
  async start() {
    const begun = new Promise((done) => this.chat.addEventListener("presence", done, { once: true }));
    this.chat.connect();
    this.#sendWaiting();
    await begun;
    await this.refresh();
  }

  // Asks for what the feed does not tell: which threads there are, and who came and went. What cannot be had now is
  // asked again: when there is a connection, and now and then.
  async refresh() {
    try {
      await this.loadThreads();
      if (this.full && this.#isBehind) await this.#countNews();
    } catch {
      /* another time */
    }
  }

  get isBehind() {
    return this.full && this.#isBehind;
  }

  // What was unsent before a reload; ids make it harmless if it had been sent after all.
  #sendWaiting() {
    for (const thread of this.model.threads.values())
      for (const entry of thread.outbox) if (entry.state === "waiting") this.#deliver(entry);
  }

  async #countNews() {
    this.#isBehind = false;
    const count = (thread) => thread !== this.model.open && this.model.countUnread(thread);
    const news = this.model.threadList.filter((thread) => thread !== this.model.open && this.model.hasNews(thread));
    news.forEach(count); // as far as it is there
    try {
      for (const thread of news.slice(0, NEWS)) {
        await this.loadHistory(thread);
        count(thread);
      }
    } catch (error) {
      this.#isBehind = true;
      throw error;
    }
  }

  // --- threads

  async loadThreads() {
    if (!this.full) return;
    const asked = [...this.model.threads.values()];
    this.model.takeThreads(await this.chat.threads(), asked);
  }

  // For somebody who wants to see who is in a thread.
  askThreads() {
    return this.#do(() => (this.#isKnown || this.#loginOrAsk()) && this.loadThreads(), "To see who else is here");
  }

  // One page more, the newest first. Those who ask while it is on its way get the same.
  loadHistory(thread) {
    if (!this.#loading.has(thread)) this.#loading.set(thread, this.#fetchHistory(thread));
    return this.#loading.get(thread);
  }

  // After a log was cut the first pages may have nothing but what is there.
  async #fetchHistory(thread) {
    const { generation } = thread;
    try {
      for (let isNew = false; !isNew && thread.before !== null; ) {
        const { before } = thread;
        const answer = await this.chat.history(thread.id, before ? { before } : {});
        if (generation !== thread.generation) return;
        isNew = this.model.takeHistory(thread, answer);
      }
    } finally {
      if (generation === thread.generation) this.#loading.delete(thread);
    }
  }

  // For what somebody asked for; the feed itself never opens a dialog.
  askHistory(thread) {
    return this.#do(() => this.loadHistory(thread));
  }

  // Finds or makes a thread: {user: […]} or {room}.
  async openThread(whom) {
    const answer = await this.#do(() => this.chat.open(whom));
    return this.model.takeThread({ ...answer, room: whom.room });
  }

  async addMember(thread, user) {
    this.model.takeThread({ ...(await this.#do(() => this.chat.addMember(thread.id, user))), thread_id: thread.id });
  }

  async removeMember(thread, user) {
    const answer = await this.#do(() => this.chat.removeMember(thread.id, user));
    if (user === this.model.me) this.model.drop(thread);
    else this.model.takeThread({ ...answer, thread_id: thread.id });
  }

  // --- messages

  send(thread, { text, type, subject }) {
    const message = { id: uuid(), thread: thread.id, text, type, ...(subject ? { subject } : {}) };
    this.#deliver(this.model.putWaiting(thread, message));
  }

  retry(entry) {
    entry.state = "waiting";
    this.model.changed();
    this.#deliver(entry);
  }

  async #deliver(entry) {
    const { id, thread, text, type, subject } = entry.message;
    try {
      await this.chat.send({ id, thread, text, type, ...(subject ? { subject } : {}) });
      this.model.settle(entry);
    } catch (error) {
      if (error.word !== "closed") this.model.refuse(entry, error.message);
    }
  }

  // --- oneself

  async setPresence(fields) {
    const presence = await this.#do(() => this.chat.setPresence(fields));
    this.model.takePresences([presence]);
  }

  // Writes down what a reload goes on with. Phones end pages that are hidden without a word.
  keep({ withView = false } = {}) {
    if (this.#hasLeft || !(this.#isKnown || this.#given)) return;
    const { token, endsAt } = this.#given ?? {};
    const view = withView ? { view: this.model.snapshot(), cursor: this.chat.cursor } : {};
    keepSession({ token, endsAt, user: this.model.me, isSaid: this.model.isSaid, ...view });
  }

  // Another sign-in takes this one's place, with the page's next load.
  giveWay(means) {
    this.#hasLeft = true;
    keepSession(means);
  }

  async signOut() {
    forgetSession();
    this.model.abandon();
    this.#hasLeft = true;
    const late = new Promise((done) => setTimeout(done, GOODBYE_MS));
    await Promise.race([this.chat.signOut().catch(() => {}), late]);
  }
}
