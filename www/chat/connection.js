// SPDX-License-Identifier: MIT
// The state of the connection: a quiet pill, a line above the composer when it matters, and a dialog that tells all.
import { at, make, setText } from "./dom.js";
import { modeWord, stateSentence, stateWord, verdictWords, WAYS } from "./words.js";

const SETTLE_MS = 1500; // a change that lasts is told to those who listen

export class ConnectionView {
  #session;
  #announce;
  #told = "";
  #timer;
  #clock;
  #examined = false;

  constructor(session, announce) {
    this.#session = session;
    this.#announce = announce;
    for (const id of ["state", "state-dot"]) at(id).addEventListener("click", () => this.#openDialog());
    at("examine").addEventListener("click", () => this.#examine());
    at("state-dialog").addEventListener("close", () => clearInterval(this.#clock));
    session.addEventListener("state", () => this.show());
    this.show();
  }

  show() {
    const { state } = this.#session.chat;
    const word = stateWord(state);
    for (const id of ["state", "state-dot"]) {
      const { dataset } = at(id);
      Object.assign(dataset, { mode: state.mode, way: state.way ?? "", unsent: state.unsent, leads: state.leads });
    }
    if (at("state").dataset.word !== word) at("state").replaceChildren(make("span", { class: "lamp" }), word);
    at("state").dataset.word = word;
    at("state").setAttribute("aria-label", `Connection: ${word}`);
    at("state-dot").setAttribute("aria-label", `Connection: ${word}`);
    if (!at("state-dot").firstChild) at("state-dot").append(make("span", { class: "lamp" }));
    this.#showStrip(state);
    if (at("state-dialog").open) this.#showFacts();
    this.#tellLater(word);
  }

  #showStrip(state) {
    const { mode, unsent } = state;
    const matters = mode === "offline" || mode === "refused" || (mode === "catching_up" && unsent > 0);
    at("strip").hidden = !matters;
    if (matters) setText(at("strip"), stateSentence({ ...state, retryAt: null }));
  }

  // Not each flicker: what is still so after a moment.
  #tellLater(word) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      if (this.#told && this.#told !== word) this.#announce(`Connection: ${word}`);
      this.#told = word;
    }, SETTLE_MS);
  }

  // --- the dialog

  #openDialog() {
    if (this.#session.chat.state.mode === "refused") return this.#session.signInAgain();
    this.#showFacts();
    this.#clock = setInterval(() => this.#showFacts(), 1000);
    if (!this.#examined) {
      const words = "An examination tells whether streams pass, or what holds them back. It takes a few seconds.";
      at("doctor").replaceChildren(make("p", { class: "faint" }, words));
    }
    at("state-dialog").showModal();
    if (["polling", "offline"].includes(this.#session.chat.state.mode)) this.#examine();
  }

  #showFacts() {
    const { state } = this.#session.chat;
    const tabs = state.leads ? "This tab holds the connection for all tabs" : "Another tab holds the connection";
    const facts = [
      ["State", `${modeWord(state.mode)}. ${stateSentence(state)}`],
      ["Way", state.way && WAYS[state.way]],
      ["Tabs", ["live", "polling"].includes(state.mode) && tabs],
      ["Last trouble", state.error && state.error.word !== "network" && state.error.message],
    ].filter(([, value]) => value);
    const wanted = JSON.stringify(facts);
    if (at("state-facts").dataset.shown === wanted) return;
    at("state-facts").dataset.shown = wanted;
    const pairs = facts.flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, value)]);
    at("state-facts").replaceChildren(...pairs);
  }

  async #examine() {
    at("examine").disabled = true;
    at("doctor").replaceChildren(make("p", {}, "Examining…"));
    at("marks").replaceChildren();
    try {
      const onMark = () => at("marks").append(make("span", { class: "mark" }));
      this.#showVerdict(await this.#session.chat.diagnose({ onMark }));
    } catch (error) {
      at("doctor").replaceChildren(make("p", {}, `The examination failed: ${error.message}`));
    }
    at("examine").disabled = false;
    setText(at("examine"), "Examine again");
  }

  #showVerdict(verdict) {
    this.#examined = true;
    const { words, todo } = verdictWords(verdict, this.#session.chat.state.way);
    at("doctor").dataset.verdict = verdict.verdict;
    at("doctor").replaceChildren(make("p", { class: "verdict" }, words));
    if (todo) at("doctor").append(make("p", { class: "faint" }, todo));
  }
}
