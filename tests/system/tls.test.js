// SPDX-License-Identifier: MIT
// TLS on every listener: curl, Node, a browser, the program openssl and WebSocket clients, and those who mean no good.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs/promises';
import https from 'node:https';
import net from 'node:net';
import { describe, test } from 'node:test';

import WebSocket from 'ws';

import { noBrowser, startBrowser } from './lib/browser.js';
import { makeFolder, optionArguments, program, runProgram, startGateway } from './lib/gateway.js';
import { BASE, basic, withQuery } from './lib/person.js';
import { descriptors } from './lib/process.js';
import { RawSocket } from './lib/raw.js';
import {
  Authority,
  certificateSeen,
  optionsFor,
  pinOf,
  portOf,
  run,
  sClient,
  startWithTls,
  TlsSocket,
} from './lib/tls.js';
import { PATIENCE_MS, waitFor, within } from './lib/wait.js';

const getOf = (path, user, lines = []) =>
  [`GET ${BASE}${path} HTTP/1.1`, 'Host: localhost', `Authorization: ${basic(user)}`, ...lines, '', ''].join('\r\n');

// A stream over TLS whose head has come.
async function openStream(gateway, user, options) {
  const client = await TlsSocket.connect(gateway, options);
  client.write(getOf('/stream', user));
  await client.until(/HTTP\/1\.1 200 OK[^]*\r\n\r\n/, 'the head of a stream');
  return client;
}

// A curl that goes on; { text, closed }.
function startCurl(t, args) {
  const child = spawn('curl', args);
  const curl = { text: '', closed: once(child, 'close') };
  child.stdout.setEncoding('utf8').on('data', (text) => (curl.text += text));
  t.after(() => child.kill('SIGKILL'));
  return curl;
}

async function refusal(promise) {
  return promise.then(
    () => assert.fail('the handshake should have failed'),
    (error) => error,
  );
}

// What a plain TCP connection gets when it sends `bytes` to the port; '' if it was closed without a word.
async function answerTo(gateway, port, bytes) {
  const raw = await RawSocket.connect(gateway, `127.0.0.1:${port}`);
  raw.write(bytes);
  await raw.untilClosed();
  raw.close();
  return raw.received;
}

