// SPDX-License-Identifier: MIT
// HAProxy and nginx as contrib/two-nodes has them: those files, with other addresses and paths. They are on a free port
// of the loopback with TLS by a certificate of the moment, run as whoever runs the tests, and are ended by their own
// process ids.
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs/promises';
import http2 from 'node:http2';
import net from 'node:net';
import path from 'node:path';
import tls from 'node:tls';
import { fileURLToPath } from 'node:url';

import { makeFolder } from './gateway.js';
import { Person } from './person.js';
import { waitFor, within } from './wait.js';

export const examples = fileURLToPath(new URL('../../../contrib/two-nodes/', import.meta.url));

// What a test that ended badly leaves running ends with the process of the tests: by SIGTERM, or nginx' workers stay.
const running = new Set();
process.on('exit', () => {
  for (const child of running) child.kill('SIGTERM');
});

// The certificate is nobody's. This is read at each connection, and only by this process.
process.env.NODE_TLS_REJECT_UNAUTHORIZED = '0';

function programOf(name, flag) {
  const places = [`/usr/sbin/${name}`, `/usr/bin/${name}`, name];
  return places.find((command) => spawnSync(command, [flag]).status === 0);
}

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

class Proxy {
  running = true;
  secrets = new Set();
  clients = new Set();

  constructor(name, folder) {
    Object.assign(this, { name, folder });
  }

  get url() {
    return `https://127.0.0.1:${this.port}`;
  }

  // The child gets the listening socket as its descriptor 3, so the port is its own from the start, and who connects
  // before it is ready waits.
  async start(command, args, env = {}) {
    const listener = net.createServer().listen({ port: 0, host: '127.0.0.1', backlog: 512 });
    await once(listener, 'listening');
    this.port = listener.address().port;
    await this.configure?.();
    this.log = '';
    this.child = spawn(command, args, {
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe', listener._handle.fd],
    });
    for (const out of [this.child.stdout, this.child.stderr])
      out.setEncoding('utf8').on('data', (text) => (this.log += text));
    running.add(this.child);
    this.closed = once(this.child, 'close').then(() => {
      running.delete(this.child);
      this.running = false;
    });
    listener.close();
    return this;
  }

  person(name, login) {
    return new ProxiedPerson(this, name, login);
  }

  // Once it takes connections; what it says at the start is in the failure.
  async isReady() {
    await waitFor(async () => {
      if (!this.running) assert.fail(`${this.name} did not start:\n${this.log}`);
      return this.connect().then(
        (raw) => raw.close() ?? true,
        () => false,
      );
    }, `${this.name} takes connections`);
    return this;
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
    this.child.kill('SIGTERM');
    try {
      await within(this.closed, `${this.name} ends`);
    } finally {
      this.child.kill('SIGKILL');
    }
  }
}

async function makeProxy(t, name) {
  const folder = await makeFolder(t);
  await fs.chmod(folder, 0o755); // nginx's workers are somebody else if root runs the tests
  const proxy = new Proxy(name, folder);
  t.after(() => proxy.child && proxy.cleanUp());
  return proxy;
}

// A node is { http, admin }, each HOST:PORT.
async function startHaproxy(t, [a, b]) {
  const proxy = await makeProxy(t, 'haproxy');
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

// What Debian's nginx.conf has around the example.
function nginxMain(folder, example) {
  const kinds = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];
  const paths = kinds.map((kind) => `${kind}_temp_path ${folder}/${kind};`);
  return `
daemon off;
pid ${folder}/pid;
worker_processes 2;
events { worker_connections 1024; }
http {
    access_log off;
    ${paths.join('\n    ')}
    include ${example};
}
`;
}

// nginx takes over the sockets that the variable NGINX names, where their addresses are those of its `listen` lines.
async function startNginx(t, [a, b]) {
  const proxy = await makeProxy(t, 'nginx');
  const { folder } = proxy;
  const { key, certificate } = await makeCertificate(folder);
  const example = await fs.readFile(path.join(examples, 'nginx.conf'), 'utf8');
  proxy.configure = async () => {
    const text = substitute(example, {
      'listen 443 ': `listen 127.0.0.1:${proxy.port} `,
      '/etc/ssl/chat.example.org.pem': certificate,
      '/etc/ssl/private/chat.example.org.key': key,
      '192.0.2.11:8080': a.http,
      '192.0.2.12:8080': b.http,
    });
    await fs.writeFile(path.join(folder, 'example.conf'), text);
    await fs.writeFile(path.join(folder, 'nginx.conf'), nginxMain(folder, path.join(folder, 'example.conf')));
  };
  const args = ['-c', path.join(folder, 'nginx.conf'), '-p', folder, '-e', 'stderr'];
  return proxy.start(nginx, args, { NGINX: '3;' });
}

const kinds = { haproxy: startHaproxy, nginx: startNginx };

export async function startProxy(t, kind, nodes) {
  const proxy = await kinds[kind](t, nodes);
  return proxy.isReady();
}

// Where a gateway is, for a proxy.
export function addressesOf(gateway) {
  return { http: gateway.address(), admin: gateway.address('admin') };
}
