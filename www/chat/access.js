// SPDX-License-Identifier: MIT
// Getting in: who the gateway takes one for, and what it asks for.
import { ChatError } from "../nereid-chat.js";

export const BASE = new URL("nereid-chat/", document.baseURI);

// The value of Authorization for a name and a password.
export function basic(name, password) {
  const bytes = new TextEncoder().encode(`${name}:${password}`);
  return `Basic ${btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""))}`;
}

// A browser asks for a password itself where it gets a Basic challenge to a request with credentials, so those are
// left out until it is known that there is none. Redirects lead to pages for people.
function post(path, { login, credentials = "omit" } = {}) {
  const headers = login ? { Authorization: login } : {};
  return fetch(new URL(path, BASE), { method: "POST", headers, credentials, cache: "no-store", redirect: "manual" });
}

async function refusalOf(answer) {
  const body = (await answer.json().catch(() => null)) ?? {}; // a proxy's error is no JSON
  const { status } = answer;
  if (status === 401) return new ChatError("unauthorized", "This name and password do not fit together.", { status });
  const retryAfter = Number(answer.headers.get("Retry-After")) || undefined;
  const words = body.message ?? `The server answered ${status}.`;
  return new ChatError(body.error ?? "network", words, { status, retryAfter });
}

const tokenIn = (answer) => (answer.ok ? answer.json().catch(() => null) : null);

// A chat token for a login: {token, expires_in}.
export async function issueToken(login) {
  const answer = await post("token", { login }).catch(() => {
    throw new ChatError("network", "The server cannot be reached. Look whether you are online, and try again.");
  });
  const given = await tokenIn(answer);
  if (!given?.token) throw await refusalOf(answer);
  return given;
}

// Whose login it is, as the server has it: a change of nothing is answered with the presence as it is. Null: it does
// not say.
export async function whoAmI(means) {
  const answer = await post("presence?dialect=spec", means).catch(() => null);
  return (answer?.ok && (await answer.json().catch(() => null))?.id) || null;
}

// Revokes a token; that it fails does not matter much, it ends by itself.
export async function revokeToken(token) {
  const headers = { Authorization: `Bearer ${token}` };
  await fetch(new URL(`token/${token}`, BASE), { method: "DELETE", headers, credentials: "omit" }).catch(() => {});
}

// Whether there is a token in an answer; it was asked for to see just that.
async function isGiven(answer) {
  const given = answer && (await tokenIn(answer));
  if (given?.token) revokeToken(given.token);
  return Boolean(given?.token);
}

// What the gateway says to somebody who says nothing: {kind, credentials?, message?}, where kind is
//   form     it asks for a name and a password
//   in       the HTTP layer knows who it is, with these credentials of fetch
//   closed   it asks for something that this page does not have
//   silent   it cannot be reached
export async function knock() {
  const first = await post("token").catch(() => null);
  if (first?.status === 401 && /\bbasic\b/i.test(first.headers.get("WWW-Authenticate") ?? "")) return { kind: "form" };
  if (await isGiven(first)) return { kind: "in", credentials: "omit" };
  const second = await post("token", { credentials: "same-origin" }).catch(() => null);
  if (await isGiven(second)) return { kind: "in", credentials: "same-origin" };
  const answer = second ?? first;
  if (!answer) return { kind: "silent" };
  const asks = answer.headers.get("WWW-Authenticate")?.split(/[\s,]/)[0];
  return { kind: "closed", status: answer.status, asks };
}

// A chat token in the page's address (#token=…, and whose it is: &user=…), which is taken out of it at once.
export function tokenInAddress() {
  const fields = new URLSearchParams(location.hash.slice(1));
  const token = fields.get("token");
  if (!token) return null;
  history.replaceState(history.state, "", location.pathname + location.search);
  return { token, user: fields.get("user") };
}
