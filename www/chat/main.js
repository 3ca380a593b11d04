// SPDX-License-Identifier: MIT
// The chat page: lets somebody in, puts the views together, and turns what the user does into what the session does.
//
//   access, door   getting in                    session   the library and the model together
//   memory         what survives a reload        model     people, threads, messages
//   sidebar, conversation, composer, dialogs, connection: the views; each shows the model, none keeps it
//   dom, words, faces, body, html: what they are made of
import { tokenInAddress, whoAmI } from "./access.js";
import { Composer } from "./composer.js";
import { ConnectionView } from "./connection.js";
import { ConversationView } from "./conversation.js";
import { MeDialog, MembersDialog, PasswordDialog, StartDialog } from "./dialogs.js";
import { at, setText } from "./dom.js";
import { comeIn } from "./door.js";
import { gist, loadPurifier } from "./html.js";
import { forgetSession, keepSession, recallSession } from "./memory.js";
import { Session } from "./session.js";
import { Sidebar } from "./sidebar.js";
import { dayOf, plural, troubleWords } from "./words.js";

const NOTICE_MS = 8000;
const GATHER_MS = 200; // what comes together is told together
const READ_OUT = 3; // messages; of more only the number is told
const TICK_MS = 20_000;

const narrow = matchMedia("(max-width: 47.99rem)"); // one pane at a time, as in chat.css

// --- telling

let noticeTimer;

function notice(words) {
  setText(at("notice"), words);
  at("notice").classList.toggle("shown", words !== "");
  clearTimeout(noticeTimer);
  if (words) noticeTimer = setTimeout(() => notice(""), NOTICE_MS);
}

// For those who listen instead of looking.
function announce(words) {
  const line = document.createElement("p");
  line.textContent = words;
  at("announce").replaceChildren(line);
}

// Reads out new messages, and nothing else: the log itself is silent, so that history is not read out.
function makeReader(model) {
  const heard = [];
  let timer;
  const tell = () => {
    const lines = heard.splice(0).map((message) => lineOf(model, message)).filter(Boolean);
    if (!lines.length) return;
    announce(lines.length > READ_OUT ? plural(lines.length, "new message") : lines.join(". "));
  };
  return (message) => {
    heard.push(message);
    clearTimeout(timer);
    timer = setTimeout(tell, GATHER_MS);
  };
}

// Null: one was removed from its thread meanwhile.
function lineOf(model, message) {
  const name = model.nameOf(message.sender);
  const thread = model.threads.get(message.thread);
  if (!thread) return null;
  if (thread === model.open) return `${name}: ${gist(message)}`;
  const where = model.partnerIn(thread) || !thread.known ? "" : ` in ${model.titleOf(thread)}`;
  return `New message from ${name}${where}`;
}

// Does what was asked for; what goes wrong is told.
async function attempt(action) {
  try {
    await action();
  } catch (error) {
    if (error.word !== "password") notice(troubleWords(error));
  }
}

// --- the page with somebody in it

class Page {
  #session;
  #model;
  #sidebar;
  #conversation;
  #composer;
  #members;

