// SPDX-License-Identifier: MIT
// The conversation on show: its head, and its messages with day marks.
//
// The view's place is kept by hand. At the end it stays at the end; anywhere else the first message in sight stays
// where it is, whatever comes before or after it. (The browser's own anchoring is switched off, it would correct a
// second time.) A page of history is asked for when there is less than a screen of it left above.
import { at, make, place, setText } from "./dom.js";
import { makeBody } from "./body.js";
import { makeFace, setFace, setThreadFace } from "./faces.js";
import { gist } from "./html.js";
import { clockOf, dayName, fullTime, hueOf, isoDay, joinNames, plural, presenceWord, troubleWords } from "./words.js";

const FATES = { waiting: "waits to be sent", refused: "not sent" };
const GROUP_MS = 5 * 60_000; // messages of one sender so close together stand together
const NEAR_END = 48; // px: still at the end
const MOST = 300; // messages that stay at the end; half as many more may gather
const AHEAD = 600; // px above, at which the next page is asked for

export class ConversationView {
  #session;
  #model;
  #shown = null; // thread
  #version; // of what is shown
  #rows = new Map(); // by key: {node, signature}
  #top = 0; // where the scroller was when it was last looked at
  #atEnd = true;
  #seen; // id of the last message when the end was in sight
  #count = 0; // of the outbox: what is sent is to be seen
  #trouble = ""; // why history could not be had

