// SPDX-License-Identifier: MIT
// The page's chat: signs in, keeps one stream open with a token, and shows conversations. What the server answers is in
// nereid-chat(7). Whatever people write is shown by textContent only.

const BASE = "nereid-chat";
const SILENCE_MS = 50000; // two and a half heartbeats
const RETRY_MS = 500;
const RETRY_MAX_MS = 8000;

const at = (id) => document.getElementById(id);
const sleep = (ms) => new Promise((wake) => setTimeout(wake, ms));

let me; // {id, login, token}
let cursor; // where the stream resumes
let shown; // the thread on show
const people = new Map(); // user id: presence
const threads = new Map(); // thread id: {id, room, members, messages by id, before, loaded, unread}

// --- requests

class Refusal extends Error {
  constructor(word, message) {
    super(message);
    this.word = word;
  }
}

async function refusalOf(answer) {
  const body = await answer.json().catch(() => ({})); // a proxy's error is no JSON
  return new Refusal(body.error, body.message ?? `the server answered ${answer.status}`);
}

async function call(method, path, body, authorization = me.login) {
  const headers = { Authorization: authorization };
  if (body) headers["Content-Type"] = "application/json";
  // Without `omit` a browser would ask for the password itself.
  const answer = await fetch(`${BASE}/${path}`, {
    method, headers, body: body && JSON.stringify(body), credentials: "omit", cache: "no-store",
  });
  if (!answer.ok) throw await refusalOf(answer);
  return answer.status === 204 ? null : answer.json();
}

// A random UUID; crypto.randomUUID is not there on pages without TLS.
function uuid() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}

function basic(name, password) {
  const bytes = new TextEncoder().encode(`${name}:${password}`);
  return `Basic ${btoa(String.fromCharCode(...bytes))}`;
}

// --- the stream

async function readStream(take, signal) {
  const since = cursor ? `&since=${encodeURIComponent(cursor)}` : "";
  const answer = await fetch(`${BASE}/stream?format=ndjson${since}`, {
    headers: { Authorization: `Bearer ${me.token}` }, signal, credentials: "omit", cache: "no-store",
  });
  if (!answer.ok) throw await refusalOf(answer);
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) throw new Refusal("cut", "the connection was cut");
    const lines = (rest + value).split("\n");
    rest = lines.pop();
    lines.forEach((line) => take(JSON.parse(line)));
  }
}

// Reads one stream until it ends, and says why it did. Silence beyond the heartbeat means that nobody is there.
async function followStream(onEnvelope) {
  const abort = new AbortController();
  const giveUp = () => abort.abort(new Refusal("silence", "nothing was heard for too long"));
  let timer = setTimeout(giveUp, SILENCE_MS);
  let farewell;
  const take = (envelope) => {
    clearTimeout(timer);
    timer = setTimeout(giveUp, SILENCE_MS);
    if (envelope.error) farewell = new Refusal(envelope.error, envelope.message);
    else onEnvelope(envelope);
  };
  try {
    await readStream(take, abort.signal);
  } catch (err) {
    return farewell ?? err;
  } finally {
    clearTimeout(timer);
    abort.abort();
  }
}

async function stayConnected() {
  let tries = 0;
  for (;;) {
    let reason;
    try {
      me.token ??= (await call("POST", "token")).token;
      reason = await followStream((envelope) => {
        if (tries) say("");
        tries = 0;
        takeEnvelope(envelope);
      });
    } catch (err) {
      reason = err;
    }
    if (reason.word === "no_token") me.token = null;
    if (reason.word === "bad_cursor") cursor = undefined;
    say(`Reconnecting: ${reason.message}`);
    // Not all at once: many may have lost their stream in the same moment.
    await sleep((0.5 + Math.random() / 2) * Math.min(RETRY_MAX_MS, RETRY_MS * 2 ** tries++));
  }
}

function takeEnvelope(envelope) {
  const first = !cursor;
  cursor = envelope.cursor;
  for (const stanza of envelope.stanzas) {
    if (stanza.type === "message") takeMessage(stanza);
    if (stanza.type === "presence") takePresence(stanza.presence);
    if (stanza.type === "gap") startOver();
  }
  // Only now: what happens while the list is fetched comes on the stream.
  if (first) attempt(loadThreads);
}

function takePresence(presences) {
  presences.forEach((presence) => people.set(presence.id, presence));
  showPeople();
}

// Messages were lost to the stream: history may have more.
function startOver() {
  threads.forEach((thread) => Object.assign(thread, { messages: new Map(), loaded: false }));
  if (shown) attempt(() => openThread(shown));
}

function takeMessage({ timestamp, message }) {
  const thread = threads.get(message.thread) ?? addThread({ thread_id: message.thread, members: [] });
  const isNew = !thread.messages.has(message.id);
  thread.messages.set(message.id, { timestamp, message });
  if (isNew && thread !== shown && message.sender.id !== me.id) thread.unread++;
  if (!thread.members.some((member) => member.id === message.sender.id)) attempt(loadThreads);
  if (thread === shown) showMessages();
  showThreads();
}

// --- threads

function addThread({ thread_id: id, room, members }) {
  const thread = threads.get(id) ?? { id, messages: new Map(), before: null, loaded: false, unread: 0 };
  Object.assign(thread, { members, room: room ?? thread.room });
  threads.set(id, thread);
  return thread;
}

async function loadThreads() {
  (await call("GET", "threads")).threads.forEach(addThread);
  showThreads();
}

// A page of history goes before what is there, which may overlap it.
async function loadHistory(thread, before) {
  const query = before ? `?before=${encodeURIComponent(before)}` : "";
  const page = await call("GET", `history/${thread.id}${query}`);
  const dated = page.messages.map(({ timestamp, message }) => [message.id, { timestamp, message }]);
  thread.messages = new Map([...dated, ...thread.messages]);
  thread.before = page.before;
  thread.loaded = true;
}

