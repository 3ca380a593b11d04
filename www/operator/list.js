// SPDX-License-Identifier: MIT
// A list that the gateway sorts, filters and gives out page by page, so that it may be long. It is read anew now and
// then while it can be seen.
import { element, setAttribute, setChildren, setText } from "./dom.js";
import { count } from "./format.js";

const PAGE = 50;
const REFRESH_MS = 4000;
const PATIENCE_MS = 8000;
const TYPING_MS = 250;

// A column: `label`, `sort` (the word for the gateway, none: cannot be sorted by), `down` (shown falling first),
// `turned` (rises as the gateway's falls: an age and a time), `kind` ("number"), `fill(cell, item)`.
export class List {
  #offset = 0;
  #matching = 0;
  #timer = null;
  #asking = null; // the request under way
  #isSeen = false;
  #mayAsk = false;

  // `root` holds a table, fields by the names of parameters, and what else is looked up here. `path` answers with an
  // object whose `key` are the items; `sort` is the order to begin with, `empty` what to say where there is nothing.
  constructor(root, { path, key, columns, sort, empty }) {
    Object.assign(this, { root, path, key, columns, empty });
    [this.sorted, this.down] = [sort.replace(/^-/, ""), sort.startsWith("-")];
    this.head = root.querySelector("thead tr");
    this.body = root.querySelector("tbody");
    this.message = root.querySelector(".message");
    this.fields = [...root.querySelectorAll("input, select")];
    this.#makeHead();
    this.#listen();
  }

  #makeHead() {
    for (const column of this.columns) {
      const head = element("th", { scope: "col", class: column.kind });
      if (column.sort)
        head.append(element("button", { type: "button", text: column.label, onclick: () => this.#sortBy(column) }));
      else head.textContent = column.label;
      this.head.append(head);
    }
    this.#showOrder();
  }

  #listen() {
    let typing;
    for (const field of this.fields)
      field.addEventListener("input", () => {
        clearTimeout(typing);
        typing = setTimeout(() => this.#goTo(0), TYPING_MS);
      });
    this.root.querySelector("form").addEventListener("submit", (event) => event.preventDefault());
    this.root.querySelector(".before").addEventListener("click", () => this.#goTo(this.#offset - PAGE));
    this.root.querySelector(".after").addEventListener("click", () => this.#goTo(this.#offset + PAGE));
    new IntersectionObserver((entries) => {
      this.#isSeen = entries.at(-1).isIntersecting;
      this.#wake();
    }).observe(this.root);
  }

  // --- when to ask

  // Whether it may be read now: not while the page is hidden or paused.
  allow(mayAsk) {
    if (mayAsk === this.#mayAsk) return;
    this.#mayAsk = mayAsk;
    this.#wake();
  }

  #wake() {
    clearTimeout(this.#timer);
    if (this.#mayAsk && this.#isSeen) this.#ask();
  }

  #goTo(offset) {
    this.#offset = Math.max(0, offset);
    this.#ask();
  }

  #sortBy({ sort, down = false }) {
    this.down = this.sorted === sort ? !this.down : down;
    this.sorted = sort;
    this.#showOrder();
    this.#goTo(0);
  }

  #query() {
    const query = new URLSearchParams({
      limit: PAGE,
      offset: this.#offset,
      sort: (this.down ? "-" : "") + this.sorted,
    });
    for (const { name, value } of this.fields) if (value.trim()) query.set(name, value.trim());
    return query;
  }

  // The newest question is the one that counts.
  async #ask() {
    clearTimeout(this.#timer);
    this.#asking?.abort();
    const asking = new AbortController();
    this.#asking = asking;
    const late = setTimeout(() => asking.abort(new Error("there is no answer")), PATIENCE_MS);
    const outcome = await this.#fetch(asking.signal).catch((error) => ({ error }));
    clearTimeout(late);
    if (this.#asking !== asking) return;
    this.#asking = null;
    if (outcome.error) this.#fail(outcome.error);
    else this.#show(outcome);
    if (this.#mayAsk && this.#isSeen) this.#timer = setTimeout(() => this.#ask(), REFRESH_MS);
  }

  async #fetch(signal) {
    const response = await fetch(`${this.path}?${this.#query()}`, { cache: "no-store", signal });
    const answer = await response.json();
    if (!response.ok) throw new Error(answer.message);
    return answer;
  }

  // --- what is seen

  #fail(error) {
    setText(this.message, `This could not be read: ${error.message}`);
    this.root.classList.add("stale");
  }

  #show(answer) {
    const items = answer[this.key];
    this.root.classList.remove("stale");
    this.#matching = answer.matching;
    if (!items.length && this.#offset > 0) {
      this.#goTo(Math.floor(Math.max(0, answer.matching - 1) / PAGE) * PAGE); // the list has become shorter
      return;
    }
    setText(this.message, items.length ? "" : answer.total ? "Nothing here matches." : this.empty);
    setChildren(
      this.body,
      items,
      () => this.#makeRow(),
      (row, item) => this.#fillRow(row, item),
    );
    this.#showPlace(items.length, answer);
  }

  #makeRow() {
    return element("tr", {}, ...this.columns.map(({ kind }) => element("td", { class: kind })));
  }

  #fillRow(row, item) {
    this.columns.forEach(({ fill }, i) => fill(row.children[i], item));
  }

  #showPlace(shown, { matching, total }) {
    const range = shown
      ? `${count(this.#offset + 1)} to ${count(this.#offset + shown)} of ${count(matching)}`
      : count(matching);
    setText(this.root.querySelector(".place"), matching === total ? range : `${range}, ${count(total)} in all`);
    this.root.querySelector(".before").disabled = this.#offset === 0;
    this.root.querySelector(".after").disabled = this.#offset + shown >= matching;
  }

  #showOrder() {
    this.columns.forEach(({ sort, turned = false }, i) => {
      const order = this.down === turned ? "ascending" : "descending";
      setAttribute(this.head.children[i], "aria-sort", sort === this.sorted ? order : null);
    });
  }
}
