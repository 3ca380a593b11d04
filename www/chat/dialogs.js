// SPDX-License-Identifier: MIT
// Dialogs: starting a conversation, its members, oneself, the password. Each has a form and says in it what was
// refused.
import { at, List, make, place, setText } from "./dom.js";
import { makeFace, setFace } from "./faces.js";
import { presenceWord, troubleWords } from "./words.js";

// Buttons marked so close their dialog, and so does a click beside it.
function watchClosing(dialog) {
  for (const button of dialog.querySelectorAll("[data-close]")) button.addEventListener("click", () => dialog.close());
  dialog.addEventListener("mousedown", (event) => {
    if (event.target === dialog) dialog.close();
  });
}

// Does what a form asks for. If that went well it closes, and then, when the page can have the focus again, `finish`
// is given what came of it.
function onSubmit(dialog, action, finish = () => {}) {
  const form = dialog.querySelector("form");
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    let result;
    if (!(await attempt(dialog, async () => (result = await action(form.elements))))) return;
    dialog.close();
    finish(result);
  });
}

// Tells in the dialog what went wrong; resolves with whether nothing did. While it is under way there is no second.
async function attempt(dialog, action) {
  const refusal = dialog.querySelector(".refusal");
  setText(refusal, "");
  if (dialog.dataset.busy) return false;
  dialog.dataset.busy = "yes";
  try {
    await action();
    return true;
  } catch (error) {
    setText(refusal, troubleWords(error));
    return false;
  } finally {
    delete dialog.dataset.busy;
  }
}

function open(dialog) {
  const refusal = dialog.querySelector(".refusal");
  if (refusal) setText(refusal, "");
  if (!dialog.open) dialog.showModal();
}

const lower = (name) => name.toLocaleLowerCase();
const namesIn = (text) => text.split(",").map((name) => name.trim()).filter(Boolean);

// --- a new conversation

export class StartDialog {
  #model;
  #dialog = at("start-dialog");
  #list;
  #chosen = new Set();

