// SPDX-License-Identifier: MIT
// Writing: Enter sends, Shift+Enter makes a line. Subject and type are there when asked for. Each thread keeps what
// was begun in it.
import { at, make } from "./dom.js";

const ROWS_PX = 220; // the field grows with the text, and then scrolls

export class Composer {
  #session;
  #form = at("compose");
  #thread = null;

  constructor(session) {
    this.#session = session;
    const { text, type, subject } = this.#form.elements;
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#send();
    });
    text.addEventListener("keydown", (event) => this.#key(event));
    text.addEventListener("input", () => this.#changed());
    for (const field of [type, subject]) field.addEventListener("input", () => this.#markExtras());
    at("extras-toggle").addEventListener("click", () => this.#toggleExtras(at("extras").hidden));
    at("extras").addEventListener("keydown", (event) => this.#extrasKey(event));
  }

  // A thread is on show, or none.
  show(thread) {
    if (thread) this.#allow(!thread.gone);
    if (thread === this.#thread) return;
    this.#thread = thread;
    this.#form.elements.text.value = thread?.draft ?? "";
    this.#form.elements.subject.value = "";
    this.#form.elements.type.value = "plain";
    this.#toggleExtras(false);
    this.#grow();
  }

  #allow(allowed) {
    const { text } = this.#form.elements;
    text.disabled = at("send").disabled = at("extras-toggle").disabled = !allowed;
    text.placeholder = allowed ? "Message" : "You are no longer in this conversation";
  }

  focus() {
    this.#form.elements.text.focus();
  }

  #send() {
    const { text, type, subject } = this.#form.elements;
    const said = text.value.trim();
    if (!said || !this.#thread || text.disabled) return;
    this.#session.send(this.#thread, { text: said, type: type.value, subject: subject.value.trim() });
    text.value = subject.value = "";
    this.#changed();
    this.#markExtras();
    text.focus();
  }

  // The Enter that ends a composition is said to be none of it by Safari, but for its code.
  #key(event) {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing || event.keyCode === 229) return;
    event.preventDefault();
    this.#form.requestSubmit();
  }

  #changed() {
    if (this.#thread) this.#thread.draft = this.#form.elements.text.value;
    this.#grow();
  }

  #grow() {
    const { text } = this.#form.elements;
    text.style.height = "auto";
    text.style.height = `${Math.min(text.scrollHeight + 2, ROWS_PX)}px`;
    text.style.overflowY = text.scrollHeight + 2 > ROWS_PX ? "auto" : "hidden";
  }

  // --- subject and type

  #toggleExtras(shown) {
    const hadFocus = at("extras").contains(document.activeElement);
    at("extras").hidden = !shown;
    at("extras-toggle").setAttribute("aria-expanded", String(shown));
    if (shown) this.#form.elements.subject.focus();
    else if (hadFocus) this.focus();
    this.#markExtras();
  }

  #extrasKey(event) {
    if (event.key === "Escape") {
      event.stopPropagation();
      this.#toggleExtras(false);
    }
    if (event.key === "Enter" && event.target.name === "subject") {
      event.preventDefault();
      this.focus();
    }
  }

  // What is set stays to be seen when it is folded away.
  #markExtras() {
    const { type, subject } = this.#form.elements;
    const isSet = type.value !== "plain" || subject.value.trim() !== "";
    const toggle = at("extras-toggle");
    toggle.classList.toggle("set", isSet);
    toggle.querySelector(".dot")?.remove();
    if (isSet) toggle.append(make("span", { class: "dot" }));
    this.#form.elements.text.classList.toggle("code", type.value !== "plain");
  }
}
