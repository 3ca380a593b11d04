// SPDX-License-Identifier: MIT
// The left side: oneself, the conversations, the people.
import { at, List, make, setText, walkWithArrows } from "./dom.js";
import { makeFace, makeRow, partsOf, personLabel, setFace, setThreadFace } from "./faces.js";
import { gist } from "./html.js";
import { briefTime, plural, presenceWord } from "./words.js";

export class Sidebar {
  #model;
  #threads;
  #people;

  // `choose(thread)` and `meet(person)` are what clicks do.
  constructor(model, { choose, meet }) {
    this.#model = model;
    const fillThread = (row, thread) => this.#fillThread(row, thread);
    const fillPerson = (row, person) => this.#fillPerson(row, person);
    this.#threads = new List(at("threads"), (thread) => makeRow(() => choose(thread)), fillThread);
    this.#people = new List(at("people"), (person) => makeRow(() => meet(person.id)), fillPerson);
    walkWithArrows(at("threads"));
    walkWithArrows(at("people"));
    const face = makeFace();
    const words = make("span", { class: "two" }, make("span", { class: "name" }), " ", make("span", { class: "line" }));
    at("me").replaceChildren(face, words);
  }

  show() {
    const { threadList, peopleList } = this.#model;
    this.#threads.show(threadList);
    this.#people.show(peopleList);
    at("no-threads").hidden = !this.#model.listed || threadList.length > 0;
    at("no-people").hidden = peopleList.length > 0;
    this.#showMe();
  }

  #showMe() {
    const { me, people, isSaid } = this.#model;
    const known = people.get(me);
    const presence = known ? { ...known, available: true } : null; // here: whatever others were told a moment ago
    const name = me === null ? "You" : this.#model.nameOf({ id: me });
    const word = isSaid ? "as the link says" : presence ? presenceWord(presence) : "";
    setFace(at("me").querySelector(".face"), { id: me ?? "", name, presence });
    setText(at("me").querySelector(".name"), name);
    const status = isSaid ? "" : presence?.status; // of whom the link says
    setText(at("me").querySelector(".line"), status || word);
    at("me").setAttribute("aria-label", ["You", name, status, word].filter(Boolean).join(", "));
  }

  #fillPerson(row, person) {
    const { button, face, name, line } = partsOf(row);
    const presence = this.#model.people.get(person.id);
    setFace(face, { id: person.id, name: this.#model.nameOf(person), presence });
    setText(name, this.#model.nameOf(person));
    setText(line, presence.status || presenceWord(presence));
    button.classList.toggle("absent", !presence.available);
    button.setAttribute("aria-label", personLabel(this.#model, person));
  }

  #fillThread(row, thread) {
    const { button, face, name, aside, line, badge } = partsOf(row);
    const title = this.#model.titleOf(thread);
    const last = this.#model.lastOf(thread);
    const said = last ? this.#preview(thread, last) : "No messages yet";
    setThreadFace(face, this.#model, thread);
    setText(name, title);
    setText(aside, last ? briefTime(last.at) : "");
    setText(line, said);
    setText(badge, thread.unread ? String(Math.min(thread.unread, 99)) + (thread.unread > 99 ? "+" : "") : "");
    button.classList.toggle("unread", thread.unread > 0);
    button.setAttribute("aria-current", String(thread === this.#model.open));
    button.setAttribute("aria-label", this.#threadLabel(thread, title, said, last));
  }

  // What is to be seen, in this order, and then what a dot shows.
  #threadLabel(thread, title, said, last) {
    const partner = this.#model.partnerIn(thread);
    const how = partner && presenceWord(this.#model.people.get(partner.id));
    const unread = thread.unread > 0 && plural(thread.unread, "unread message");
    return [title, last && briefTime(last.at), said, unread, how].filter(Boolean).join(", ");
  }

  #preview(thread, { message, state }) {
    const text = gist(message);
    if (state === "refused") return `Not sent: ${text}`;
    if (state || this.#model.isMe(message.sender)) return `You: ${text}`;
    return this.#model.partnerIn(thread) ? text : `${this.#model.nameOf(message.sender)}: ${text}`;
  }

  // Where the keyboard goes when it comes back from a conversation.
  focusCurrent() {
    const current = at("threads").querySelector("[aria-current=true]") ?? at("threads").querySelector("button");
    (current ?? at("start")).focus();
  }
}
