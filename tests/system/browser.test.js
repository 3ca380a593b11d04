// SPDX-License-Identifier: MIT
// Socket.IO in a browser: a page served by nereidd, with the client's bundle from nereidd, talks with others; a page of
// somebody else does not.
import assert from 'node:assert/strict';
import fs from 'node:fs/promises';
import path from 'node:path';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { noBrowser, serveElsewhere, startBrowser } from './lib/browser.js';
import { makeFolder, startGateway } from './lib/gateway.js';
import { CLIENTS, connect, TRANSPORTS } from './lib/socketio.js';
import { waitFor } from './lib/wait.js';

// The page of a chat as the memo on Sockets has it: a name, then messages. Everything that comes is shown as text.
const PAGE = `<!doctype html>
<meta charset="utf-8">
<title>Sockets</title>
<form id="enter"><input id="name"></form>
<form id="say"><input id="text"></form>
<ul id="log"></ul>
<script src="/socket.io/socket.io.js"></script>
<script src="/page.js"></script>
`;

// For all clients since 0.9. The page's own URL says over which transports.
const SCRIPT = `
var transports = new URLSearchParams(location.search).get('transports').split(',');
var socket = io.connect(location.origin, { transports: transports, reconnection: false, reconnect: false });
function show(text) {
  var item = document.createElement('li');
  item.textContent = text;
  document.getElementById('log').appendChild(item);
}
socket.on('connect', function () { show('connected'); });
socket.on('message', function (message) { show(message.from + ': ' + message.message); });
document.getElementById('enter').onsubmit = function (event) {
  event.preventDefault();
  socket.emit('register', document.getElementById('name').value, function (ok) { show('registered: ' + ok); });
};
document.getElementById('say').onsubmit = function (event) {
  event.preventDefault();
  socket.emit('message', { from: 'me', message: document.getElementById('text').value });
};
`;

// A page on another server, which tries the gateway: what it gets is in its title.
const FOREIGN_PAGE = `<!doctype html><title>trying</title>
<script src="/client.js"></script><script src="/page.js"></script>`;
const FOREIGN_SCRIPT = `
var query = new URLSearchParams(location.search);
var socket = io(query.get('gateway'), { transports: [query.get('transport')], reconnection: false });
socket.on('connect', function () { document.title = 'connected'; });
socket.on('connect_error', function () { document.title = 'refused'; });
`;

const distOf = (version) =>
  fileURLToPath(new URL(`node_modules/${CLIENTS[version].package}/dist`, import.meta.url));

async function startWithPage(t, version, options = {}) {
  const www = path.join(await makeFolder(t), 'www');
  await fs.mkdir(www);
  await fs.writeFile(path.join(www, 'index.html'), PAGE);
  await fs.writeFile(path.join(www, 'page.js'), SCRIPT);
  return startGateway(t, { 'http.www': www, 'socketio.client': distOf(version), ...options });
}

async function shows(page, text) {
  try {
    await page.locator('#log li', { hasText: text }).first().waitFor();
  } catch (error) {
    const log = await page.locator('#log').innerText();
    assert.fail(`the page does not show “${text}” but ${log}\n${page.told}\n${error}`);
  }
}

async function fill(page, form, text) {
  await page.locator(`#${form} input`).fill(text);
  await page.locator(`#${form} input`).press('Enter');
}

const hears = (client, from, text) => client.event('message', (said) => said.from === from && said.message === text);

function transportsFor(version, transport) {
  if (version !== '0.9') return TRANSPORTS[transport];
  return transport === 'polling' ? ['xhr-polling'] : ['websocket'];
}

// A client of 0.9 that polls may stay away for 60 s at the usual 25 s; all its times go with this one.
const OLD_TIMES = { 'socketio.ping_interval': '2s' };

const CASES = [
  ['0.9', 'polling'], ['0.9', 'websocket'], ['1.7', 'upgrade'], ['2.5', 'upgrade'], ['3.1', 'upgrade'],
  ['4', 'polling'], ['4', 'websocket'], ['4', 'upgrade'],
]; // prettier-ignore