// Shows what is known at once. Members come and go without a word on the stream, so they are asked for.
async function openThread(thread) {
  shown = thread;
  thread.unread = 0;
  at("compose").hidden = false;
  at("compose").text.focus();
  showMessages(true);
  await Promise.all([loadThreads(), thread.loaded || loadHistory(thread)]);
  if (shown === thread) showMessages(true);
}

async function startThread(words) {
  const isRoom = words.startsWith("#");
  const body = isRoom ? { room: words.slice(1).trim() } : { user: words.split(",").map((name) => name.trim()).filter(Boolean) };
  const answer = await call("POST", "start-session", body);
  await openThread(addThread({ ...answer, room: body.room }));
}

// The id makes a repeat harmless, so a send whose outcome is unknown is simply sent again.
async function send(thread, text) {
  const id = uuid();
  const body = { thread_id: thread.id, message: text, id };
  thread.messages.set(id, { timestamp: new Date().toISOString(), message: { id, text, sender: { id: me.id } }, pending: true });
  showMessages();
  for (let tries = 0; ; tries++) {
    try {
      await call("POST", "send-message", body, me.token ? `Bearer ${me.token}` : me.login);
      return;
    } catch (err) {
      const mayHelp = !err.word || err.word === "no_token" || err.word.startsWith("store_");
      if (!mayHelp || tries === 6) {
        thread.messages.delete(id);
        showMessages();
        throw err;
      }
      await sleep(RETRY_MS * 2 ** tries);
    }
  }
}

// --- showing

function say(text) {
  at("status").textContent = text;
}

// What the user asked for; a failure is told, not thrown.
async function attempt(action) {
  say("");
  try {
    await action();
  } catch (err) {
    say(err.message);
  }
}

function make(tag, className, text = "") {
  const element = document.createElement(tag);
  element.className = className;
  element.textContent = text;
  return element;
}

const nameOf = (person) => people.get(person.id)?.displayName ?? person.displayName ?? person.id;

function titleOf(thread) {
  if (thread.room) return `#${thread.room}`;
  const others = thread.members.filter((member) => member.id !== me.id);
  return others.map(nameOf).join(", ") || "Just me";
}

function makeItem(label, before, after, isCurrent, action) {
  const button = document.createElement("button");
  button.type = "button";
  button.setAttribute("aria-current", isCurrent);
  button.append(...before, make("span", "name", label), ...after);
  button.addEventListener("click", () => attempt(action));
  const item = document.createElement("li");
  item.append(button);
  return item;
}

function showThreads() {
  at("threads").replaceChildren(...Array.from(threads.values(), (thread) => {
    const unread = thread.unread ? [make("span", "unread", thread.unread)] : [];
    return makeItem(titleOf(thread), [], unread, thread === shown, () => openThread(thread));
  }).reverse());
}

function showPeople() {
  const others = [...people.values()].filter((person) => person.id !== me.id);
  others.sort((a, b) => b.available - a.available || nameOf(a).localeCompare(nameOf(b)));
  at("people").replaceChildren(...others.map((person) => {
    const dot = make("span", person.available ? `dot ${person.show}` : "dot");
    dot.title = person.available ? person.show : "not here";
    const status = make("span", "quiet", person.status ?? "");
    return makeItem(nameOf(person), [dot], [status], false, () => startThread(person.id));
  }));
  at("self").textContent = nameOf(me);
  at("show").value = people.get(me.id)?.show ?? "chat";
}

function makeMessage({ timestamp, message, pending }) {
  const item = make("li", message.sender.id === me.id ? "mine" : "");
  if (pending) item.classList.add("pending");
  const time = new Date(timestamp).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
  item.append(make("div", "quiet", `${nameOf(message.sender)}, ${time}`), make("div", "text", message.text));
  return item;
}

function showMessages(toEnd = false) {
  const log = at("log");
  const isAtEnd = toEnd || log.scrollHeight - log.scrollTop - log.clientHeight < 80;
  at("title").textContent = titleOf(shown);
  at("members").textContent = shown.members.map(nameOf).join(", ");
  at("earlier").hidden = !shown.before;
  at("messages").replaceChildren(...Array.from(shown.messages.values(), makeMessage));
  if (isAtEnd) log.scrollTop = log.scrollHeight;
}

// --- what the user does

async function signIn(form) {
  const id = form.name.value.trim();
  const login = basic(id, form.password.value);
  const { token } = await call("POST", "token", undefined, login);
  me = { id, login, token };
  at("welcome").hidden = true;
  at("chat").hidden = false;
  showPeople();
  stayConnected();
}

at("sign-in").addEventListener("submit", (event) => {
  event.preventDefault();
  at("refusal").textContent = "";
  signIn(event.target.elements).catch((err) => (at("refusal").textContent = err.message));
});

at("sign-out").addEventListener("click", async () => {
  if (me.token) await attempt(() => call("DELETE", `token/${me.token}`));
  location.reload();
});

at("show").addEventListener("change", (event) => attempt(() => call("POST", "presence", { show: event.target.value })));

at("start").addEventListener("submit", (event) => {
  event.preventDefault();
  attempt(() => startThread(event.target.elements.whom.value.trim()).then(() => event.target.reset()));
});

at("earlier").addEventListener("click", () => attempt(async () => {
  const thread = shown;
  await loadHistory(thread, thread.before);
  if (thread === shown) showMessages();
}));

at("compose").addEventListener("submit", (event) => {
  event.preventDefault();
  const text = at("compose").text.value.trim();
  event.target.reset();
  if (text) attempt(() => send(shown, text));
});

at("compose").text.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  at("compose").requestSubmit();
});
