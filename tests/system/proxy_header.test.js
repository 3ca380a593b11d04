// SPDX-License-Identifier: MIT
// PROXY headers: whose connection it is, as a real HAProxy says it, and as those say it who may not.
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs/promises';
import http from 'node:http';
import https from 'node:https';
import net from 'node:net';
import path from 'node:path';
import { describe, test } from 'node:test';

import { makeFolder, optionArguments, runProgram, startGateway } from './lib/gateway.js';
import { BASE } from './lib/person.js';
import { RawSocket } from './lib/raw.js';
import { Authority } from './lib/tls.js';
import { waitFor, within } from './lib/wait.js';

const haproxy = ['/usr/sbin/haproxy', 'haproxy'].find((command) => spawnSync(command, ['-v']).status === 0);
const noHaproxy = haproxy ? false : 'there is no HAProxy';

const NOTHING = Buffer.alloc(0);
const V2_START = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1');
const REFUSED = 'nereidd_connections_refused_total{limit="proxy_trusted"}';

// Who logs in by a header is believed at this address only: so an answer tells which address the gateway sees.
const TRUSTED = '127.0.0.5';
const OTHER = '127.0.0.6';
const KNOWS_ADDRESSES = { 'auth.methods': 'header', 'auth.header': 'X-User', 'auth.trusted': TRUSTED };

const GET = [`GET ${BASE}/get-friends HTTP/1.1`, 'Host: x', 'X-User: alice', 'Connection: close', '', ''].join('\r\n');

const line = (address) => `PROXY TCP4 ${address} 127.0.0.1 40000 80\r\n`;

// A header of version 2; `extensions` are bytes behind the addresses.
function binary(address, { command = 1, family = 0x11, extensions = NOTHING } = {}) {
  const numbers = [...address.split('.'), 127, 0, 0, 1].map(Number);
  const rest = Buffer.concat([Buffer.from([...numbers, 0x9c, 0x40, 0, 80]), extensions]);
  const fixed = Buffer.from([0x20 | command, family, rest.length >> 8, rest.length & 255]);
  return Buffer.concat([V2_START, fixed, rest]);
}

function addressOf(gateway, prefix) {
  return gateway.listeners.find(({ address }) => address.startsWith(prefix)).address.slice(prefix.length);
}

// All that comes for these pieces, which are sent one after the other.
async function answerTo(gateway, ...pieces) {
  const raw = await RawSocket.connect(gateway, addressOf(gateway, 'proxy:'));
  for (const piece of pieces) {
    raw.write(piece);
    await new Promise(setImmediate);
  }
  await raw.untilClosed();
  raw.close();
  return raw.text;
}

async function statusFor(gateway, ...pieces) {
  const text = await answerTo(gateway, ...pieces, GET);
  return Number(/^HTTP\/1\.1 (\d+)/.exec(text)?.[1] ?? 0);
}

function start(t, options) {
  return startGateway(t, {
    'http.listen': ['proxy:127.0.0.1:0', '127.0.0.1:0'],
    'talker.listen': '',
    'proxy.trusted': '127.0.0.1',
    ...KNOWS_ADDRESSES,
    ...options,
  });
}

