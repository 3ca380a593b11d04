// SPDX-License-Identifier: MIT
// A real browser, Debian's Chromium without a window, with a profile of its own that goes with the test.
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import http from 'node:http';
import path from 'node:path';

import { chromium } from 'playwright-core';
import { launch } from 'puppeteer-core';

import { makeFolder } from './gateway.js';
import { PATIENCE_MS } from './wait.js';

// The first of these that is there and runs; undefined if none does.
export function programAmong(...commands) {
  return commands.find((command) => command && spawnSync(command, ['--version']).status === 0);
}

const program = programAmong(process.env.CHROMIUM, '/usr/bin/chromium', '/usr/bin/chromium-browser');

// What to give a test as `skip`: false, or why it cannot run.
export const noBrowser = program ? false : 'there is no Chromium';

// Root has no sandbox, containers have little shared memory.
const launchOptions = (args = []) => ({
  executablePath: program,
  args: ['--no-sandbox', '--disable-dev-shm-usage', ...args],
  timeout: 2 * PATIENCE_MS,
});

// What a page says on its console, and errors in its scripts, go to `page.told`.
function listen(page) {
  page.told = [];
  page.on('console', (message) => page.told.push(message.text()));
  page.on('pageerror', (error) => page.told.push(String(error)));
}

// Pages are opened with `browser.newPage()`.
function attend(context) {
  context.setDefaultTimeout(PATIENCE_MS);
  context.on('page', listen);
  return context;
}

// A page at `url` in a browser of Puppeteer's.
export async function openPage(browser, url) {
  const page = await browser.newPage();
  page.setDefaultTimeout(PATIENCE_MS);
  listen(page);
  await page.goto(url);
  return page;
}

// `args` are further arguments of its command line, `more` goes to playwright.
export async function startBrowser(t, { args, ...more } = {}) {
  let context;
  t.after(() => context?.close()); // before the folder goes, into which it writes to the last
  context = await chromium.launchPersistentContext(await makeFolder(t), { ...launchOptions(args), ...more });
  return attend(context);
}

// One Chromium that is several browsers (newBrowser). `t` may be a hook's: then it ends with the suite.
export async function startChromium(t, { args, ...more } = {}) {
  const several = await chromium.launch({ ...launchOptions(args), ...more });
  t.after(() => several.close());
  return several;
}

// A browser of one's own in a Chromium: it shares nothing with the others but the processor. `hop` is what it has to be
// told of, where that is a forward proxy.
export async function newBrowser(several, hop = {}) {
  // By itself Chromium asks no proxy for the loopback.
  const proxy = hop.proxy ? { server: hop.proxy, bypass: '<-loopback>' } : undefined;
  return attend(await several.newContext({ proxy }));
}

// A Chromium whose tabs are hidden while others are on top, and have late timers then, as they do for people: Playwright
// keeps that from its pages. It is Puppeteer's.
export async function startHidingChromium(t) {
  const browser = await launch({
    ...launchOptions(),
    userDataDir: await makeFolder(t),
    ignoreDefaultArgs: [
      '--disable-background-timer-throttling',
      '--disable-backgrounding-occluded-windows',
      '--disable-renderer-backgrounding',
    ],
  });
  t.after(() => browser.close());
  return browser;
}

// A web server that has nothing to do with the gateway: another origin. `files` are texts by their paths.
export async function serveElsewhere(t, files) {
  const server = http.createServer((request, response) => {
    const { pathname } = new URL(request.url, 'http://x');
    const type = { '.html': 'text/html', '.js': 'text/javascript' }[path.extname(pathname)];
    response.writeHead(pathname in files ? 200 : 404, { 'Content-Type': type ?? 'text/plain' });
    response.end(files[pathname]);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });
  return `http://127.0.0.1:${server.address().port}`;
}
