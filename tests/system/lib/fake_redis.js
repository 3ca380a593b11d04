// SPDX-License-Identifier: MIT
// A Redis that may lie: it stands on a Unix socket of its own before a real redis-server and passes on what both sides
// say, until a test has it say something else, in place of one answer or altogether.
import assert from 'node:assert/strict';
import crypto from 'node:crypto';
import { once } from 'node:events';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { makeFolder } from './gateway.js';

// --- RESP, version 2

const CRLF = '\r\n';

// What has no other form in JavaScript.
export const NIL = Symbol('nil');
export const NIL_ARRAY = Symbol('nil array');
export class Status {
  constructor(text) {
    this.text = text;
  }
}
export class ErrorReply {
  constructor(text) {
    this.text = text;
  }
}

// Numbers are integers, buffers and texts bulks, arrays arrays.
export function encode(value) {
  if (value === NIL) return Buffer.from(`$-1${CRLF}`);
  if (value === NIL_ARRAY) return Buffer.from(`*-1${CRLF}`);
  if (value instanceof Status) return Buffer.from(`+${value.text}${CRLF}`);
  if (value instanceof ErrorReply) return Buffer.from(`-${value.text}${CRLF}`);
  if (typeof value === 'number') return Buffer.from(`:${value}${CRLF}`);
  if (Array.isArray(value)) return Buffer.concat([Buffer.from(`*${value.length}${CRLF}`), ...value.map(encode)]);
  const bytes = Buffer.from(value);
  return Buffer.concat([Buffer.from(`$${bytes.length}${CRLF}`), bytes, Buffer.from(CRLF)]);
}

// The value that begins at `at`: { value, end }, or null while it is not whole. A real server is believed to be right.
function decode(bytes, at = 0) {
  const lineEnd = bytes.indexOf(CRLF, at);
  if (lineEnd < 0) return null;
  const line = bytes.toString('latin1', at + 1, lineEnd);
  const next = lineEnd + CRLF.length;
  const type = String.fromCharCode(bytes[at]);
  switch (type) {
    case '+':
      return { value: new Status(line), end: next };
    case '-':
      return { value: new ErrorReply(line), end: next };
    case ':':
      return { value: Number(line), end: next };
    case '$':
      return decodeBulk(bytes, next, Number(line));
    case '*':
      return decodeArray(bytes, next, Number(line));
    default:
      return assert.fail(`not RESP: ${bytes.toString('latin1', at, at + 40)}`);
  }
}

function decodeBulk(bytes, at, length) {
  if (length < 0) return { value: NIL, end: at };
  const end = at + length + CRLF.length;
  return bytes.length < end ? null : { value: bytes.subarray(at, at + length), end };
}

function decodeArray(bytes, at, count) {
  if (count < 0) return { value: NIL_ARRAY, end: at };
  const value = [];
  for (let i = 0; i < count; i++) {
    const item = decode(bytes, at);
    if (!item) return null;
    value.push(item.value);
    at = item.end;
  }
  return { value, end: at };
}

// Takes bytes as they come, gives whole values as { value, bytes }.
class Decoder {
  #rest = Buffer.alloc(0);

