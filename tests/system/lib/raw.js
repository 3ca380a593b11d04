// SPDX-License-Identifier: MIT
// HTTP by hand: bytes out, bytes in, and a reader of answers that takes nothing for granted.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';

import { waitFor, within } from './wait.js';

export class RawSocket {
  received = Buffer.alloc(0);
  ended = false; // the peer has sent a FIN
  closed = false; // gone, by FIN, RST or ourselves
  error = null;

  // `address` is `HOST:PORT` or `unix:PATH`. `reading: false` leaves everything in the system's buffers.
  static async connect(gateway, address, { reading = true } = {}) {
    const where = address.startsWith('unix:')
      ? { path: address.slice(5) }
      : {
          host: address.slice(0, address.lastIndexOf(':')).replace(/[[\]]/g, ''),
          port: Number(address.split(':').pop()),
        };
    const socket = net.connect({ ...where, allowHalfOpen: true, noDelay: true });
    await within(once(socket, 'connect'), `connecting to ${address}`);
    const raw = new RawSocket();
    raw.socket = socket;
    socket.on('end', () => (raw.ended = true));
    socket.on('error', (error) => (raw.error = error));
    socket.on('close', () => (raw.closed = true));
    if (reading) raw.read();
    gateway?.clients.add(raw);
    return raw;
  }

  read() {
    this.socket.on('data', (bytes) => (this.received = Buffer.concat([this.received, bytes])));
  }

  stopReading() {
    this.socket.pause();
  }

  get text() {
    return this.received.toString('utf8');
  }

  write(bytes) {
    this.socket.write(bytes);
  }

  // Sends head lines with CRLF behind each, an empty line, and a body.
  send(lines, body = '') {
    this.write(`${lines.join('\r\n')}\r\n\r\n${body}`);
  }

  // Closes our side only.
  finish() {
    this.socket.end();
  }

  // Sends an RST.
  reset() {
    this.socket.resetAndDestroy();
  }

  close() {
    this.socket.destroy();
  }

  async until(pattern, what = `${pattern}`, ms) {
    const found = () => (typeof pattern === 'function' ? pattern(this.text) : this.text.match(pattern));
    return waitFor(
      () => {
        const answer = found();
        if (!answer && (this.closed || this.ended)) assert.fail(`closed before: ${what}\n${this.text.slice(-500)}`);
        return answer;
      },
      what,
      ms,
    );
  }

  // All that comes until the peer closes; an RST counts as closing.
  async untilClosed(what = 'the peer closes', ms) {
    await waitFor(() => this.ended || this.closed, what, ms);
    return this.text;
  }

  // The next answer, which is taken out of what was received.
  async response(options) {
    const parsed = await waitFor(() => {
      const answer = parseResponse(this.received, { ...options, ended: this.ended || this.closed });
      if (!answer && (this.closed || this.ended)) assert.fail(`closed before a whole answer\n${this.text.slice(-500)}`);
      return answer;
    }, 'a whole answer');
    this.received = this.received.subarray(parsed.length);
    return parsed;
  }
}

// Sends one request, or whatever bytes, on a connection of its own; all answers until the peer closes.
export async function exchange(gateway, bytes, options) {
  const raw = await gateway.raw(options);
  raw.write(bytes);
  await raw.untilClosed();
  raw.close();
  return {
    text: raw.text,
    get responses() {
      return parseResponses(raw.received);
    },
  };
}

// --- reading answers

function headersOf(lines) {
  const headers = {};
  for (const line of lines) {
    const at = line.indexOf(':');
    assert.ok(at > 0, `not a header line: ${line}`);
    const name = line.slice(0, at).toLowerCase();
    const value = line.slice(at + 1).trim();
    headers[name] = name in headers ? `${headers[name]}, ${value}` : value;
  }
  return headers;
}

// Chunks as { size, data }, by RFC 9112 section 7.1; null while the last one has not come.
export function parseChunks(bytes) {
  const chunks = [];
  let at = 0;
  for (;;) {
    const lineEnd = bytes.indexOf('\r\n', at);
    if (lineEnd < 0) return { chunks, length: at, last: false };
    const line = bytes.toString('latin1', at, lineEnd);
    assert.match(line, /^[0-9a-fA-F]+$/, 'a chunk size');
    const size = parseInt(line, 16);
    const end = lineEnd + 2 + size + 2;
    if (bytes.length < end) return { chunks, length: at, last: false };
    assert.equal(bytes.toString('latin1', end - 2, end), '\r\n', 'CRLF behind a chunk');
    if (size === 0) return { chunks, length: end, last: true };
    chunks.push(bytes.subarray(lineEnd + 2, end - 2));
    at = end;
  }
}

// One answer from the front of `bytes`, or null while it is not whole.
export function parseResponse(bytes, { head = false, ended = false } = {}) {
  const headEnd = bytes.indexOf('\r\n\r\n');
  if (headEnd < 0) return null;
  const [statusLine, ...lines] = bytes.toString('latin1', 0, headEnd).split('\r\n');
  const [, version, status] =
    /^HTTP\/(1\.[01]) ([1-5][0-9][0-9])/.exec(statusLine) ?? assert.fail(`not an answer: ${statusLine}`);
  const headers = headersOf(lines);
  const answer = { version, status: Number(status), headers, body: '', length: headEnd + 4 };
  const rest = bytes.subarray(answer.length);
  if (head || answer.status < 200 || answer.status === 204 || answer.status === 304) return answer;
  if (headers['transfer-encoding']) {
    const { chunks, length, last } = parseChunks(rest);
    if (!last) return null;
    return { ...answer, body: Buffer.concat(chunks).toString(), length: answer.length + length };
  }
  if ('content-length' in headers) {
    const length = Number(headers['content-length']);
    if (rest.length < length) return null;
    return { ...answer, body: rest.toString('utf8', 0, length), length: answer.length + length };
  }
  return ended ? { ...answer, body: rest.toString('utf8'), length: bytes.length } : null;
}

export function parseResponses(bytes) {
  const responses = [];
  while (bytes.length) {
    const response = parseResponse(bytes, { ended: true });
    if (!response) assert.fail(`a broken answer: ${bytes.toString('latin1', 0, 200)}`);
    responses.push(response);
    bytes = bytes.subarray(response.length);
  }
  return responses;
}
