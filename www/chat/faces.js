// SPDX-License-Identifier: MIT
// Pictures of people and threads: initials in a colour that each always has, with a dot that tells how they are.
import { icon, make } from "./dom.js";
import { hueOf, initialsOf, presenceWord } from "./words.js";

// A person's, or `room` for one with a sign instead of letters. Says nothing to those who hear the page.
export function makeFace() {
  return make("span", { class: "face", "aria-hidden": "true" });
}

export function setFace(face, { id, name, presence, sign }) {
  face.style.setProperty("--hue", hueOf(id));
  if (sign) face.dataset.sign = sign;
  else delete face.dataset.sign;
  if (face.dataset.of !== `${sign ?? ""} ${name}`) {
    face.dataset.of = `${sign ?? ""} ${name}`;
    face.dataset.letters = sign === "people" ? "" : sign === "room" ? "#" : initialsOf(name);
    face.replaceChildren(...(sign === "people" ? [icon("people")] : []));
  }
  setDot(face, presence);
}

// `presence` undefined: no dot.
function setDot(face, presence) {
  const dot = face.querySelector(".dot");
  if (presence === undefined) return dot?.remove();
  const mine = dot ?? face.appendChild(make("span", { class: "dot" }));
  mine.dataset.show = presence?.available ? presence.show : "none";
}

export function setThreadFace(face, model, thread) {
  const partner = model.partnerIn(thread);
  if (partner) {
    const presence = model.people.get(partner.id) ?? null;
    return setFace(face, { id: partner.id, name: model.nameOf(partner), presence });
  }
  setFace(face, { id: thread.room ?? thread.id, name: model.titleOf(thread), sign: thread.room ? "room" : "people" });
}

// A row of a list that is a button: face, name, a second line, and what stands at the right.
export function makeRow(onclick) {
  const name = make("span", { class: "name" });
  const aside = make("span", { class: "aside" });
  const line = make("span", { class: "line" });
  const badge = make("span", { class: "badge" });
  const first = make("span", { class: "first" }, name, " ", aside);
  const second = make("span", { class: "second" }, line, " ", badge);
  const two = make("span", { class: "two" }, first, " ", second);
  return make("li", {}, make("button", { type: "button", onclick }, makeFace(), two));
}

export function partsOf(row) {
  const parts = ["face", "name", "aside", "line", "badge"].map((name) => [name, row.querySelector(`.${name}`)]);
  return { button: row.querySelector("button"), ...Object.fromEntries(parts) };
}

// What a screen reader says of a person: what is to be seen, and how they are where a dot shows it.
export function personLabel(model, person) {
  const presence = model.people.get(person.id);
  return [model.nameOf(person), presence?.status, presenceWord(presence)].filter(Boolean).join(", ");
}
