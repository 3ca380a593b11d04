// SPDX-License-Identifier: MIT
// HAProxy and nginx as contrib/two-nodes has them: those files, with other addresses and paths. They are on a free port
// of the loopback with TLS by a certificate of the moment, run as whoever runs the tests, and are ended by their own
// process ids.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs/promises';
import http2 from 'node:http2';
import path from 'node:path';
import tls from 'node:tls';
import { fileURLToPath } from 'node:url';

import { Daemon, makeDaemon, programOf, startNginx } from './daemon.js';
import { Person } from './person.js';
import { within } from './wait.js';

export const examples = fileURLToPath(new URL('../../../contrib/two-nodes/', import.meta.url));

// The certificate is nobody's. This is read at each connection, and only by this process.
process.env.NODE_TLS_REJECT_UNAUTHORIZED = '0';

export const haproxy = programOf('haproxy', '-v');
export const nginx = programOf('nginx', '-v');

// Puts other words into a text. Each is there exactly once: else the example has changed, and this has to follow.
export function substitute(text, words) {
  for (const [from, to] of Object.entries(words)) {
    assert.equal(text.split(from).length, 2, `the example says once: ${from}`);
    text = text.replace(from, to);
  }
  return text;
}

async function makeCertificate(folder) {
  const [key, certificate] = [path.join(folder, 'key.pem'), path.join(folder, 'certificate.pem')];
  const words = 'req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=chat.example.org';
  const { status, stderr } = spawnSync('openssl', [...words.split(' '), '-keyout', key, '-out', certificate]);
  assert.equal(status, 0, `${stderr}`);
  const both = path.join(folder, 'both.pem');
  await fs.writeFile(both, (await fs.readFile(certificate, 'utf8')) + (await fs.readFile(key, 'utf8')));
  return { key, certificate, both };
}

// To people, a proxy that has lost the node half-way (502, 504) is a connection that was cut: it may have happened.
class ProxiedPerson extends Person {
  async request(...args) {
    const answer = await super.request(...args);
    assert.ok(![502, 504].includes(answer.status), `the proxy has lost the node: ${answer.status}`);
    return answer;
  }

  at(gateway) {
    return Object.assign(Object.create(ProxiedPerson.prototype), this, { gateway });
  }
}

class Proxy extends Daemon {
  secrets = new Set();
  clients = new Set();

  get url() {
    return `https://127.0.0.1:${this.port}`;
  }

  person(name, login) {
    return new ProxiedPerson(this, name, login);
  }

  takesConnections() {
    const connects = () =>
      this.connect().then(
        (raw) => raw.close() ?? true,
        () => false,
      );
    return this.isReady(connects, `${this.name} takes connections`);
  }

  // A connection by hand: { text, ended, write, close }.
  async connect() {
    const socket = tls.connect({ host: '127.0.0.1', port: this.port, ALPNProtocols: ['http/1.1'] });
    await within(once(socket, 'secureConnect'), `a connection to ${this.name}`);
    const raw = { text: '', ended: false, write: (text) => socket.write(text), close: () => socket.destroy() };
    socket.setEncoding('utf8').on('data', (text) => (raw.text += text));
    socket.on('close', () => (raw.ended = true)).on('error', () => {});
    this.clients.add(raw);
    return raw;
  }

  // A GET in HTTP/2, on a connection of its own: { status, text, ended, close }.
  async connect2(target, headers) {
    const client = http2.connect(this.url);
    const answer = { text: '', ended: false, close: () => client.destroy() };
    client.on('error', () => (answer.ended = true));
    this.clients.add(answer);
    const request = client.request({ ':path': target, ...headers });
    request.setEncoding('utf8').on('data', (text) => (answer.text += text));
    request.on('end', () => (answer.ended = true)).on('error', () => (answer.ended = true));
    const [head] = await within(once(request, 'response'), `an answer to ${target}`);
    return Object.assign(answer, { status: head[':status'] });
  }

  closeClients() {
    for (const client of this.clients) client.close();
    this.clients.clear();
  }

  async cleanUp() {
    this.closeClients();
    await super.cleanUp();
  }
}

// A node is { http, admin }, each HOST:PORT.
async function startHaproxy(t, [a, b]) {
  const proxy = await makeDaemon(t, 'haproxy', Proxy);
  const { both } = await makeCertificate(proxy.folder);
  const example = await fs.readFile(path.join(examples, 'haproxy.cfg'), 'utf8');
  const checked = ({ http, admin }) => `${http} check addr ${admin.split(':')[0]} port ${admin.split(':')[1]}`;
  const config = path.join(proxy.folder, 'haproxy.cfg');
  await fs.writeFile(
    config,
    substitute(example, {
      'bind :443 ': 'bind fd@3 ',
      '/etc/haproxy/chat.example.org.pem': both,
      '192.0.2.11:8080 check port 8081': checked(a),
      '192.0.2.12:8080 check port 8081': checked(b),
    }),
  );
  return proxy.start(haproxy, ['-db', '-n', '500', '-f', config]); // the system may not allow more descriptors
}

async function startNginxWith(t, [a, b]) {
  const proxy = await makeDaemon(t, 'nginx', Proxy);
  const { key, certificate } = await makeCertificate(proxy.folder);
  const example = await fs.readFile(path.join(examples, 'nginx.conf'), 'utf8');
  return startNginx(proxy, nginx, () =>
    substitute(example, {
      'listen 443 ': `listen 127.0.0.1:${proxy.port} `,
      '/etc/ssl/chat.example.org.pem': certificate,
      '/etc/ssl/private/chat.example.org.key': key,
      '192.0.2.11:8080': a.http,
      '192.0.2.12:8080': b.http,
    }),
  );
}

const kinds = { haproxy: startHaproxy, nginx: startNginxWith };

export async function startProxy(t, kind, nodes) {
  const proxy = await kinds[kind](t, nodes);
  return proxy.takesConnections();
}

// Where a gateway is, for a proxy.
export function addressesOf(gateway) {
  return { http: gateway.address(), admin: gateway.address('admin') };
}