  constructor(session) {
    this.#session = session;
    this.#model = session.model;
    const choose = (thread) => this.#choose(thread);
    const meet = (id) => attempt(() => this.#meet(id));
    this.#sidebar = new Sidebar(session.model, { choose, meet });
    this.#conversation = new ConversationView(session);
    this.#composer = new Composer(session);
    this.#members = new MembersDialog(session, () => this.#toList());
    new StartDialog(session.model, (whom) => session.openThread(whom), choose);
    new MeDialog(session, () => this.#signOut());
    new PasswordDialog(session);
    new ConnectionView(session, announce);
    this.#listen();
  }

  #listen() {
    const session = this.#session;
    const read = makeReader(this.#model);
    this.#model.addEventListener("change", () => this.#show());
    session.addEventListener("heard", ({ detail }) => read(detail));
    session.addEventListener("notice", ({ detail }) => notice(detail));
    session.addEventListener("state", ({ detail }) => this.#connected(detail));
    at("back").addEventListener("click", () => this.#goBack());
    document.addEventListener("keydown", (event) => this.#key(event));
    window.addEventListener("popstate", () => narrow.matches && this.#toList());
    for (const type of ["focus", "blur"]) window.addEventListener(type, () => this.#attend());
    document.addEventListener("visibilitychange", () => this.#attend());
    window.addEventListener("beforeunload", (event) => this.#model.unsent && event.preventDefault());
    window.addEventListener("hashchange", () => this.#brought());
    window.addEventListener("pagehide", () => session.keep({ withView: true }));
    document.addEventListener("visibilitychange", () => document.hidden && session.keep({ withView: true }));
    this.#tick();
  }

  #show() {
    const { unread, open } = this.#model;
    this.#sidebar.show();
    this.#conversation.show();
    this.#composer.show(open);
    if (at("members-dialog").open) this.#members.show();
    const title = open ? `${this.#model.titleOf(open)} – Chat` : "Chat";
    document.title = unread ? `(${unread}) ${title}` : title;
  }

  // Today is yesterday after midnight. Who came and went is not told on the feed, and who writes has to see who reads.
  #tick() {
    let day = dayOf(Date.now());
    setInterval(() => {
      if (day !== dayOf(Date.now())) this.#model.changed();
      day = dayOf(Date.now());
      const isOnShow = this.#model.open && document.visibilityState === "visible";
      if (isOnShow || this.#session.isBehind) this.#session.refresh();
    }, TICK_MS);
  }

  #attend() {
    const { attended } = this.#model;
    this.#model.attend(document.visibilityState === "visible" && document.hasFocus());
    if (this.#model.attended && !attended) this.#session.refresh();
  }

  // Somebody opened a link with a token in a page that has somebody in it.
  #brought() {
    const brought = tokenInAddress();
    if (!brought || !wants(brought, this.#model.me)) return;
    this.#session.giveWay({ token: brought.token, user: brought.user, isSaid: true });
    location.reload();
  }

  #connected({ mode }) {
    if (mode === "live" || mode === "polling") this.#conversation.recover();
  }

  // --- going about

  async begin(openId) {
    at("door").hidden = true;
    at("app").hidden = false;
    const thread = this.#model.threads.get(openId);
    this.#attend();
    if (thread) this.#open(thread);
    else at("start").focus();
    this.#show();
    await attempt(() => this.#session.start());
  }

  #open(thread) {
    const isOther = thread !== this.#model.open;
    this.#model.show(thread);
    if (narrow.matches && at("app").dataset.pane === "list") history.pushState({ pane: "talk" }, "");
    at("app").dataset.pane = "talk";
    this.#show();
    if (!thread.gone) this.#focusTalk();
    if (isOther && thread.known) this.#session.refresh();
  }

  // Who is in a thread has to be known to whom opens it; with a token only that needs the password.
  async #choose(thread) {
    this.#open(thread);
    if (!thread.known) await attempt(() => this.#session.askThreads());
  }

  // On a phone the keyboard would cover half of what is to be read.
  #focusTalk() {
    if (matchMedia("(pointer: coarse)").matches) at("title").focus({ preventScroll: true });
    else this.#composer.focus();
  }

  async #meet(id) {
    await this.#choose(this.#model.threadWith(id) ?? (await this.#session.openThread({ user: [id] })));
  }

  #goBack() {
    if (history.state?.pane === "talk") history.back();
    else this.#toList();
  }

  #toList() {
    at("app").dataset.pane = "list";
    this.#model.show(null);
    this.#show();
    this.#sidebar.focusCurrent();
  }

  #key(event) {
    if (event.key !== "Escape" || event.defaultPrevented || document.querySelector("dialog[open]")) return;
    if (!at("talk").contains(document.activeElement)) return;
    if (narrow.matches) this.#goBack();
    else this.#sidebar.focusCurrent();
  }

  async #signOut() {
    const { unsent } = this.#model;
    const words = `${plural(unsent, "message was", "messages were")} not sent and would be lost. Sign out?`;
    if (unsent && !confirm(words)) return;
    at("me-dialog").close();
    await this.#session.signOut();
    leave();
  }
}

// Everything is forgotten by loading the page anew. Nothing is kept of it on the way out: the session is over.
function leave() {
  keepSession({ hasLeft: true });
  location.reload();
}

// --- the beginning

// Whether a link that brings another sign-in is to be followed. Anybody can make such a link, so who is in is asked.
function wants({ user }, me) {
  const others = user ? `the one of “${user}”, as the link says` : "somebody’s";
  const here = me ? ` as “${me}”` : "";
  return confirm(`You are signed in here${here}. This link brings another sign-in, ${others}. Use that instead?`);
}

// Who comes: by a token in the address, by what a reload left, or through the door.
async function access() {
  const brought = tokenInAddress();
  const kept = recallSession();
  forgetSession();
  if (brought && (!kept?.token || wants(brought, kept.user)))
    return { given: { token: brought.token }, user: brought.user, isSaid: true };
  if (kept?.token) return { ...kept, given: kept };
  const means = await comeIn({ hasLeft: Boolean(kept?.hasLeft) });
  const user = (await whoAmI(means)) ?? means.user;
  const isBack = means.credentials && kept?.user === user;
  return { ...means, user, ...(isBack && { view: kept.view, cursor: kept.cursor }) };
}

const [means] = await Promise.all([access(), loadPurifier()]);
const session = new Session(means);
session.keep({ withView: Boolean(means.view) });
await new Page(session).begin(means.view?.open);
