// SPDX-License-Identifier: MIT
// What may stand between a browser and a gateway: real proxies, and relays of our own for what no proxy of Debian does.
// All are on free ports of the loopback and are ended with the test.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import fs from 'node:fs/promises';
import http from 'node:http';
import path from 'node:path';

import { freePort, makeDaemon, programOf, startNginx } from './daemon.js';
import { startRelay } from './relay.js';

const programs = {
  nginx: programOf('nginx', '-v'),
  haproxy: programOf('haproxy', '-v'),
  squid: programOf('squid', '-v'),
  tinyproxy: programOf('tinyproxy', '-v'),
};

const STARTS = 10;

// Of the programs that choose a user of their own if root starts them.
const asRoot = process.getuid() === 0;

const portOf = (gateway) => Number(gateway.address().split(':').pop());

// ---- Reverse proxies: who connects to them is brought to the gateway, at `url` ----

async function reverse(daemon) {
  const answers = () =>
    fetch(`${daemon.url}/`).then(
      (answer) => answer.body.cancel().then(() => true),
      () => false,
    );
  daemon.url = `http://127.0.0.1:${daemon.port}`;
  return daemon.isReady(answers, `${daemon.name} answers`);
}

// `lines` go into nginx' location.
async function startNginxWith(t, gateway, ...lines) {
  const daemon = await makeDaemon(t, 'nginx');
  await startNginx(
    daemon,
    programs.nginx,
    () => `
    server {
        listen 127.0.0.1:${daemon.port};
        location / {
            proxy_pass http://${gateway.address()};
            proxy_set_header Host $http_host;
            ${lines.join('\n            ')}
        }
    }`,
  );
  return reverse(daemon);
}

async function startHaproxy(t, gateway) {
  const daemon = await makeDaemon(t, 'haproxy');
  const file = path.join(daemon.folder, 'haproxy.cfg');
  await fs.writeFile(
    file,
    `defaults
    mode http
    timeout connect 5s
    timeout client 60s
    timeout server 60s
frontend near
    bind fd@3
    default_backend far
backend far
    server gateway ${gateway.address()}
`,
  );
  await daemon.start(programs.haproxy, ['-db', '-n', '500', '-f', file]); // the system may not allow more descriptors
  return reverse(daemon);
}

// ---- Forward proxies: a browser is told of them, and asks them for the gateway's own address ----

// They can neither choose a port nor take over a socket, so one that was free is tried. They are ready when they say
// that they listen: somebody else might be there otherwise.
async function forward(t, name, { text, args, listens, taken }) {
  const daemon = await makeDaemon(t, name);
  const file = path.join(daemon.folder, `${name}.conf`);
  for (let left = STARTS; ; left--) {
    daemon.port = await freePort();
    await fs.writeFile(file, text(daemon));
    daemon.launch(programs[name], [...args, file]);
    const ready = await daemon.isReady(() => listens.test(daemon.log), `${name} listens`).catch((error) => error);
    if (ready === daemon) return Object.assign(daemon, { proxy: `http://127.0.0.1:${daemon.port}` });
    await daemon.closed;
    if (left === 0 || !taken.test(daemon.log)) throw ready;
  }
}

// It keeps nothing, has no files outside its folder and asks no name server.
function startSquid(t) {
  return forward(t, 'squid', {
    text: ({ port, folder }) => `
http_port 127.0.0.1:${port}
http_access allow all
cache deny all
cache_mem 1 MB
memory_cache_shared off
shared_memory_locking off
max_filedescriptors 1024
access_log none
cache_store_log none
cache_log ${folder}/cache.log
pid_filename none
netdb_filename none
coredump_dir none
pinger_enable off
dns_nameservers 127.0.0.1
visible_hostname squid.test
shutdown_lifetime 0 seconds
${asRoot ? 'cache_effective_user nobody\ncache_effective_group nogroup' : ''}
`,
    args: ['-N', '-d', '1', '-f'],
    listens: /Accepting HTTP Socket connections/i,
    taken: /Address already in use|Unable to open HTTP Socket/,
  });
}

