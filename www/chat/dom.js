// SPDX-License-Identifier: MIT
// Elements: made, found, and kept in step with lists. Text only ever becomes text.

const SVG = "http://www.w3.org/2000/svg";

export const at = (id) => document.getElementById(id);

// Makes an element. Attributes that are functions are listeners (`onclick`), true is an empty attribute, and false,
// null and undefined are left out, as are such children.
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name.slice(2), value);
    else if (value !== false && value != null) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== false && child != null));
  return element;
}

// An icon of the page's sprite, which says nothing to those who hear the page.
export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("class", "i");
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS(SVG, "use");
  use.setAttribute("href", `#i-${name}`);
  svg.append(use);
  return svg;
}

export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

// Puts `nodes` into `parent` in this order, moving only what is not in its place: what stays keeps focus and position.
export function place(parent, nodes) {
  const wanted = new Set(nodes);
  for (const child of [...parent.children]) if (!wanted.has(child)) child.remove();
  let next = parent.firstElementChild;
  for (const node of nodes) {
    if (node === next) next = next.nextElementSibling;
    else parent.insertBefore(node, next);
  }
}

// A list on the page: one element per item, made once per key and brought up to date.
export class List {
  #parent;
  #create;
  #update;
  #rows = new Map();

  // `create(item)` makes an element, `update(element, item)` fills it.
  constructor(parent, create, update) {
    this.#parent = parent;
    this.#create = create;
    this.#update = update;
  }

  show(items, keyOf = (item) => item.id) {
    const rows = new Map();
    for (const item of items) {
      const key = keyOf(item);
      const row = this.#rows.get(key) ?? this.#create(item);
      this.#update(row, item);
      rows.set(key, row);
    }
    this.#rows = rows;
    place(this.#parent, [...rows.values()]);
  }
}

// Up and Down, Home and End go through the buttons of a list.
export function walkWithArrows(list) {
  list.addEventListener("keydown", (event) => {
    const buttons = [...list.querySelectorAll("button")];
    const here = buttons.indexOf(document.activeElement);
    const to = { ArrowDown: here + 1, ArrowUp: here - 1, Home: 0, End: buttons.length - 1 }[event.key];
    if (here < 0 || to === undefined) return;
    event.preventDefault();
    buttons[Math.max(0, Math.min(to, buttons.length - 1))].focus();
  });
}

// Calls `action` once after all that happens in this turn, however often it is asked for; in hidden tabs too, where
// there are no frames.
export function gathered(action) {
  let isDue = false;
  return () => {
    if (isDue) return;
    isDue = true;
    queueMicrotask(() => {
      isDue = false;
      action();
    });
  };
}