  *take(bytes) {
    this.#rest = Buffer.concat([this.#rest, bytes]);
    for (;;) {
      const found = this.#rest.length ? decode(this.#rest) : null;
      if (!found) return;
      yield { value: found.value, bytes: Buffer.from(this.#rest.subarray(0, found.end)) };
      this.#rest = this.#rest.subarray(found.end);
    }
  }
}

// For `plays`: answers every command with these bytes.
export const toEverything = (bytes) => (socket) => {
  const decoder = new Decoder();
  socket.on('data', (data) => {
    for (const _ of decoder.take(data)) socket.write(bytes);
  });
};

// --- what is asked

// A script is told by its own lines, which stand last in what is loaded; comments and indentation are left out there.
const plain = (lua) =>
  lua
    .replace(/--.*$/gm, '')
    .replace(/^[ \t]+|[ \t]+$/gm, '')
    .replace(/\n+/g, '\n')
    .trim();

const folder = fileURLToPath(new URL('../../../src/store/lua', import.meta.url));
const scripts = fs
  .readdirSync(folder)
  .filter((file) => file.endsWith('.lua'))
  .map((file) => [path.basename(file, '.lua'), plain(fs.readFileSync(path.join(folder, file), 'utf8'))]);

const names = new Map(); // SHA-1 of a script → its name

function nameScript(text) {
  const sha = crypto.createHash('sha1').update(text).digest('hex');
  if (!names.has(sha)) {
    const whole = plain(String(text));
    const [name] = scripts.find(([, own]) => whole.endsWith(own)) ?? [];
    assert.ok(name, `src/store/lua has no such script: is this nereidd made of it?\n${whole.slice(-200)}`);
    names.set(sha, name);
  }
  return names.get(sha);
}

// `XREAD`, `SCRIPT LOAD append`, `append` for a call of that script.
function kindOf(command) {
  const verb = String(command[0]).toUpperCase();
  if (verb === 'EVALSHA') return names.get(String(command[1])) ?? verb;
  if (verb === 'SCRIPT' && String(command[1]).toUpperCase() === 'LOAD') return `SCRIPT LOAD ${nameScript(command[2])}`;
  return verb;
}

// --- the server

// What comes without being asked for: from a channel, or by a pattern.
const UNASKED = { message: 'published', pmessage: 'heard' };
const unasked = (value) => (Array.isArray(value) ? UNASKED[String(value[0])] : undefined);

class FakeRedis {
  connects = []; // when, in ms
  kinds = new Set(); // of what was answered: commands, scripts, 'published' and 'heard'
  #sockets = new Set();
  #play = null;
  #lie = null;

  constructor(path, real) {
    Object.assign(this, { path, real });
  }

  get url() {
    return `redis+unix:${this.path}`;
  }

  async listen() {
    this.server = net.createServer((socket) => this.#accept(socket));
    this.server.listen(this.path).unref();
    await once(this.server, 'listening');
    return this;
  }

  #track(socket) {
    this.#sockets.add(socket);
    socket.setNoDelay(true);
    socket.on('error', () => {});
    socket.on('close', () => this.#sockets.delete(socket));
  }

  #accept(socket) {
    this.connects.push(Date.now());
    this.#track(socket);
    if (this.#play) this.#play(socket);
    else this.#passOn(socket);
  }

  #passOn(near) {
    const far = net.connect(this.real.socket);
    this.#track(far);
    near.on('close', () => far.destroy());
    far.on('close', () => near.destroy());
    const asked = [];
    const [questions, answers] = [new Decoder(), new Decoder()];
    near.on('data', (bytes) => {
      for (const { value } of questions.take(bytes)) {
        asked.push(kindOf(value));
      }
      far.write(bytes);
    });
    far.on('data', (bytes) => {
      for (const answer of answers.take(bytes))
        this.#answer(near, unasked(answer.value) ?? asked.shift(), answer);
    });
  }

  #answer(near, kind, { value, bytes }) {
    this.kinds.add(kind);
    if (this.#play || near.destroyed) return;
    const said = this.#lie?.(kind, value, bytes, near);
    if (said !== null) near.write(said ?? bytes);
  }

  // From now on `play(socket)` is all there is; whoever is connected is cut.
  plays(play) {
    this.#play = play;
    this.cut();
  }

  // From now on `lie(kind, value, bytes, socket)` is asked about each answer: it returns bytes to say instead,
  // undefined for the truth, null for nothing.
  lies(lie) {
    this.#lie = lie;
  }

  // Tells the truth again. Who was told nonsense by `plays` is cut.
  isHonest() {
    this.#lie = null;
    if (!this.#play) return;
    this.#play = null;
    this.cut();
  }

  // Lies once, about an answer of this kind: `change(value, bytes, socket)` as in `lies`. Returns a function that says
  // whether it has happened.
  liesOnce(wanted, change) {
    let done = false;
    this.lies((kind, value, bytes, socket) => {
      if (kind !== wanted || done) return undefined;
      done = true;
      return change(value, bytes, socket);
    });
    return () => done;
  }

  cut() {
    for (const socket of this.#sockets) socket.destroy();
  }

  // How often somebody has connected since a time, in ms.
  connectsSince(time) {
    return this.connects.filter((at) => at >= time).length;
  }

  close() {
    this.cut();
    this.server.close();
  }
}

// `redis` is the real one behind it, on a Unix socket. Ends with it.
export async function startFakeRedis(t, redis) {
  const folder = await makeFolder(t);
  const fake = await new FakeRedis(path.join(folder, 'fake.sock'), redis).listen();
  t.after(() => fake.close());
  return fake;
}