describe('a page served by nereidd', { skip: noBrowser }, () => {
  for (const [version, transport] of CASES) {
    test(`talks with client ${version}, ${transport}`, async (t) => {
      const gateway = await startWithPage(t, version, version === '0.9' ? OLD_TIMES : {});
      const browser = await startBrowser(t);
      const node = await connect(gateway, { transport: 'websocket' });
      assert.deepEqual(await node.ask('register', 'node'), [true]);
      const page = await browser.newPage();
      await page.goto(`${gateway.url}/?transports=${transportsFor(version, transport)}`);
      await shows(page, 'connected');

      await fill(page, 'enter', 'node');
      await shows(page, 'registered: false');
      await fill(page, 'enter', 'browser');
      await shows(page, 'registered: true');
      await hears(node, 'Server', 'browser has joined the chat');
      await fill(page, 'say', 'héllo 😀');
      await hears(node, 'browser', 'héllo 😀');
      const markup = '<img src=x onerror="document.title=1"> & \u2028 "quoted"';
      node.emit('message', { from: 'node', message: markup });
      await shows(page, 'node: <img');
      assert.equal(await page.title(), 'Sockets');
      if (transport === 'upgrade') await gateway.metricBecomes('nereidd_socketio_upgrades_total', 1);

      await page.close();
      await hears(node, 'Server', 'browser left the chat');
    });
  }

  test('imports the client as a module', async (t) => {
    const gateway = await startWithPage(t, '4');
    const page = await (await startBrowser(t)).newPage();
    await page.goto(`${gateway.url}/?transports=polling`);
    const id = await page.evaluate(async () => {
      const { io } = await import('/socket.io/socket.io.esm.min.js');
      const socket = io();
      await new Promise((resolve) => socket.on('connect', resolve));
      return socket.id;
    });
    assert.match(id, /^[\w-]{20}$/);
  });
});

describe('a page served by somebody else', { skip: noBrowser }, () => {
  async function startElsewhere(t) {
    const client = await fs.readFile(path.join(distOf('4'), 'socket.io.js'), 'utf8');
    return serveElsewhere(t, { '/index.html': FOREIGN_PAGE, '/page.js': FOREIGN_SCRIPT, '/client.js': client });
  }

  async function tries(browser, elsewhere, gateway, transport) {
    const page = await browser.newPage();
    await page.goto(`${elsewhere}/index.html?gateway=${gateway.url}&transport=${transport}`);
    await waitFor(async () => (await page.title()) !== 'trying', 'the page has an answer');
    return page.title();
  }

  for (const transport of ['polling', 'websocket']) {
    test(`is refused: ${transport}`, async (t) => {
      const elsewhere = await startElsewhere(t);
      const gateway = await startGateway(t, { 'http.allow_origins': 'http://listed.example' });
      assert.equal(await tries(await startBrowser(t), elsewhere, gateway, transport), 'refused');
      assert.equal(await gateway.metric('nereidd_socketio_sockets'), 0);
    });

    test(`is welcome where it is listed: ${transport}`, async (t) => {
      const elsewhere = await startElsewhere(t);
      const gateway = await startGateway(t, { 'http.allow_origins': elsewhere });
      assert.equal(await tries(await startBrowser(t), elsewhere, gateway, transport), 'connected');
      assert.equal(await gateway.metric('nereidd_socketio_sockets'), 1);
    });
  }
});

