// SPDX-License-Identifier: MIT
// nereidctl probe, the doctor: its verdict on each real proxy and each relay between it and a real gateway; and that
// the lines it prints for nginx and HAProxy, put where it says, make streams pass.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import fs from 'node:fs/promises';
import http from 'node:http';
import net from 'node:net';
import { describe, test } from 'node:test';

import { makeDaemon, programOf, startNginx } from './lib/daemon.js';
import { makeFolder, startGateway } from './lib/gateway.js';
import { noHop, startHop } from './lib/hops.js';
import { runCtl } from './lib/nereidctl.js';
import { RawSocket } from './lib/raw.js';
import { Authority } from './lib/tls.js';

const PASSES = 0;
const FAILS = 1;
const EX_UNAVAILABLE = 69;
const EX_PROTOCOL = 76;

const nginx = programOf('nginx', '-v');
const haproxy = programOf('haproxy', '-v');

// What the proxies of whoever runs the tests would do.
const NO_PROXIES = { http_proxy: '', https_proxy: '', HTTPS_PROXY: '', all_proxy: '', ALL_PROXY: '', no_proxy: '' };

async function probe(...args) {
  const env = typeof args.at(-1) === 'object' ? args.pop() : {};
  const run = await runCtl(['probe', ...args], { env: { ...NO_PROXIES, ...env } });
  assert.equal(run.stderr, '', 'a verdict is told on standard output');
  return run;
}

async function json(...args) {
  const { code, stdout } = await probe('--json', ...args);
  return { code, ...JSON.parse(stdout) };
}

// A machine that stands still for half a second holds streams back too; a hop does it every time.
async function patiently(examine) {
  for (let left = 2; ; left--) {
    try {
      return await examine();
    } catch (error) {
      if (!left || error.code !== 'ERR_ASSERTION') throw error;
    }
  }
}

const toHop = ({ proxy, url }) => (proxy ? ['-x', proxy, url] : [url]);

// The lines to change: those that are set in.
const linesOf = ({ lines }) => lines.filter((line) => /^ {4}/.test(line));

