// SPDX-License-Identifier: MIT
// The way in: asks the gateway what it wants to know, and asks the user for that.
import { issueToken, basic, knock } from "./access.js";
import { at, setText } from "./dom.js";

const LEFT = "You have signed out here. The network still knows who you are.";
const SILENT = "The server cannot be reached. Look whether you are online.";

function closedWords({ status, asks }) {
  if (status === 401 && asks)
    return (
      `This server wants a login of the kind “${asks}”, which this page cannot give. ` +
      "Come from the application that this chat belongs to."
    );
  if (status === 401)
    return "This server lets in those whom an application or a proxy has signed in. Sign in there, and try again.";
  const what = status || "something else";
  return `The server answers ${what} here. Perhaps another page wants to be seen first: load this one again.`;
}

function offerForm(resolve) {
  const form = at("sign-in");
  form.hidden = false;
  setText(at("door-words"), "Sign in to talk with the others here.");
  form.elements.name.focus();
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const user = form.elements.name.value.trim();
    const login = basic(user, form.elements.password.value);
    const button = form.querySelector("button");
    setText(at("door-refusal"), "");
    button.disabled = true;
    try {
      resolve({ user, login, given: await issueToken(login) });
      form.reset();
    } catch (error) {
      setText(at("door-refusal"), error.message);
      form.elements.password.select();
    }
    button.disabled = false;
  });
}

// A button that begins anew.
function offerButton(words, label) {
  setText(at("door-words"), words);
  setText(at("knock"), label);
  at("knock").hidden = false;
  return new Promise((done) => at("knock").addEventListener("click", done, { once: true }));
}

// Resolves with what a Session wants to know once somebody may come in. `hasLeft`: they have just signed out.
export async function comeIn({ hasLeft }) {
  at("door").hidden = false;
  for (;;) {
    at("knock").hidden = true;
    const said = await knock();
    if (said.kind === "form") return new Promise(offerForm);
    if (said.kind === "in" && !hasLeft) return { credentials: said.credentials };
    if (said.kind === "in") await offerButton(LEFT, "Sign in");
    else await offerButton(said.kind === "silent" ? SILENT : closedWords(said), "Try again");
    hasLeft = false;
    setText(at("door-words"), "One moment…");
  }
}