describe('the bundles', { concurrency: 4 }, () => {
  const NAMES = ['socket.io.js', 'socket.io.min.js', 'socket.io.esm.min.js', 'socket.io.msgpack.min.js'];

  test('are served as npm has them', async (t) => {
    const gateway = await startGateway(t, { 'socketio.client': distOf('4') });
    for (const name of NAMES.flatMap((script) => [script, `${script}.map`])) {
      const response = await fetch(`${gateway.url}/socket.io/${name}?v=1`);
      assert.equal(response.status, 200, name);
      const type = name.endsWith('.map') ? /^application\/json/ : /^text\/javascript/;
      assert.match(response.headers.get('content-type'), type, name);
      assert.equal(response.headers.get('x-content-type-options'), 'nosniff');
      assert.equal(await response.text(), await fs.readFile(path.join(distOf('4'), name), 'utf8'), name);
    }
  });

  test('are not sent again to whoever has them', async (t) => {
    const gateway = await startGateway(t, { 'socketio.client': distOf('4') });
    const url = `${gateway.url}/socket.io/socket.io.js`;
    const first = await fetch(url);
    assert.equal(first.headers.get('cache-control'), 'no-cache', 'to be asked for each time');
    const etag = first.headers.get('etag');
    const again = await fetch(url, { headers: { 'If-None-Match': etag } });
    assert.deepEqual([again.status, again.headers.get('etag'), await again.text()], [304, etag, '']);
    const head = await fetch(url, { method: 'HEAD' });
    const { byteLength } = await first.arrayBuffer();
    assert.deepEqual([head.status, head.headers.get('content-length')], [200, String(byteLength)]);
    assert.equal((await fetch(url, { method: 'POST', body: 'x' })).status, 405);
  });

  test('stand beside the engine, under whatever path it has', async (t) => {
    const gateway = await startGateway(t, { 'socketio.client': distOf('4'), 'socketio.path': '/deep/er' });
    for (const name of NAMES) assert.equal((await fetch(`${gateway.url}/deep/er/${name}`)).status, 200);
    const handshake = await fetch(`${gateway.url}/deep/er/?EIO=4&transport=polling`);
    assert.equal(handshake.status, 200);
    assert.match(await handshake.text(), /^0\{"sid"/);
    assert.equal((await fetch(`${gateway.url}/deep/er/1/`)).status, 200);
    assert.equal((await fetch(`${gateway.url}/socket.io/socket.io.js`)).status, 404);
  });

  test('are all that is served of their folder', async (t) => {
    const folder = await makeFolder(t);
    await fs.writeFile(path.join(folder, 'secret'), 'secret');
    await fs.writeFile(path.join(folder, 'socket.io.js'), 'script');
    await fs.symlink(path.join(folder, 'secret'), path.join(folder, 'socket.io.min.js'));
    const gateway = await startGateway(t, { 'socketio.client': folder });
    assert.equal(await (await fetch(`${gateway.url}/socket.io/socket.io.js`)).text(), 'script');
    for (const name of ['secret', 'socket.io.min.js', 'socket.io.esm.min.js', '%2e%2e/secret', 'socket.io.js/'])
      assert.equal((await fetch(`${gateway.url}/socket.io/${name}`)).status, 404, name);
  });

  test('are missed where there are none, which is said once', async (t) => {
    const gateway = await startGateway(t, { 'socketio.client': '/nonexistent' });
    assert.equal((await fetch(`${gateway.url}/socket.io/socket.io.js`)).status, 404);
    assert.equal((await fetch(`${gateway.url}/socket.io/?EIO=4&transport=polling`)).status, 200);
    const said = (await gateway.logText()).split('\n').filter((line) => line.includes('bundles'));
    assert.equal(said.length, 1);
    assert.match(said[0], /warn .*folder=\/nonexistent/);
  });

  test('leave their names to the pages where no folder is given', async (t) => {
    const gateway = await startWithPage(t, '4', { 'socketio.client': '' });
    const folder = path.join(gateway.options['http.www'], 'socket.io');
    await fs.mkdir(folder);
    await fs.writeFile(path.join(folder, 'socket.io.js'), 'of the page');
    assert.equal(await (await fetch(`${gateway.url}/socket.io/socket.io.js`)).text(), 'of the page');
    assert.doesNotMatch(await gateway.logText(), /bundles/);
  });
});