// An HTTP server that is no nereidd, and what it was asked for.
async function startServer(t, handle) {
  const asked = [];
  const server = http.createServer((request, answer) => {
    asked.push(request.url);
    handle(request, answer);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  t.after(() => server.closeAllConnections());
  return { asked, url: `http://127.0.0.1:${server.address().port}` };
}

// ---- Verdicts ----

describe('the verdict of nereidctl probe', { concurrency: 8 }, () => {
  const between = (from, to) => (number) => number >= from && number <= to;
  const rows = [
    // hop, its options, how long it is watched, verdict, what is told of it
    ['none', {}, 5, 'passes', { ms: between(0, 299), proxies: [] }],
    ['nginx', {}, 1, 'passes', { ms: between(0, 299), proxies: ['nginx'] }],
    ['nginx_holds', {}, 1, 'held_bytes', { bytes: between(4096, 17000), proxies: ['nginx'], server: /^nginx\// }],
    ['nginx_gzips', {}, 1, 'held_until_end', { coding: /^gzip$/ }],
    ['haproxy', {}, 1, 'passes', { ms: between(100, 400), proxies: [] }],
    ['squid', {}, 1, 'passes', { ms: between(0, 299), proxies: ['Squid'], via: /squid/ }],
    ['tinyproxy', {}, 1, 'passes', { ms: between(0, 299), via: /tinyproxy/ }],
    ['relay', {}, 1, 'passes', { ms: between(0, 299) }],
    ['holds_all', {}, 1, 'held_until_end', { bytes: between(320_000, 340_000), proxies: [] }],
    ['holds_bytes', { bytes: 300 }, 1, 'held_bytes', { bytes: between(270, 420) }],
    ['holds_bytes', { bytes: 4096 }, 1, 'held_bytes', { bytes: between(4096, 7000) }],
    ['holds_bytes', { bytes: 65_536 }, 1, 'held_bytes', { bytes: between(65_536, 120_000) }],
    ['cuts', { ms: 800 }, 1, 'cut', { ms: between(700, 1500) }],
    ['cuts', { ms: 3000 }, 5, 'cut', { ms: between(2900, 3900) }],
    ['cuts', { ms: 3000 }, 1, 'passes', {}], // nobody looked for so long
  ];
  const holds = (value, expected) => {
    if (typeof expected === 'function') return assert.ok(expected(value), `${value}`);
    if (expected instanceof RegExp) return assert.match(value, expected);
    return assert.deepEqual(value, expected);
  };
  for (const [kind, options, seconds, verdict, told] of rows) {
    const name = `${kind} ${JSON.stringify(options)} watched for ${seconds} s: ${verdict}`;
    test(name, { skip: noHop(kind) }, async (t) => {
      const gateway = await startGateway(t);
      const hop = await startHop(t, kind, gateway, options);
      await patiently(async () => {
        const found = await json('--seconds', String(seconds), ...toHop(hop));
        assert.equal(found.verdict, verdict, JSON.stringify(found));
        assert.equal(found.code, verdict === 'passes' ? PASSES : FAILS);
        assert.equal(found.status, 200);
        for (const [key, expected] of Object.entries(told)) holds(found[key], expected);
      });
    });
  }

  test('is told in words, and each mark if that is wanted', async (t) => {
    const gateway = await startGateway(t);
    const hop = await startHop(t, 'holds_all', gateway);
    await patiently(async () => {
      const { stdout } = await probe('--seconds', '1', gateway.url);
      assert.equal(stdout, 'Streams pass. Messages are there as soon as they are sent.\n');
    });
    const held = await probe('-v', hop.url);
    assert.equal(held.code, FAILS);
    assert.match(held.stdout, /^Streams are held back until their end, 3\d\d KB and more\.\n/);
    for (const name of ['nginx', 'HAProxy', 'Squid', 'Apache'])
      assert.match(held.stdout, new RegExp(`^${name}\\b`, 'm'));
    assert.match(held.stdout, /^run +mark +bytes +sent ms +arrived ms +late ms$/m);
    assert.equal(held.lines.filter((line) => /^ *\d+( +\d+){5}$/.test(line)).length, 5 + 20 + 20, held.stdout);
  });
});

// ---- Advice ----

// nginx with lines in its server, and others in the location there.
async function startSickNginx(t, gateway, { server, location = [] }) {
  const daemon = await makeDaemon(t, 'nginx');
  const config = () => `
    server {
        listen 127.0.0.1:${daemon.port};
        ${server.join('\n')}
        location / {
            proxy_pass http://${gateway.address()};
            ${location.join('\n')}
        }
    }`;
  await startNginx(daemon, nginx, config);
  return `http://127.0.0.1:${daemon.port}`;
}

async function startSickHaproxy(t, gateway, { defaults = [], backend = [] }) {
  const daemon = await makeDaemon(t, 'haproxy');
  const file = `${daemon.folder}/haproxy.cfg`;
  const config = `
defaults
    mode http
    timeout connect 5s
    timeout client 60s
    timeout server 60s
    ${defaults.join('\n')}
frontend near
    bind fd@3
    default_backend far
backend far
    ${backend.join('\n')}
    server gateway ${gateway.address()}
`;
  await fs.writeFile(file, config);
  await daemon.start(haproxy, ['-db', '-n', '500', '-f', file]);
  return `http://127.0.0.1:${daemon.port}`;
}

// What is wrong is told; then the lines that are told with it are put where they belong, and nothing is.
async function cures({ sick, cured, says, picks = () => true, heals }) {
  const sickUrl = await sick();
  const lines = await patiently(async () => {
    const found = await probe('--seconds', '3', sickUrl);
    assert.match(found.stdout, says);
    return linesOf(found).filter(picks);
  });
  assert.ok(lines.length, 'there is a line to change');
  const url = await cured(lines);
  await patiently(async () => {
    const healed = await json('--seconds', '3', url);
    assert.equal(healed.verdict, 'passes', `with ${lines.join('\n')}: ${JSON.stringify(healed)}`);
    if (heals) heals(healed);
  });
}

describe('the advice of nereidctl probe makes streams pass', { concurrency: 6 }, () => {
  for (const [what, says, server] of [
    [
      'buffers whatever nereidd asks for',
      /^Streams are held back until there are about/,
      ['proxy_ignore_headers X-Accel-Buffering;'],
    ],
    [
      'compresses and buffers',
      /^Streams are held back until their end/,
      ['proxy_ignore_headers X-Accel-Buffering;', 'proxy_http_version 1.1;', 'gzip on;', 'gzip_types *;'],
    ],
    ['has no patience', /^Streams pass, but are cut after 2\.\d s\.\n/, ['proxy_read_timeout 2s;']],
  ]) {
    test(`for nginx that ${what}`, { skip: !nginx && 'there is no nginx' }, async (t) => {
      const gateway = await startGateway(t);
      const sick = () => startSickNginx(t, gateway, { server });
      const cured = (location) => startSickNginx(t, gateway, { server, location });
      await cures({ sick, cured, says });
    });
  }

  // HAProxy does not say who it is, so the lines are there for all; its own are known by their words.
  const isHaproxys = (line) => /^ +(http-re|timeout server|option)/.test(line);
  const skip = !haproxy && 'there is no haproxy';

  test('for HAProxy that waits for the body', { skip }, async (t) => {
    const gateway = await startGateway(t);
    const sick = () => startSickHaproxy(t, gateway, { backend: ['http-response wait-for-body time 60s'] });
    const cured = (backend) => startSickHaproxy(t, gateway, { backend });
    await cures({ sick, cured, says: /^Streams are held back/, picks: isHaproxys });
  });

  test('for HAProxy that has no patience', { skip }, async (t) => {
    const gateway = await startGateway(t);
    const defaults = ['timeout server 2s'];
    const sick = () => startSickHaproxy(t, gateway, { defaults });
    const cured = (backend) => startSickHaproxy(t, gateway, { defaults, backend });
    await cures({ sick, cured, says: /^Streams pass, but are cut after/, picks: isHaproxys });
  });

  test('for HAProxy that gathers segments, at once too', { skip }, async (t) => {
    const gateway = await startGateway(t);
    const sick = () => startSickHaproxy(t, gateway, {});
    const cured = (defaults) => startSickHaproxy(t, gateway, { defaults });
    const says = /^Streams pass, but everything comes about \d+ ms late/;
    const heals = ({ ms }) => assert.ok(ms < 150, `${ms} ms late`);
    await cures({ sick, cured, says, picks: isHaproxys, heals });
  });
});

// ---- Ways ----

describe('nereidctl probe goes where users go', { concurrency: 4 }, () => {
  test('to the probe of any URL that leads there', async (t) => {
    const cases = {
      '': '/nereid-chat/probe',
      '/': '/nereid-chat/probe',
      '/nereid-chat': '/nereid-chat/probe',
      '/nereid-chat/': '/nereid-chat/probe',
      '/nereid-chat/probe?marks=3#x': '/nereid-chat/probe',
      '/our/chat//': '/our/chat/nereid-chat/probe',
    };
    const server = await startServer(t, (request, answer) => answer.writeHead(404).end());
    for (const [given, path] of Object.entries(cases)) {
      await probe(server.url + given);
      assert.equal(server.asked.pop(), `${path}?marks=5&gap=400&pad=0`);
    }
    await probe(server.url.replace('http://', ''));
    await probe(server.url.replace('http://', 'HTTP://user:password@'));
    assert.equal(server.asked.length, 2, 'http is meant where nothing else is said');
  });

  test('by https, if the certificate is to be trusted', async (t) => {
    const authority = await Authority.make(t);
    const { certificate, key } = await authority.issue('chat');
    const options = { 'http.listen': 'tls:127.0.0.1:0', 'tls.certificate': certificate, 'tls.key': key };
    const gateway = await startGateway(t, options);
    const url = `https://localhost:${gateway.address().split(':').pop()}`;
    const args = ['--cacert', authority.file, '--seconds', '1'];
    await patiently(async () => assert.equal((await json(...args, url)).verdict, 'passes'));
    const untrusting = await probe(url);
    assert.equal(untrusting.code, EX_UNAVAILABLE);
    assert.match(untrusting.stdout, /^The probe was not answered: .*certificate/);
    if (noHop('tinyproxy')) return;
    const { proxy } = await startHop(t, 'tinyproxy', gateway);
    await patiently(async () => {
      const found = await json('-x', proxy, ...args, url);
      assert.deepEqual([found.verdict, found.via], ['passes', ''], 'a tunnel adds nothing');
    });
  });

  test('through the proxy of the environment, or the one that is named', { skip: noHop('tinyproxy') }, async (t) => {
    const gateway = await startGateway(t);
    const { proxy } = await startHop(t, 'tinyproxy', gateway);
    const via = async (...args) => /tinyproxy/.test((await json('--seconds', '0', ...args)).via);
    assert.equal(await via(gateway.url), false);
    assert.equal(await via(gateway.url, { http_proxy: proxy }), true);
    assert.equal(await via(gateway.url, { http_proxy: proxy, no_proxy: '127.0.0.1' }), false);
    assert.equal(await via('-x', proxy, gateway.url, { no_proxy: '*' }), true);
    assert.equal(await via('-x', '', gateway.url, { http_proxy: proxy }), false);
  });
});

describe('the probe', () => {
  test('ends for who does not read, and says so', async (t) => {
    const folder = await makeFolder(t);
    const gateway = await startGateway(t, { 'http.listen': `unix:${folder}/http` }); // which holds little by itself
    const lazy = await RawSocket.connect(gateway, `unix:${folder}/http`, { reading: false });
    lazy.send(['GET /nereid-chat/probe?marks=100&gap=0&pad=65536 HTTP/1.1', 'Host: localhost']);
    await gateway.logged(/info "probe ended: slow reader" address=\S* queued_bytes=\d+/);
    assert.equal(await gateway.limitHits('queue'), 1);
    lazy.close();
  });
});

describe('nereidctl probe says why there is no answer', { concurrency: 4 }, () => {
  const rows = [
    [401, {}, /wants a login/, EX_PROTOCOL],
    [404, {}, /pass on \/nereid-chat\//, EX_PROTOCOL],
    [301, { Location: 'https://elsewhere/\x7f' }, /\nLocation: https:\/\/elsewhere\/\\x7f\n/, EX_PROTOCOL],
    [502, { Server: 'nginx/1.2.3' }, /cannot reach nereidd\.\n\nServer: nginx\/1\.2\.3\n/, EX_UNAVAILABLE],
    [504, {}, /waited too long/, EX_UNAVAILABLE],
  ];
  for (const [status, headers, pattern, code] of rows) {
    test(`status ${status}`, async (t) => {
      const lines = Object.entries(headers).map(([key, value]) => `${key}: ${value}`);
      const head = [`HTTP/1.1 ${status} X`, ...lines, '', ''].join('\r\n'); // by hand, for what Node would not send
      const server = await startServer(t, (request, answer) => answer.socket.end(head));
      const { code: ended, stdout } = await probe(server.url);
      assert.match(stdout, new RegExp(`^The probe was not answered: HTTP status ${status}\\.\\n`));
      assert.match(stdout, pattern);
      assert.equal(ended, code);
      const found = await json(server.url);
      assert.deepEqual([found.location, found.message], [headers.Location?.replace('\x7f', '\\x7f') ?? '', '']);
    });
  }

  test('a page that is no probe', async (t) => {
    const { url } = await startServer(t, (request, answer) => answer.end('<html>\n\x1b[2J Log in</html>\n'));
    const { code, stdout } = await probe(url);
    assert.equal(stdout, 'The probe was not answered: what answers is no probe of nereidd.\n');
    assert.equal(code, EX_PROTOCOL);
  });

  test('marks that cannot be, and marks with something else behind them', async (t) => {
    const mark = (time) => `{"mark":1,"timestamp":"${time}"}\n`;
    const impossible = [
      mark('2026-01-01T00:00:00Z') + '<html>\n',
      mark('2026-01-01T00:00:01Z') + mark('2026-01-01T00:00:00Z'),
      mark('2026-01-01T00:00:00Z') + mark('9999-12-31T23:59:59Z'),
    ];
    for (const body of impossible) {
      const { url } = await startServer(t, (request, answer) => answer.end(body));
      const { code, stdout } = await probe(url);
      assert.equal(stdout, 'The probe was not answered: what answers is no probe of nereidd.\n');
      assert.equal(code, EX_PROTOCOL);
    }
  });

  test('an error page without an end', async (t) => {
    const endless = (answer) => answer.write('x'.repeat(65536), () => answer.destroyed || endless(answer));
    const { url } = await startServer(t, (request, answer) => endless(answer.writeHead(500)));
    const { code, stdout } = await probe(url);
    assert.equal(stdout.split('\n')[0], 'The probe was not answered: HTTP status 500.');
    assert.equal(code, EX_UNAVAILABLE);
  });

  test('nobody, and nobody who speaks', async (t) => {
    const silent = net.createServer(() => {}).listen(0, '127.0.0.1');
    await once(silent, 'listening');
    t.after(() => silent.close());
    const url = `http://127.0.0.1:${silent.address().port}`;
    const waits = await probe(url);
    assert.equal(waits.stdout, 'The probe was not answered: no answer in time.\n');
    assert.equal(waits.code, EX_UNAVAILABLE);
    const refused = await probe('http://127.0.0.1:1');
    assert.match(refused.stdout, /^The probe was not answered: .*connect.*\.\n$/);
    assert.equal(refused.code, EX_UNAVAILABLE);
  });

  test('a gateway that was asked too often', async (t) => {
    const gateway = await startGateway(t, { 'limits.probe_rate': 1 });
    const found = await json('--seconds', '1', gateway.url);
    assert.deepEqual(
      found.runs.map(({ status }) => status),
      [200, 429],
    );
    assert.notEqual(found.verdict, 'unreachable', 'the first run counts');
    assert.notEqual(found.code, EX_UNAVAILABLE);
    const { code, verdict, status, message } = await json(gateway.url);
    assert.deepEqual([code, verdict, status], [EX_UNAVAILABLE, 'unreachable', 429]);
    const { stdout } = await probe(gateway.url);
    assert.match(stdout, /limits\.probe_rate/);
    assert.ok(message && stdout.endsWith(`\n\nnereidd: ${message}\n`), stdout);
  });
});