describe('PROXY headers', { concurrency: 4 }, () => {
  test('the address in the header is the one that counts', async (t) => {
    const gateway = await start(t);
    assert.equal(await statusFor(gateway, line(TRUSTED)), 200);
    assert.equal(await statusFor(gateway, line(OTHER)), 401);
    assert.equal(await statusFor(gateway, binary(TRUSTED)), 200);
    assert.equal(await statusFor(gateway, binary(OTHER)), 401);
    const extensions = Buffer.from([4, 0, 3, 1, 2, 3, 0xe0, 0, 1, 9]);
    assert.equal(await statusFor(gateway, binary(TRUSTED, { extensions })), 200);
  });

  test('in pieces, and in one with what follows', async (t) => {
    const gateway = await start(t);
    assert.equal(await statusFor(gateway, ...line(TRUSTED)), 200);
    assert.equal(await statusFor(gateway, ...[...binary(TRUSTED)].map((byte) => Buffer.from([byte]))), 200);
    const text = await answerTo(gateway, line(TRUSTED) + GET);
    assert.match(text, /^HTTP\/1\.1 200 /);
  });

  test('without an address in it, the connection is the proxy’s own', async (t) => {
    const gateway = await start(t, { 'auth.trusted': '127.0.0.1' });
    assert.equal(await statusFor(gateway, 'PROXY UNKNOWN\r\n'), 200);
    assert.equal(await statusFor(gateway, `PROXY UNKNOWN ${OTHER} ${OTHER} 1 2\r\n`), 200);
    assert.equal(await statusFor(gateway, binary(OTHER, { command: 0 })), 200);
    assert.equal(await statusFor(gateway, binary(OTHER, { family: 0 })), 200);
  });

  test('who is not in proxy.trusted is closed unread', async (t) => {
    const gateway = await start(t, { 'proxy.trusted': '192.0.2.0/24,unix' });
    for (const header of [line(TRUSTED), binary(TRUSTED), '']) assert.equal(await statusFor(gateway, header), 0);
    assert.equal(await gateway.metric(REFUSED), 3);
    await gateway.logged(/warn "connection for proxies refused" address=127\.0\.0\.1 why="it is not in proxy\./);
  });

  test('what is no header, or none that is whole, is closed', async (t) => {
    const gateway = await start(t, { 'tls.handshake_time': '300ms' });
    const spoofed = GET.replace('Host: x', `Host: x\r\nX-Forwarded-For: ${TRUSTED}\r\nX-Forwarded-Proto: https`);
    const cases = [
      spoofed,
      'PROXY TCP4 127.0.0.5\r\n',
      'PROXY TCP4 0127.0.0.5 127.0.0.1 1 2\r\n',
      'PROXY TCP6 :: ::1 1 2\r\n',
      `PROXY UNKNOWN ${'x'.repeat(200)}\r\n`,
      '\0'.repeat(300),
      '\x16\x03\x01\x02\0\x01\0',
      Buffer.concat([V2_START, Buffer.from([0x31, 0x11, 0, 12])]),
      Buffer.concat([V2_START, Buffer.from([0x21, 0x11, 0, 4, 1, 2, 3, 4])]),
      Buffer.concat([V2_START, Buffer.from([0x20, 0, 0xff, 0xff])]),
      binary(TRUSTED).subarray(0, 27),
      line(TRUSTED).slice(0, -1),
    ];
    for (const bytes of cases) assert.equal(await answerTo(gateway, bytes), '');
    assert.equal(await gateway.metric(REFUSED), cases.length);
    const warnings = gateway.stderr.match(/warn "connection for proxies refused"/g).length;
    assert.ok(warnings >= 1 && warnings < cases.length, 'not a line for each');
  });

  test('on a listener without proxy: a header is nothing but nonsense', async (t) => {
    const gateway = await start(t);
    const raw = await RawSocket.connect(gateway, addressOf(gateway, '127.0.0.1:').replace(/^/, '127.0.0.1:'));
    raw.write(line(TRUSTED) + GET);
    assert.match(await raw.untilClosed(), /^HTTP\/1\.1 400 /);
    raw.close();
  });

  test('limits per address go by the header, and the proxy itself has none', async (t) => {
    const gateway = await start(t, { 'limits.connections_per_address': 3 });
    const hold = async (address) => {
      const raw = await RawSocket.connect(gateway, addressOf(gateway, 'proxy:'));
      raw.write(line(address));
      return raw;
    };
    const held = [];
    for (const address of [TRUSTED, OTHER, '192.0.2.9'])
      for (let i = 0; i < 3; i++) held.push(await hold(address));
    await gateway.metricBecomes('nereidd_connections', 9 + 1); // and who asks
    assert.equal(await (await hold(TRUSTED)).untilClosed(), '');
    assert.ok(held.every(({ closed, ended }) => !closed && !ended));
  });

  test('on a Unix socket', async (t) => {
    const folder = await makeFolder(t);
    const spec = `proxy:unix:${folder}/http`;
    const gateway = await start(t, { 'http.listen': spec, 'proxy.trusted': 'unix' });
    assert.equal(gateway.address(), spec);
    assert.equal(await statusFor(gateway, line(TRUSTED)), 200);
    assert.equal(await statusFor(gateway, line(OTHER)), 401);
  });

  test('without proxy.trusted there is nobody to listen to', async (t) => {
    const store = `sqlite:${await makeFolder(t)}/chat.db`;
    const options = { 'http.listen': 'proxy:127.0.0.1:0', 'admin.listen': '', 'talker.listen': '', 'store.url': store };
    const { code, stderr } = await runProgram(optionArguments(options));
    assert.notEqual(code, 0);
    assert.match(stderr, /proxy:, which needs proxy\.trusted/);
  });
});

// --- HAProxy

// `ways` are backends in HAProxy's words by their names, each with a frontend of its own; their ports.
async function startHaproxy(t, mode, ways) {
  const folder = await makeFolder(t);
  const patience = ['connect', 'client', 'server'].map((what) => `  timeout ${what} 10s\n`).join('');
  const sections = [`global\n  maxconn 200\ndefaults\n  mode ${mode}\n${patience}`];
  const listeners = [];
  for (const [name, server] of Object.entries(ways)) {
    const listener = net.createServer().listen(0, '127.0.0.1');
    await once(listener, 'listening');
    sections.push(`listen ${name}\n  bind fd@${3 + listeners.length}\n  server gateway ${server}\n`);
    listeners.push(listener);
  }
  const file = path.join(folder, 'haproxy.cfg');
  await fs.writeFile(file, sections.join(''));
  const ports = listeners.map((listener) => listener.address().port);
  // Who connects before it is ready waits.
  const child = spawn(haproxy, ['-db', '-n', '200', '-f', file], {
    stdio: ['ignore', 'ignore', 'pipe', ...listeners.map((listener) => listener._handle.fd)],
  });
  let log = '';
  child.stderr.setEncoding('utf8').on('data', (text) => (log += text));
  for (const listener of listeners) listener.close();
  const closed = once(child, 'close');
  t.after(async () => {
    if (child.exitCode !== null) assert.fail(`HAProxy did not start:\n${log}`);
    child.kill('SIGTERM');
    await within(closed, 'HAProxy ends').finally(() => child.kill('SIGKILL'));
  });
  return Object.fromEntries(Object.keys(ways).map((name, i) => [name, ports[i]]));
}

// The status of an answer through a proxy on this port, to a client of this address.
async function statusThrough(port, localAddress, tls) {
  const options = { host: '127.0.0.1', port, localAddress, agent: false, path: `${BASE}/get-friends`, ...tls };
  const request = (tls ? https : http).get({ ...options, headers: { 'X-User': 'alice' } });
  const [response] = await within(once(request, 'response'), `an answer to ${localAddress}`);
  response.resume();
  return response.statusCode;
}

describe('behind HAProxy', { skip: noHaproxy, concurrency: 2 }, () => {
  test('send-proxy and send-proxy-v2, in front of plain and of TLS', async (t) => {
    const authority = await Authority.make(t);
    const { certificate, key } = await authority.issue('localhost');
    const gateway = await start(t, {
      'http.listen': ['proxy:127.0.0.1:0', 'proxy:tls:127.0.0.1:0'],
      'tls.certificate': certificate,
      'tls.key': key,
    });
    const plain = addressOf(gateway, 'proxy:');
    const behindTls = addressOf(gateway, 'proxy:tls:');
    const encrypted = `${behindTls} ssl verify required ca-file ${authority.file} sni str(localhost)`;
    const ports = await startHaproxy(t, 'http', {
      version1: `${plain} send-proxy`,
      version2: `${plain} send-proxy-v2`,
      extended: `${plain} send-proxy-v2 proxy-v2-options crc32c,unique-id`,
      encrypted1: `${encrypted} send-proxy`,
      encrypted2: `${encrypted} send-proxy-v2`,
      checked: `${plain} send-proxy-v2 check inter 50ms`,
    });
    for (const [name, port] of Object.entries(ports)) {
      assert.equal(await statusThrough(port, TRUSTED), 200, name);
      assert.equal(await statusThrough(port, OTHER), 401, name);
    }
    // HAProxy's own connections are LOCAL ones; a server that refused them would be down after three.
    const accepted = await gateway.metric('nereidd_accepted_total');
    await waitFor(async () => (await gateway.metric('nereidd_accepted_total')) > accepted + 20, 'several checks');
    assert.equal(await statusThrough(ports.checked, TRUSTED), 200);
    assert.equal(await gateway.metric(REFUSED), 0);
  });

  test('TLS that HAProxy passes through as it is', async (t) => {
    const authority = await Authority.make(t);
    const { certificate, key } = await authority.issue('localhost');
    const gateway = await start(t, {
      'http.listen': 'proxy:tls:127.0.0.1:0',
      'tls.certificate': certificate,
      'tls.key': key,
    });
    const ports = await startHaproxy(t, 'tcp', { through: `${addressOf(gateway, 'proxy:tls:')} send-proxy-v2` });
    const tls = { ca: authority.pem, servername: 'localhost' };
    assert.equal(await statusThrough(ports.through, TRUSTED, tls), 200);
    assert.equal(await statusThrough(ports.through, OTHER, tls), 401);
  });
});
