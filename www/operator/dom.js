// SPDX-License-Identifier: MIT
// Making and changing elements. Text is always text.

export const byId = (id) => document.getElementById(id);

// `attributes` may hold `text`, and handlers as `onclick`.
export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "text") made.textContent = value;
    else if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value !== null && value !== undefined) made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}

// Only what differs is touched, so that what a person has selected stays selected.
export function setText(target, text) {
  if (target.textContent !== text) target.textContent = text;
}

export function setAttribute(target, name, value) {
  if (value === null) target.removeAttribute(name);
  else if (target.getAttribute(name) !== String(value)) target.setAttribute(name, value);
}

// A number: what a person reads, and the exact one beside it.
export function setFigure(target, value, text) {
  setText(target, text);
  setAttribute(target, "value", value ?? "");
}

// Makes `parent` have one child for each item: those it has are used again.
export function setChildren(parent, items, make, update) {
  while (parent.children.length > items.length) parent.lastElementChild.remove();
  items.forEach((item, i) => {
    if (i >= parent.children.length) parent.append(make(item));
    update(parent.children[i], item);
  });
}