  constructor(session) {
    this.#session = session;
    this.#model = session.model;
    const scroller = at("scroller");
    scroller.addEventListener("scroll", () => this.#scrolled(), { passive: true });
    new ResizeObserver(() => this.#atEnd && this.#toEnd()).observe(scroller);
    at("earlier-button").addEventListener("click", () => this.#loadEarlier(true));
    at("to-end").addEventListener("click", () => {
      this.#toEnd();
      at("compose").elements.text.focus();
    });
  }

  show() {
    const thread = this.#model.open;
    at("nothing").hidden = thread !== null;
    at("conversation").hidden = thread === null;
    if (thread === null) return this.#leave();
    this.#showHead(thread);
    this.#showLog(thread);
  }

  #leave() {
    this.#shown = null;
    this.#rows.clear();
    at("log").replaceChildren();
  }

  #showHead(thread) {
    const model = this.#model;
    const face = at("title-avatar").firstChild ?? at("title-avatar").appendChild(makeFace());
    setThreadFace(face, model, thread);
    setText(at("title"), model.titleOf(thread));
    setText(at("subtitle"), this.#subtitleOf(thread));
    at("members-open").setAttribute("aria-label", thread.known ? `Members: ${thread.members.length}` : "Members");
  }

  #subtitleOf(thread) {
    const model = this.#model;
    const partner = model.partnerIn(thread);
    if (partner) {
      const presence = model.people.get(partner.id);
      return [presenceWord(presence), presence?.status].filter(Boolean).join(" · ");
    }
    if (!thread.known) return "Who else is here is not known";
    const names = model.othersIn(thread).map((member) => model.nameOf(member));
    return `${plural(thread.members.length, "member")}${names.length ? ` · ${joinNames(names)}` : ""}`;
  }

  // --- messages

  #showLog(thread) {
    const isOther = thread !== this.#shown;
    this.#look();
    if (!isOther && this.#atEnd && thread.log.length > 1.5 * MOST) this.#model.cutOpen(MOST);
    const version = `${this.#model.version} ${thread.version}`;
    if (!isOther && version === this.#version) return;
    this.#version = version;
    if (isOther) this.#turnTo(thread);
    const anchor = isOther || this.#atEnd ? null : this.#anchor();
    const own = thread.outbox.length;
    place(at("log"), this.#rowsOf(thread));
    this.#showEarlier(thread);
    if (isOther) this.#toStart(thread);
    else if (this.#atEnd || own > this.#count) this.#toEnd();
    else this.#backTo(anchor);
    this.#count = own;
    this.#showJump(thread);
    if (isOther || thread.before !== undefined) this.#fill(thread);
  }

  #turnTo(thread) {
    this.#shown = thread;
    this.#rows.clear();
    at("log").replaceChildren();
    this.#atEnd = true;
    this.#count = thread.outbox.length;
    this.#seen = thread.log.at(-1)?.id;
    this.#trouble = "";
  }

  // Rows are made anew only when they would look otherwise.
  #rowsOf(thread) {
    const rows = new Map();
    const put = (key, signature, create) => {
      const old = this.#rows.get(key);
      rows.set(key, old?.signature === signature ? old : { node: create(), signature });
    };
    let before = null;
    const entries = [...thread.log, ...thread.outbox.filter((entry) => !thread.ids.has(entry.id))];
    entries.forEach((entry, index) => {
      const { day } = entry;
      const isNewDay = before?.day !== day;
      if (isNewDay) put(`day ${day}`, dayName(entry.at), () => this.#makeDay(entry.at));
      const isNew = entry.id === thread.newFrom;
      if (isNew) put("new", "", () => make("p", { class: "new-mark" }, make("span", {}, "New")));
      const starts = isNewDay || isNew || !this.#belongs(before, entry);
      const next = entries[index + 1];
      const ends = next?.day !== day || next.id === thread.newFrom || !this.#belongs(entry, next);
      const signature = [entry.state, entry.reason, starts, ends, this.#nameOf(entry)].join("\n");
      put(entry.id, signature, () => this.#makeMessage(entry, starts, ends));
      before = entry;
    });
    if (!entries.length && thread.before === null) put("empty", "", () => this.#makeEmpty(thread));
    this.#rows = rows;
    return Array.from(rows.values(), ({ node }) => node);
  }

  #belongs(before, entry) {
    const isSame = this.#isMine(before) === this.#isMine(entry) && before.message.sender.id === entry.message.sender.id;
    return isSame && Math.abs(entry.at - before.at) < GROUP_MS;
  }

  #isMine(entry) {
    return Boolean(entry.state) || this.#model.isMe(entry.message.sender);
  }

  #nameOf(entry) {
    return this.#isMine(entry) ? "You" : this.#model.nameOf(entry.message.sender);
  }

  #makeDay(at) {
    return make("h3", { class: "day" }, make("time", { datetime: isoDay(at) }, dayName(at)));
  }

  #makeEmpty(thread) {
    const partner = this.#model.partnerIn(thread);
    const name = partner && this.#model.nameOf(partner);
    const words = name ? `This is the beginning, with ${name}.` : "Nothing has been said here yet.";
    return make("p", { class: "empty" }, words);
  }

  #makeMessage(entry, starts, ends) {
    const { message } = entry;
    const mine = this.#isMine(entry);
    const name = this.#nameOf(entry);
    const time = clockOf(entry.at);
    const classes = ["message", mine && "mine", starts && "starts", ends && "ends", entry.state];
    const label = [name, time, FATES[entry.state]];
    const join = (parts, between) => parts.filter(Boolean).join(between);
    return make(
      "article",
      { class: join(classes, " "), "data-id": entry.id, "aria-label": join(label, ", ") },
      !mine && ends && this.#faceOf(message.sender),
      starts && this.#byline(message.sender, name, mine, entry.at, time),
      make("div", { class: "bubble", title: starts ? null : fullTime(entry.at) }, makeBody(message)),
      this.#fateOf(entry),
    );
  }

  #faceOf(sender) {
    const face = makeFace();
    setFace(face, { id: sender.id, name: this.#model.nameOf(sender) });
    return face;
  }

  #byline(sender, name, mine, sentAt, time) {
    const who = make("span", { class: mine ? "unseen" : "name", dir: "auto" }, name);
    who.style.setProperty("--hue", hueOf(sender.id));
    const when = make("time", { datetime: new Date(sentAt).toISOString(), title: fullTime(sentAt) }, time);
    return make("p", { class: "by" }, who, when);
  }