describe('TLS', { concurrency: 4 }, () => {
  test('listeners are told by their addresses', async (t) => {
    const gateway = await startWithTls(t);
    const listeners = gateway.listeners.map(({ name, address }) => `${name} ${address.replace(/\d+$/, 'PORT')}`);
    assert.ok(listeners.includes('http tls:127.0.0.1:PORT'), listeners.join('\n'));
    assert.ok(listeners.includes('talker tls:127.0.0.1:PORT'), listeners.join('\n'));
  });

  test('curl: an answer, a stream, and a stream in HTTP/1.0', async (t) => {
    const gateway = await startWithTls(t);
    const [alice, bob] = await gateway.people('alice', 'bob');
    const thread = await alice.thread('bob');
    const base = ['-sS', '--cacert', gateway.authority.file, '--resolve', `localhost:${gateway.port}:127.0.0.1`];
    const friends = await run('curl', [...base, '-u', 'alice:x', `${gateway.origin}${BASE}/get-friends`]);
    assert.equal(friends.code, 0, friends.stderr);
    assert.ok(JSON.parse(friends.stdout));
    const streams = [[], ['--http1.0']].map((how) =>
      startCurl(t, [...base, ...how, '-N', '-u', 'bob:x', `${gateway.origin}${BASE}/stream`]),
    );
    for (const stream of streams) await waitFor(() => stream.text.includes('presence'), 'the stream begins');
    await alice.say(thread, 'behind glass');
    for (const stream of streams) await waitFor(() => stream.text.includes('behind glass'), 'the message comes');
    const unknown = await run('curl', ['-sS', `${gateway.origin}${BASE}/get-friends`]);
    assert.equal(unknown.code, 60, 'who does not know the authority does not trust it');
    assert.ok(bob);
  });

  test('Node: requests one after the other on one connection, and large bodies both ways', async (t) => {
    const gateway = await startWithTls(t, { 'limits.text': '64K', 'limits.body': '256K' });
    const [alice] = await gateway.people('alice', 'bob');
    const thread = await alice.thread('bob');
    const agent = new https.Agent({ keepAlive: true, maxSockets: 1, ca: gateway.authority.pem });
    t.after(() => agent.destroy());
    const ask = async (method, path, body) => {
      const headers = { Authorization: basic('alice'), 'Content-Type': 'application/json' };
      const request = https.request(`${gateway.origin}${BASE}${path}`, { agent, method, headers });
      request.end(body);
      const [response] = await within(once(request, 'response'), path);
      let text = '';
      for await (const part of response.setEncoding('utf8')) text += part;
      return { status: response.statusCode, text, reused: request.reusedSocket };
    };
    const text = 'x'.repeat(60_000);
    for (let i = 0; i < 5; i++) {
      const sent = await ask('POST', '/send-message', JSON.stringify({ thread_id: thread, message: `${i}${text}` }));
      assert.equal(sent.status, 200, sent.text);
      assert.equal(sent.reused, i > 0);
    }
    const history = await ask('GET', `/history/${thread}`);
    assert.equal(history.text.split(text).length, 6);
  });

  test('a token and a stream with it: server-sent events, and polls that wait', async (t) => {
    const gateway = await startWithTls(t);
    const [alice, bob] = await gateway.people('alice', 'bob');
    const thread = await alice.thread('bob');
    const token = await bob.token();
    const stream = await TlsSocket.connect(gateway);
    stream.write(`GET ${BASE}/stream/${token} HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n`);
    await stream.until(/text\/event-stream/);
    const { body } = await bob.get('/poll', { wait: 0 });
    const poll = await TlsSocket.connect(gateway);
    poll.write(getOf(withQuery('/poll', { wait: 30, since: body.cursor }), 'bob'));
    await gateway.metricBecomes('nereidd_tls_connections', 2);
    await alice.say(thread, 'to both');
    await stream.until(/data: .*to both/);
    assert.match((await poll.response()).body, /to both/);
  });

  test('WebSockets with the ws package', async (t) => {
    const gateway = await startWithTls(t);
    const url = `wss://localhost:${gateway.port}/socket.io/?EIO=4&transport=websocket`;
    const socket = new WebSocket(url, { ca: gateway.authority.pem });
    t.after(() => socket.terminate());
    const received = [];
    socket.on('message', (data) => received.push(`${data}`));
    await waitFor(() => received.some((text) => text.startsWith('0{')), 'Engine.IO opens');
    socket.send('40');
    await waitFor(() => received.some((text) => text.startsWith('40{')), 'the namespace');
    const closed = once(socket, 'close');
    socket.close();
    await within(closed, 'the closing handshake');
    await gateway.metricBecomes('nereidd_tls_connections', 0);
  });

  test('Talker', async (t) => {
    const gateway = await startWithTls(t);
    const [alice] = await gateway.people('alice');
    const port = portOf(gateway, { listener: 'talker' });
    const client = await TlsSocket.connect(gateway, { port });
    client.write(`${JSON.stringify({ type: 'connect', room: 'glass', token: await alice.token() })}\n`);
    await client.until(/"connected"/);
    client.write('{"type":"message","content":"in a room of glass"}\n');
    await client.until(/in a room of glass/);
    client.write('{"type":"close"}\n');
    await client.untilClosed();
  });

  test('a browser: pages, fetch as a stream, EventSource and WebSocket', { skip: noBrowser }, async (t) => {
    const folder = await makeFolder(t);
    await fs.writeFile(`${folder}/index.html`, '<!doctype html><title>glass</title><h1 id="it">behind glass</h1>');
    const gateway = await startWithTls(t, { 'http.www': folder });
    const [alice, bob] = await gateway.people('alice', 'bob');
    const thread = await alice.thread('bob');
    const token = await bob.token();
    const pin = await pinOf(gateway.pair.certificate);
    const browser = await startBrowser(t, { args: [`--ignore-certificate-errors-spki-list=${pin}`] });
    const page = await browser.newPage();
    await page.goto(`${gateway.origin}/index.html`);
    assert.equal(await page.textContent('#it'), 'behind glass');
    await page.evaluate(
      ({ token, base }) => {
        window.seen = { events: '', stream: '', socket: '' };
        new EventSource(`${base}/stream/${token}`).onmessage = ({ data }) => (window.seen.events += data);
        fetch(`${base}/stream/${token}`, { method: 'POST' }).then(async ({ body }) => {
          const reader = body.pipeThrough(new TextDecoderStream()).getReader();
          for (let part = await reader.read(); !part.done; part = await reader.read()) window.seen.stream += part.value;
        });
        const socket = new WebSocket(`wss://${location.host}/socket.io/?EIO=4&transport=websocket`);
        socket.onmessage = ({ data }) => (window.seen.socket += data);
      },
      { token, base: BASE },
    );
    await page.waitForFunction(() => window.seen.socket.includes('"sid"'));
    await page.waitForFunction(() => window.seen.events.includes('presence'));
    await page.waitForFunction(() => window.seen.stream.includes('presence'));
    await alice.say(thread, 'through the glass');
    await page.waitForFunction(() => window.seen.events.includes('through the glass'));
    await page.waitForFunction(() => window.seen.stream.includes('through the glass'));
  });

  test('a socket that systemd passes', async (t) => {
    const authority = await Authority.make(t);
    const { certificate, key } = await authority.issue('localhost');
    const server = net.createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address();
    const folder = await makeFolder(t);
    const args = optionArguments({
      'store.url': `sqlite:${folder}/chat.db`,
      'http.listen': 'tls:systemd:http',
      'admin.listen': '',
      'talker.listen': '',
      'auth.demo_anywhere': 'yes',
      'tls.certificate': certificate,
      'tls.key': key,
    });
    // The manager names the process that its sockets are for, which only that process itself knows in time.
    const script = 'LISTEN_PID=$$; export LISTEN_PID; exec "$0" "$@"';
    const child = spawn('sh', ['-c', script, program, ...args], {
      env: { ...process.env, LISTEN_FDS: '1', LISTEN_FDNAMES: 'http' },
      stdio: ['ignore', 'pipe', 'inherit', server._handle.fd],
    });
    const closed = once(child, 'close');
    t.after(() => child.kill('SIGKILL'));
    server.close();
    const [line] = await within(once(child.stdout.setEncoding('utf8'), 'data'), 'it says where it listens');
    assert.equal(line, `listening http tls:127.0.0.1:${port}\n`);
    const client = await TlsSocket.connect({ authority, clients: new Set() }, { port });
    client.write(getOf('/get-friends', 'alice'));
    assert.equal((await client.response()).status, 200);
    client.close();
    child.kill('SIGTERM');
    assert.deepEqual(await within(closed, 'it ends'), [0, null]);
  });

  describe('what is negotiated', () => {
    test('TLS 1.2 and 1.3 are spoken, older ones are not, whatever tls.priorities says', async (t) => {
      const gateway = await startWithTls(t, { 'tls.priorities': 'NORMAL:+VERS-TLS1.0:+VERS-TLS1.1' });
      const anything = ['-cipher', 'ALL:@SECLEVEL=0'];
      for (const version of ['-tls1_2', '-tls1_3'])
        assert.match(await sClient(gateway, [version]), /Verify return code: 0 \(ok\)/);
      for (const version of ['-tls1', '-tls1_1'])
        assert.match(await sClient(gateway, [version, ...anything]), /alert protocol version/);
    });

    test('weak ciphers are refused', async (t) => {
      const gateway = await startWithTls(t);
      for (const cipher of 'NULL aNULL RC4 3DES EXPORT LOW CAMELLIA SEED IDEA MD5 PSK'.split(' ')) {
        const told = await sClient(gateway, ['-tls1_2', '-cipher', `${cipher}:@SECLEVEL=0`]);
        assert.match(told, /alert handshake failure|no ciphers available|no cipher match/, cipher);
        assert.doesNotMatch(told, /Cipher is [A-Z]/);
      }
    });

    test('renegotiation ends the connection', async (t) => {
      const gateway = await startWithTls(t);
      const told = await sClient(gateway, ['-tls1_2'], 'R\n');
      assert.match(told, /RENEGOTIATING[^]*no renegotiation/);
      await gateway.metricBecomes('nereidd_tls_connections', 0);
    });

    test('sessions are resumed, also after a reload', async (t) => {
      const gateway = await startWithTls(t);
      for (const version of ['TLSv1.2', 'TLSv1.3']) {
        const options = { minVersion: version, maxVersion: version };
        const first = await TlsSocket.connect(gateway, options);
        first.write(getOf('/get-friends', 'alice'));
        await first.response();
        await waitFor(() => first.session, 'a ticket');
        assert.equal(first.socket.isSessionReused(), false);
        gateway.signal('SIGHUP');
        await gateway.logged(/reloaded/);
        const second = await TlsSocket.connect(gateway, { ...options, session: first.session });
        assert.equal(second.socket.isSessionReused(), true, version);
        second.write(getOf('/get-friends', 'alice'));
        assert.equal((await second.response()).status, 200);
      }
    });

    test('ALPN: http/1.1 where it is offered; who knows other protocols only is refused', async (t) => {
      const gateway = await startWithTls(t);
      const protocolFor = async (...ALPNProtocols) => {
        const client = await TlsSocket.connect(gateway, { ALPNProtocols });
        client.close();
        return client.socket.alpnProtocol;
      };
      assert.equal(await protocolFor('h2', 'http/1.1'), 'http/1.1');
      assert.equal(await protocolFor(), false);
      const { code } = await refusal(protocolFor('h2'));
      assert.equal(code, 'ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL');
    });

    test('the name that is asked for picks the certificate', async (t) => {
      const authority = await Authority.make(t);
      const pairs = [
        await authority.issue('first', { hosts: ['first.test'], kind: 'rsa' }),
        await authority.issue('second', { hosts: ['second.test', '*.second.test'] }),
      ];
      const gateway = await startGateway(t, optionsFor(...pairs));
      Object.assign(gateway, { authority, port: portOf(gateway) });
      for (const [asked, shown] of [
        ['first.test', 'first.test'],
        ['second.test', 'second.test'],
        ['WWW.second.test', 'second.test'],
        ['elsewhere.test', 'first.test'],
        ['', 'first.test'],
      ])
        assert.equal((await certificateSeen(gateway, asked)).name, shown, asked);
    });

    test('a certificate for another host is not taken by clients', async (t) => {
      const authority = await Authority.make(t);
      const gateway = await startGateway(t, optionsFor(await authority.issue('other', { hosts: ['other.test'] })));
      Object.assign(gateway, { authority, port: portOf(gateway) });
      assert.equal((await refusal(TlsSocket.connect(gateway))).code, 'ERR_TLS_CERT_ALTNAME_INVALID');
    });
  });

  describe('ends', () => {
    test('a client that goes takes its session along: close_notify, FIN alone, RST', async (t) => {
      const gateway = await startWithTls(t);
      const bob = (await gateway.people('alice', 'bob'))[1];
      await bob.thread('alice');
      const goodbyes = {
        'close_notify and FIN': ({ socket }) => socket.end(),
        'FIN alone': ({ raw }) => raw.end(),
        RST: ({ raw }) => raw.resetAndDestroy(),
      };
      for (const [how, goodbye] of Object.entries(goodbyes)) {
        const raw = net.connect(gateway.port, '127.0.0.1');
        await once(raw, 'connect');
        const stream = await openStream(gateway, 'alice', { socket: raw });
        await gateway.metricBecomes('nereidd_tls_connections', 1);
        goodbye({ socket: stream.socket, raw });
        await gateway.metricBecomes('nereidd_tls_connections', 0);
        stream.close();
        assert.ok(how);
      }
    });

    test('so do those who wait for a poll, and those with a WebSocket', async (t) => {
      const gateway = await startWithTls(t);
      const [alice] = await gateway.people('alice');
      const { body } = await alice.get('/poll', { wait: 0 });
      const poll = await TlsSocket.connect(gateway);
      poll.write(getOf(withQuery('/poll', { wait: 60, since: body.cursor }), 'alice'));
      const socket = new WebSocket(`wss://localhost:${gateway.port}/socket.io/?EIO=4&transport=websocket`, {
        ca: gateway.authority.pem,
      });
      await within(once(socket, 'message'), 'Engine.IO opens');
      await gateway.metricBecomes('nereidd_tls_connections', 2);
      poll.close();
      await gateway.metricBecomes('nereidd_tls_connections', 1);
      socket.terminate();
      await gateway.metricBecomes('nereidd_tls_connections', 0);
    });

    test('a slow head is ended in time', async (t) => {
      const gateway = await startWithTls(t, { 'limits.header_time': '3s' });
      const [silent, half] = [await TlsSocket.connect(gateway), await TlsSocket.connect(gateway)];
      half.write(`GET ${BASE}/get-friends HTTP/1.1\r\nHost: loc`);
      assert.match(await half.untilClosed(), /^(HTTP\/1\.1 408 |$)/);
      assert.equal(await silent.untilClosed(), '');
      for (const client of [silent, half]) client.close();
      await gateway.metricBecomes('nereidd_tls_connections', 0);
    });

    test('what the gateway ends is ended with all that was said before', async (t) => {
      const gateway = await startWithTls(t);
      const client = await TlsSocket.connect(gateway);
      client.write(getOf('/get-friends', 'alice', ['Connection: close']));
      assert.match(await client.untilClosed(), /^HTTP\/1\.1 200 OK[^]*\r\n\r\n\{/);
      assert.ok(client.ended, 'with close_notify: Node says `end`');
    });

    test('descriptors are three for each connection, and none when they are gone', async (t) => {
      const gateway = await startWithTls(t);
      await (await openStream(gateway, 'zoe')).close();
      await gateway.metricBecomes('nereidd_tls_connections', 0);
      const before = await descriptors(gateway.pid);
      const clients = await Promise.all(Array.from({ length: 20 }, (_, i) => openStream(gateway, `user${i}`)));
      await waitFor(async () => (await descriptors(gateway.pid)) === before + 3 * clients.length, 'three each');
      for (const client of clients) client.close();
      await waitFor(async () => (await descriptors(gateway.pid)) === before, 'all are closed');
    });

    test('draining: streams are ended in good order, and the program ends soon', async (t) => {
      const gateway = await startWithTls(t);
      const streams = await Promise.all(['alice', 'bob'].map((user) => openStream(gateway, user)));
      const half = await RawSocket.connect(gateway, `127.0.0.1:${gateway.port}`);
      half.write('\x16\x03\x01');
      gateway.signal('SIGTERM');
      for (const stream of streams) {
        assert.match(await stream.untilClosed(), /shutting_down[^]*0\r\n\r\n$/);
        assert.ok(stream.ended);
        stream.close();
      }
      await half.untilClosed();
      assert.deepEqual(await gateway.ended(), { code: 0, signal: null });
      assert.doesNotMatch(gateway.stderr, /draining took too long/);
    });
  });

  describe('those who mean no good', () => {
    test('a handshake that is not finished is ended in time, however slowly it goes on', async (t) => {
      const gateway = await startWithTls(t, { 'tls.handshake_time': '600ms' });
      const hello = await helloOf(gateway);
      const silent = await RawSocket.connect(gateway, `127.0.0.1:${gateway.port}`);
      const half = await RawSocket.connect(gateway, `127.0.0.1:${gateway.port}`);
      const slow = await RawSocket.connect(gateway, `127.0.0.1:${gateway.port}`);
      half.write(hello.subarray(0, hello.length / 2));
      let at = 0;
      await waitFor(() => {
        if (at < hello.length - 1 && !slow.ended && !slow.closed) slow.write(hello.subarray(at, ++at));
        return [silent, half, slow].every(({ ended, closed }) => ended || closed);
      }, 'all three are closed');
      assert.ok(at < hello.length - 1, 'a byte now and then buys no time');
      assert.equal(await gateway.limitHits('tls_handshake_time'), 3);
      assert.equal(await gateway.metric('nereidd_tls_handshakes_total{result="failed"}'), 3);
    });

    test('what is no TLS is closed; TLS on a plain port is answered as nonsense', async (t) => {
      const gateway = await startWithTls(t);
      const texts = [
        'GET / HTTP/1.1\r\nHost: x\r\n\r\n',
        '{"type":"connect"}\n',
        'PROXY TCP4 1.2.3.4 1.2.3.4 1 1\r\n',
        '\0'.repeat(64),
      ];
      for (const text of texts) {
        const answer = await answerTo(gateway, gateway.port, text);
        assert.ok(answer.length <= 7, 'an alert at most');
        assert.doesNotMatch(answer.toString('latin1'), /HTTP/);
      }
      const hello = await helloOf(gateway);
      const plain = portOf(gateway, { prefix: '127.0.0.1:' });
      const answer = await answerTo(gateway, plain, Buffer.concat([hello, Buffer.from('\r\n\r\n')]));
      assert.match(answer.toString('latin1'), /^(HTTP\/1\.1 400 |$)/);
      const talker = portOf(gateway, { listener: 'talker', prefix: '127.0.0.1:' });
      assert.match((await answerTo(gateway, talker, Buffer.concat([hello, Buffer.from('\n')]))).toString(), /"error"/);
      assert.equal(await gateway.metric('nereidd_tls_handshakes_total{result="failed"}'), texts.length);
    });

    test('handshakes from one address are limited, and others are served meanwhile', async (t) => {
      const gateway = await startWithTls(t, { 'limits.handshake_rate': 5 });
      const stream = await openStream(gateway, 'alice');
      for (let i = 0; i < 4; i++) (await TlsSocket.connect(gateway)).close();
      await refusal(TlsSocket.connect(gateway));
      assert.equal(await gateway.limitHits('handshake_rate'), 1);
      const [alice] = await gateway.people('alice', 'bob');
      await alice.say(await alice.thread('bob'), 'still here');
      await stream.until(/still here/);
    });

    test('a slow reader is ended and costs no more than its share', async (t) => {
      const gateway = await startWithTls(t, { 'limits.queue': '64K', 'limits.text': '32K', 'limits.body': '64K' });
      const [alice] = await gateway.people('alice', 'bob');
      const thread = await alice.thread('bob');
      const slow = await openStream(gateway, 'bob');
      slow.socket.pause();
      const text = 'x'.repeat(30_000);
      await waitFor(async () => {
        for (let i = 0; i < 20; i++) await alice.say(thread, text);
        return (await gateway.limitHits('queue')) > 0;
      }, 'the slow reader is ended', 4 * PATIENCE_MS);
      slow.socket.resume();
      await slow.untilClosed();
      slow.close();
      await gateway.metricBecomes('nereidd_tls_connections', 0);
    });
  });

  describe('certificates', () => {
    async function reload(gateway, says) {
      gateway.stderr = '';
      gateway.signal('SIGHUP');
      await gateway.logged(says);
    }

    test('SIGHUP: new connections see the new one, streams go on', async (t) => {
      const gateway = await startWithTls(t);
      const [alice] = await gateway.people('alice', 'bob');
      const stream = await openStream(gateway, 'bob');
      const before = await certificateSeen(gateway, 'localhost');
      await gateway.authority.issue('localhost', { kind: 'rsa' });
      await reload(gateway, /reloaded/);
      assert.notEqual((await certificateSeen(gateway, 'localhost')).fingerprint, before.fingerprint);
      await alice.say(await alice.thread('bob'), 'under the old one');
      await stream.until(/under the old one/);
    });

    test('SIGHUP: a bad one changes nothing', async (t) => {
      const gateway = await startWithTls(t);
      const { certificate, key } = gateway.pair;
      const before = await certificateSeen(gateway, 'localhost');
      const other = await gateway.authority.issue('other');
      const saved = await Promise.all([certificate, key].map((file) => fs.readFile(file)));
      const spoilers = {
        'it is not the key': () => fs.copyFile(other.key, key),
        'No such file': () => fs.rm(certificate),
        'a certificate has expired': () => gateway.authority.issue('localhost', { days: -1 }),
        'others may read': () => fs.chmod(key, 0o644),
        'cannot use a certificate': () => fs.writeFile(certificate, 'nonsense'),
      };
      for (const [says, spoil] of Object.entries(spoilers)) {
        await spoil();
        await reload(gateway, new RegExp(`error .*${says}`));
        assert.deepEqual(await certificateSeen(gateway, 'localhost'), before, says);
        await fs.writeFile(certificate, saved[0]);
        await fs.writeFile(key, saved[1]);
        await fs.chmod(key, 0o600);
      }
      await reload(gateway, /reloaded/);
    });

    test('at start an expired one is only warned of', async (t) => {
      const authority = await Authority.make(t);
      const pair = await authority.issue('localhost', { days: -1 });
      const gateway = await startGateway(t, optionsFor(pair));
      await gateway.logged(/warn "a certificate has expired"/);
      Object.assign(gateway, { authority, port: portOf(gateway) });
      assert.equal((await refusal(TlsSocket.connect(gateway))).code, 'CERT_HAS_EXPIRED');
      const end = await gateway.metric('nereidd_tls_certificate_end_seconds');
      assert.ok(end < Date.now() / 1000 && end > Date.now() / 1000 - 3 * 86400);
    });

    test('what cannot work is said before anything is opened', async (t) => {
      const folder = await makeFolder(t);
      const authority = await Authority.make(t);
      const [pair, other] = [await authority.issue('one'), await authority.issue('two')];
      const others = { 'store.url': `sqlite:${folder}/chat.db`, 'admin.listen': '', 'talker.listen': '' };
      const cases = [
        [{ 'http.listen': 'tls:127.0.0.1:0' }, /tls\.certificate/],
        [{ 'tls.certificate': pair.certificate, 'tls.key': other.key }, /not the key of the certificate/],
        [{ 'tls.certificate': pair.certificate, 'tls.key': `${folder}/none` }, /No such file/],
        [{ 'tls.certificate': pair.certificate, 'tls.key': pair.key, 'tls.priorities': 'NONSENSE' }, /tls\.priorities/],
      ];
      for (const [options, says] of cases) {
        const { code, stderr } = await runProgram(optionArguments({ ...others, ...options }));
        assert.notEqual(code, 0);
        assert.match(stderr, says);
      }
    });
  });
});

// The first bytes of a client of TLS.
async function helloOf(gateway) {
  const server = net.createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const got = once(server, 'connection').then(async ([socket]) => {
    const [bytes] = await once(socket, 'data');
    socket.destroy();
    return bytes;
  });
  const failed = refusal(TlsSocket.connect(gateway, { port: server.address().port }));
  const bytes = await within(got, 'a hello');
  server.close();
  await failed;
  return bytes;
}
