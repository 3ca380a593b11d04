// SPDX-License-Identifier: MIT
// TLS for tests: an authority of one's own with its certificates, made by the program openssl, and clients.
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { createHash, X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import fs from 'node:fs/promises';
import path from 'node:path';
import tls from 'node:tls';

import { makeFolder, startGateway } from './gateway.js';
import { parseResponse } from './raw.js';
import { waitFor, within } from './wait.js';

function openssl(...args) {
  const { status, stderr } = spawnSync('openssl', args, { encoding: 'utf8' });
  assert.equal(status, 0, `openssl ${args.join(' ')}:\n${stderr}`);
}

const KEYS = { ecdsa: ['ec', '-pkeyopt', 'ec_paramgen_curve:P-256'], rsa: ['rsa:2048'] };

export class Authority {
  static async make(t) {
    const authority = new Authority();
    authority.folder = await makeFolder(t);
    authority.file = authority.#path('ca.pem');
    openssl(
      ...['req', '-x509', '-newkey', ...KEYS.ecdsa, '-nodes', '-days', '2', '-subj', '/CN=An authority for tests'],
      ...['-keyout', authority.#path('ca.key'), '-out', authority.file],
    );
    authority.pem = await fs.readFile(authority.file, 'utf8');
    return authority;
  }

  #path(name) {
    return path.join(this.folder, name);
  }

  // A certificate for these hosts, and its key; `name` is that of the files, which are replaced if they are there. With
  // -1 for the days it is one of the past.
  async issue(name, { hosts = ['localhost'], kind = 'ecdsa', days = 2 } = {}) {
    const [certificate, key, request] = ['pem', 'key', 'csr'].map((suffix) => this.#path(`${name}.${suffix}`));
    const [draft, draftKey, extensions] = ['draft.pem', 'draft.key', 'extensions'].map((file) => this.#path(file));
    const names = [...hosts.map((host) => `DNS:${host}`), 'IP:127.0.0.1'];
    await fs.writeFile(extensions, `subjectAltName=${names.join(',')}\n`);
    const subject = `/CN=${hosts[0]}`;
    openssl('req', '-newkey', ...KEYS[kind], '-nodes', '-subj', subject, '-keyout', draftKey, '-out', request);
    openssl(
      ...['x509', '-req', '-in', request, '-CA', this.file, '-CAkey', this.#path('ca.key'), '-CAcreateserial'],
      ...['-days', `${days}`, '-extfile', extensions, '-out', draft],
    );
    await fs.chmod(draftKey, 0o600);
    await fs.rename(draft, certificate);
    await fs.rename(draftKey, key);
    return { certificate, key };
  }
}

// What Chromium wants to know of a key that it is to trust.
export async function pinOf(certificate) {
  const { publicKey } = new X509Certificate(await fs.readFile(certificate));
  return createHash('sha256').update(publicKey.export({ type: 'spki', format: 'der' })).digest('base64');
}

// Options for a gateway with these certificates, the first of them as default: every protocol in plain and with TLS.
export function optionsFor(...pairs) {
  return {
    'http.listen': ['127.0.0.1:0', 'tls:127.0.0.1:0'],
    'talker.listen': ['127.0.0.1:0', 'tls:127.0.0.1:0'],
    'tls.certificate': pairs.map(({ certificate }) => certificate),
    'tls.key': pairs.map(({ key }) => key),
  };
}

// The port of the listener whose address begins with `prefix`.
export function portOf(gateway, { listener = 'http', prefix = 'tls:' } = {}) {
  const { address } = gateway.listeners.find(({ name, address }) => name === listener && address.startsWith(prefix));
  return Number(address.split(':').pop());
}

// A gateway with an authority, a certificate for localhost, and what is wished beside it.
export async function startWithTls(t, options = {}) {
  const authority = await Authority.make(t);
  const pair = await authority.issue('localhost');
  const gateway = await startGateway(t, { ...optionsFor(pair), ...options });
  const port = portOf(gateway);
  return Object.assign(gateway, { authority, pair, port, origin: `https://localhost:${port}` });
}

// One connection with TLS by Node: bytes out, bytes in.
export class TlsSocket {
  received = Buffer.alloc(0);
  ended = false; // the peer has said goodbye
  closed = false;

  static async connect(gateway, { port = gateway.port, servername = 'localhost', ...options } = {}) {
    const client = new TlsSocket();
    const { pem } = gateway.authority;
    client.socket = tls.connect({ host: '127.0.0.1', port, servername, ca: pem, allowHalfOpen: true, ...options });
    client.socket.on('data', (bytes) => (client.received = Buffer.concat([client.received, bytes])));
    client.socket.on('end', () => (client.ended = true));
    client.socket.on('close', () => (client.closed = true));
    client.socket.on('session', (session) => (client.session = session));
    const failed = once(client.socket, 'error').then(([error]) => {
      client.error = error;
      return Promise.reject(error);
    });
    failed.catch(() => {});
    await within(Promise.race([once(client.socket, 'secureConnect'), failed]), 'a handshake');
    gateway.clients.add(client);
    return client;
  }

  get text() {
    return this.received.toString('utf8');
  }

  write(bytes) {
    this.socket.write(bytes);
  }

  close() {
    this.socket.destroy();
  }

  until(pattern, what = `${pattern}`) {
    return waitFor(() => {
      const found = this.text.match(pattern);
      if (!found && (this.ended || this.closed)) assert.fail(`closed before: ${what}\n${this.text.slice(-500)}`);
      return found;
    }, what);
  }

  async untilClosed(what = 'the peer closes') {
    await waitFor(() => this.ended || this.closed, what);
    return this.text;
  }

  // The next answer, which is taken out of what was received.
  async response() {
    const parsed = await waitFor(() => parseResponse(this.received, { ended: this.ended || this.closed }), 'an answer');
    this.received = this.received.subarray(parsed.length);
    return parsed;
  }
}

// The name in the certificate that is shown to who asks for `servername`.
export async function certificateSeen(gateway, servername, options = {}) {
  const client = await TlsSocket.connect(gateway, { servername, checkServerIdentity: () => undefined, ...options });
  const { subject, fingerprint256 } = client.socket.getPeerCertificate();
  client.close();
  return { name: subject.CN, fingerprint: fingerprint256 };
}

// Runs a program to its end. { code, stdout, stderr }.
export async function run(command, args, input = '') {
  const child = spawn(command, args);
  const out = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr']) child[name].setEncoding('utf8').on('data', (text) => (out[name] += text));
  child.stdin.on('error', () => {}).end(input);
  try {
    const [code] = await within(once(child, 'close'), `${command} ends`);
    return { code, ...out };
  } finally {
    child.kill('SIGKILL');
  }
}

// `openssl s_client` at the gateway, with what is typed there; all that it says.
export async function sClient(gateway, args, input = '') {
  const target = ['-connect', `127.0.0.1:${gateway.port}`, '-CAfile', gateway.authority.file];
  const { stdout, stderr } = await run('openssl', ['s_client', ...target, ...args], input);
  return stdout + stderr;
}