function startTinyproxy(t) {
  return forward(t, 'tinyproxy', {
    text: ({ port }) => `
Listen 127.0.0.1
Port ${port}
Timeout 60
MaxClients 100
LogLevel Info
${asRoot ? 'User nobody\nGroup nogroup' : ''}
`,
    args: ['-d', '-c'],
    listens: /Accepting connections/,
    taken: /Address already in use|[Cc]ould ?n[o']t (create|bind)/,
  });
}

// ---- Relays of our own: they know HTTP and pass requests on as they come ----

const passes = { chunk: (piece, answer) => answer.write(piece), end: () => {} };

// Gathers what comes until there are `bytes` of it, or the end.
function gathers(bytes) {
  let held = [];
  const release = (answer) => held.splice(0).forEach((piece) => answer.write(piece));
  return {
    chunk(piece, answer) {
      held.push(piece);
      if (held.reduce((sum, { length }) => sum + length, 0) >= bytes) release(answer);
    },
    end: release,
  };
}

const isEvents = (response) => /^text\/event-stream\b/.test(response.headers['content-type'] ?? '');

// What a relay does with an answer, by its kind. Its head waits as well where the body does: `held` says so.
const manners = {
  relay: () => passes,
  holds_all: () => gathers(Infinity),
  holds_bytes: (request, response, { bytes = 4096 }) => gathers(bytes),
  holds_gets: (request) => (request.method === 'GET' ? gathers(Infinity) : passes),
  only_events: (request, response) => (isEvents(response) ? passes : gathers(Infinity)),
};

const HOP_BY_HOP = ['connection', 'keep-alive', 'transfer-encoding'];

// The raw headers without those that are between neighbours.
function endToEnd({ rawHeaders }) {
  const pairs = rawHeaders.flatMap((name, i) => (i % 2 ? [] : [[name, rawHeaders[i + 1]]]));
  return pairs.filter(([name]) => !HOP_BY_HOP.includes(name.toLowerCase()));
}

// Nothing of an answer is on its way before something of its body is let through.
function answerAs(manner, response, answer) {
  answer.statusCode = response.statusCode;
  for (const [name, value] of endToEnd(response)) answer.appendHeader(name, value);
  if (manner === passes) answer.flushHeaders();
  response.on('data', (piece) => manner.chunk(piece, answer));
  response.on('end', () => {
    manner.end(answer);
    answer.end();
  });
  response.on('error', () => answer.destroy());
}

// Besides `url` there is `asked`: what it was asked for so far, as `GET /path`.
async function startOwn(t, gateway, kind, options) {
  const asked = [];
  const server = http.createServer((request, answer) => {
    asked.push(`${request.method} ${request.url}`);
    const onward = http.request({
      host: '127.0.0.1',
      port: portOf(gateway),
      method: request.method,
      path: request.url,
      headers: endToEnd(request).flat(),
      agent: false,
    });
    onward.on('response', (response) => answerAs(manners[kind](request, response, options), response, answer));
    onward.on('error', () => (answer.headersSent ? answer.destroy() : answer.writeHead(502).end()));
    answer.on('close', () => onward.destroy());
    request.pipe(onward);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });
  return { asked, url: `http://127.0.0.1:${server.address().port}` };
}

// ---- All of them ----

const DEAF = 'proxy_ignore_headers X-Accel-Buffering;';
const ONE = 'proxy_http_version 1.1;';

const ownHop = (kind) => [null, (t, gateway, options) => startOwn(t, gateway, kind, options)];

// By kind: the program that is needed, and how it is started.
const kinds = {
  none: [null, (t, gateway) => ({ url: gateway.url })],
  // By itself nginx asks by HTTP/1.0 and gathers answers, except those that ask not to be (X-Accel-Buffering: no).
  nginx: ['nginx', (t, gateway) => startNginxWith(t, gateway)],
  nginx_passes: ['nginx', (t, gateway) => startNginxWith(t, gateway, 'proxy_buffering off;', ONE)],
  nginx_holds: ['nginx', (t, gateway) => startNginxWith(t, gateway, DEAF)],
  // By HTTP/1.1 it passes each chunk on, buffering or not, unless something else in it gathers.
  nginx_chunks: ['nginx', (t, gateway) => startNginxWith(t, gateway, DEAF, ONE)],
  nginx_gzips: ['nginx', (t, gateway) => startNginxWith(t, gateway, DEAF, ONE, 'gzip on;', 'gzip_types *;')],
  haproxy: ['haproxy', startHaproxy],
  squid: ['squid', startSquid],
  tinyproxy: ['tinyproxy', startTinyproxy],
  relay: ownHop('relay'), // passes everything as it comes
  holds_all: ownHop('holds_all'), // each answer until its end
  holds_bytes: ownHop('holds_bytes'), // … until `bytes` (4096) of it are there
  holds_gets: ownHop('holds_gets'), // answers to GET until their end, others pass
  only_events: ownHop('only_events'), // text/event-stream passes, all else is held until its end
  cuts: [null, (t, gateway, { ms = 3000 }) => startRelay(t, gateway, { cutsAfter: ms })], // each connection after `ms`
};

// What to give a test as `skip`: false, or why it cannot run.
export function noHop(kind) {
  const [program] = kinds[kind];
  return program && !programs[program] ? `there is no ${program}` : false;
}

// { kind, url, proxy }: where a client finds the gateway behind it; `proxy` is there for forward proxies, which clients
// have to be told of: their `url` is the gateway's own.
export async function startHop(t, kind, gateway, options = {}) {
  assert.ok(kind in kinds, `there is no hop ${kind}`);
  const hop = await kinds[kind][1](t, gateway, options);
  return Object.assign(hop, { kind, url: hop.url ?? gateway.url });
}

// Arguments of Chromium that have it go through a forward proxy to the loopback too, which it would not by itself.
export function chromiumArguments({ proxy }) {
  return proxy ? [`--proxy-server=${proxy}`, '--proxy-bypass-list=<-loopback>'] : [];
}