  #fateOf(entry) {
    if (entry.state === "waiting") return make("p", { class: "fate" }, "Waiting to be sent");
    if (entry.state !== "refused") return null;
    const thread = this.#shown;
    const what = gist(entry.message).slice(0, 40);
    const button = (label, onclick) =>
      make("button", { type: "button", class: "link", onclick, "aria-label": `${label}: ${what}` }, label);
    return make(
      "p",
      { class: "fate refusal" },
      make("span", {}, `Not sent: ${entry.reason}`),
      button("Try again", () => this.#session.retry(entry)),
      button("Discard", () => this.#model.discard(thread, entry)),
    );
  }

  // --- the place

  #scrolled() {
    if (!this.#shown) return;
    this.#look();
    this.#showJump(this.#shown);
    if (this.#top < AHEAD) this.#loadEarlier(false);
  }

  // Also before anything is changed: the event of a scroll comes with the next frame only.
  #look() {
    const { scrollHeight, scrollTop, clientHeight } = at("scroller");
    if (scrollTop !== this.#top) this.#atEnd = scrollHeight - scrollTop - clientHeight < NEAR_END;
    this.#top = scrollTop;
  }

  // The first row in sight and where it is.
  #anchor() {
    const rows = at("log").children;
    const top = at("scroller").getBoundingClientRect().top;
    let [low, high] = [0, rows.length - 1];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (rows[middle].getBoundingClientRect().bottom > top) high = middle;
      else low = middle + 1;
    }
    const node = rows[low];
    const key = node && [...this.#rows].find(([, row]) => row.node === node)?.[0];
    return key && { key, top: node.getBoundingClientRect().top };
  }

  #backTo(anchor) {
    const node = anchor && this.#rows.get(anchor.key)?.node;
    if (node) at("scroller").scrollTop += node.getBoundingClientRect().top - anchor.top;
  }

  #toEnd() {
    at("scroller").scrollTop = at("scroller").scrollHeight;
    this.#top = at("scroller").scrollTop;
    this.#atEnd = true;
    if (this.#shown) this.#showJump(this.#shown);
  }

  // Where somebody begins to read: at what is new, else at the end.
  #toStart(thread) {
    const mark = thread.newFrom && this.#rows.get("new")?.node;
    this.#toEnd();
    if (!mark) return;
    const above = at("scroller").getBoundingClientRect().top + 24 - mark.getBoundingClientRect().top;
    if (above > 0) at("scroller").scrollTop -= above;
    this.#scrolled();
  }

  #showJump(thread) {
    if (this.#atEnd) this.#seen = thread.log.at(-1)?.id;
    const seen = thread.log.findLastIndex((entry) => entry.id === this.#seen);
    const words = seen >= 0 && seen < thread.log.length - 1 ? plural(thread.log.length - 1 - seen, "new message") : "";
    const button = at("to-end");
    button.hidden = this.#atEnd;
    setText(button.querySelector("span"), words);
    button.setAttribute("aria-label", `Go to ${words || "the newest message"}`);
  }

  // --- history

  #showEarlier(thread) {
    const isThere = thread.before !== null;
    at("earlier").hidden = !isThere;
    at("earlier-button").hidden = !isThere;
    setText(at("earlier-words"), this.#trouble);
  }

  // Before there is anything to scroll nobody can ask by scrolling.
  #fill(thread) {
    const { scrollHeight, clientHeight } = at("scroller");
    if (thread.before === undefined || scrollHeight <= clientHeight + AHEAD) this.#loadEarlier(false);
  }

  // `asked`: by a click, and then it may need a password.
  async #loadEarlier(asked) {
    const thread = this.#shown;
    if (!thread || thread.before === null || (this.#trouble && !asked) || (!this.#session.full && !asked)) return;
    try {
      await (asked ? this.#session.askHistory(thread) : this.#session.loadHistory(thread));
      this.#trouble = "";
    } catch (error) {
      this.#trouble = `Earlier messages cannot be had now: ${troubleWords(error)}`;
    }
    if (thread === this.#shown) this.#showEarlier(thread);
  }

  // When there may be an answer again.
  recover() {
    if (!this.#trouble) return;
    this.#trouble = "";
    if (this.#shown) this.#fill(this.#shown);
  }
}