  // `find({user} or {room})` resolves with a thread, and `choose(thread)` shows it.
  constructor(model, find, choose) {
    this.#model = model;
    const create = (person) => this.#makeChoice(person);
    this.#list = new List(at("start-people"), create, (row, person) => this.#fill(row, person));
    const { whom } = this.#dialog.querySelector("form").elements;
    whom.addEventListener("input", () => this.#show());
    watchClosing(this.#dialog);
    onSubmit(this.#dialog, (fields) => find(this.#wanted(fields.whom.value.trim())), choose);
    at("start").addEventListener("click", () => {
      whom.value = "";
      this.#chosen.clear();
      this.#show();
      open(this.#dialog);
      whom.focus();
    });
  }

  // What is written matches names; whoever is chosen stays in the list.
  #show() {
    const { whom } = this.#dialog.querySelector("form").elements;
    const isRoom = whom.value.trim().startsWith("#");
    const part = namesIn(whom.value).at(-1) ?? "";
    const isShown = (person) => this.#chosen.has(person.id) || this.#fits(person, part);
    const people = this.#model.peopleList.filter(isShown);
    this.#dialog.querySelector("fieldset").hidden = isRoom || people.length === 0;
    this.#list.show(people);
    setText(this.#dialog.querySelector(".actions .primary"), isRoom ? "Enter room" : "Start");
  }

  #fits(person, part) {
    return lower(`${person.id} ${this.#model.nameOf(person)}`).includes(lower(part));
  }

  #makeChoice(person) {
    const box = make("input", { type: "checkbox" });
    box.addEventListener("change", () => {
      if (box.checked) this.#chosen.add(person.id);
      else this.#chosen.delete(person.id);
    });
    const words = [make("span", { class: "name" }), make("small", { class: "faint" })];
    return make("li", {}, make("label", {}, box, makeFace(), ...words));
  }

  #fill(row, person) {
    const name = this.#model.nameOf(person);
    setFace(row.querySelector(".face"), { id: person.id, name, presence: person });
    setText(row.querySelector(".name"), name);
    setText(row.querySelector("small"), presenceWord(person));
    row.querySelector("input").checked = this.#chosen.has(person.id);
  }

  // What is written are names, and one where it is somebody's id: that may have a comma in it. Beside what was chosen
  // in the list it may also be what the list was searched with.
  #wanted(text) {
    if (text.startsWith("#")) return { room: text.slice(1).trim() };
    const names = this.#model.people.has(text) ? [text] : namesIn(text);
    const users = new Set([...this.#chosen, ...names.flatMap((name) => this.#idsOf(name, names.length === 1))]);
    if (!users.size) throw new Error("Choose somebody, or write a name or a #room.");
    return { user: [...users] };
  }

  // Who is meant by a name: who has it as id, else the one whom people see by it; any other is taken for an id, about
  // which the server knows. Nobody: it was there to search with.
  #idsOf(name, maySearch) {
    const { people, peopleList } = this.#model;
    if (people.has(name)) return [name];
    const called = peopleList.filter((person) => lower(this.#model.nameOf(person)) === lower(name));
    if (called.length === 1) return [called[0].id];
    if (called.some(({ id }) => this.#chosen.has(id))) return [];
    const ids = called.map(({ id }) => id).join(", ");
    if (ids) throw new Error(`There are several called “${name}”: ${ids}. Choose in the list, or write which.`);
    const isSearch = maySearch && this.#chosen.size > 0 && peopleList.some((person) => this.#fits(person, name));
    return isSearch ? [] : [name];
  }
}

// --- members

export class MembersDialog {
  #session;
  #dialog = at("members-dialog");
  #list;

  // `left()` is called when one has left.
  constructor(session, left) {
    this.#session = session;
    this.#list = new List(at("members"), () => this.#makeMember(), (row, member) => this.#fill(row, member));
    watchClosing(this.#dialog);
    const form = this.#dialog.querySelector("form");
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#add(form.elements.whom);
    });
    at("leave").addEventListener("click", async () => {
      const { model } = session;
      if (!(await attempt(this.#dialog, () => session.removeMember(model.open, model.me)))) return;
      this.#dialog.close();
      left();
    });
    at("members-open").addEventListener("click", () => {
      this.show();
      open(this.#dialog);
      session.refresh(); // who came and went is not told on the feed
    });
  }

  show() {
    const { model } = this.#session;
    const thread = model.open;
    if (!thread) return this.#dialog.open && this.#dialog.close();
    const mayAdd = model.isOwner(thread) || !thread.members.some((member) => model.isMe(member));
    at("add-row").hidden = !mayAdd;
    at("leave").hidden = model.me === null;
    this.#list.show([...thread.members].sort((a, b) => model.compareNames(a, b)));
    const absent = model.peopleList.filter((person) => !thread.members.some((member) => member.id === person.id));
    place(at("add-names"), []);
    at("add-names").append(...absent.map((person) => make("option", { value: person.id }, model.nameOf(person))));
  }

  #add(field) {
    const name = field.value.trim();
    if (!name) return field.focus();
    attempt(this.#dialog, async () => {
      await this.#session.addMember(this.#session.model.open, name);
      field.value = "";
      field.focus();
    });
  }

  #makeMember() {
    const words = make("span", { class: "two" }, make("span", { class: "name" }), make("small", { class: "faint" }));
    return make("li", {}, makeFace(), words, make("button", { type: "button", class: "quiet" }, "Remove"));
  }

  #fill(row, member) {
    const { model } = this.#session;
    const name = model.nameOf(member);
    const presence = model.people.get(member.id) ?? null;
    const role = member.role === "owner" ? "owner" : "";
    setFace(row.querySelector(".face"), { id: member.id, name, presence });
    setText(row.querySelector(".name"), model.isMe(member) ? `${name} (you)` : name);
    setText(row.querySelector("small"), [presenceWord(presence), role].filter(Boolean).join(" · "));
    const button = row.querySelector("button");
    button.hidden = model.isMe(member) || !model.isOwner(model.open);
    button.setAttribute("aria-label", `Remove ${name}`);
    button.onclick = () => attempt(this.#dialog, () => this.#session.removeMember(model.open, member.id));
  }
}

// --- oneself

export class MeDialog {
  #session;
  #dialog = at("me-dialog");

  constructor(session, signOut) {
    this.#session = session;
    watchClosing(this.#dialog);
    onSubmit(this.#dialog, ({ show, status }) =>
      session.setPresence({ show: show.value || "chat", status: status.value.trim() }),
    );
    at("sign-out").addEventListener("click", signOut);
    at("me").addEventListener("click", () => {
      const { me, people } = session.model;
      const { show, status } = this.#dialog.querySelector("form").elements;
      show.value = people.get(me)?.show ?? "chat";
      status.value = people.get(me)?.status ?? "";
      setText(at("me-title"), me === null ? "You" : session.model.nameOf({ id: me }));
      open(this.#dialog);
    });
  }
}

// --- the password

export class PasswordDialog {
  #dialog = at("password-dialog");

  constructor(session) {
    const { name, password } = this.#dialog.querySelector("form").elements;
    watchClosing(this.#dialog);
    onSubmit(this.#dialog, () => session.proceed(name.value.trim(), password.value));
    this.#dialog.addEventListener("close", () => {
      password.value = "";
      session.giveUp(); // nothing, if it went well
    });
    session.addEventListener("password", ({ detail }) => {
      setText(at("password-why"), detail.why);
      name.value = detail.user ?? "";
      name.readOnly = detail.user !== null;
      open(this.#dialog);
      (name.readOnly ? password : name).focus();
    });
  }
}
