// SPDX-License-Identifier: MIT
// A page that has the client library and nothing else, and how tests use it. What happens to it is kept in the page
// with the time, so that what tests measure is not the time of their own driving.
//
// A page that is loaded with ?user=NAME signs in at once. Further parameters are options of the library, as JSON.
import fs from 'node:fs/promises';
import path from 'node:path';

import { makeFolder } from './gateway.js';
import { www } from './pages.js';
import { keepStalls } from './stalls.js';
import { waitFor } from './wait.js';

const PAGE = `<!doctype html>
<meta charset="utf-8">
<title>tiny</title>
<link rel="icon" href="data:,">
<script type="module" src="tiny.js"></script>
`;

const SCRIPT = `
import { NereidChat } from './nereid-chat.js';

const { user, ...rest } = Object.fromEntries(new URLSearchParams(location.search));
const options = Object.fromEntries(Object.entries(rest).map(([name, text]) => [name, JSON.parse(text)]));
const chat = new NereidChat({ login: 'Basic ' + btoa(user + ':x'), ...options });
const log = { startedAt: Date.now(), heard: [], states: [], gaps: [], sent: [], failed: [] };
chat.addEventListener('message', ({ detail }) => log.heard.push({ ...detail.message, at: Date.now() }));
chat.addEventListener('gap', ({ detail }) => log.gaps.push(detail));
chat.addEventListener('state', ({ detail }) =>
  log.states.push({ ...detail, error: detail.error && detail.error.word, at: Date.now() }));
addEventListener('pageshow', (event) => (log.persisted = event.persisted));
Object.assign(window, { chat, log });
chat.connect();
`;

// A folder for http.www.
export async function tinyWww(t) {
  const folder = path.join(await makeFolder(t), 'www');
  await fs.mkdir(folder);
  await fs.writeFile(path.join(folder, 'index.html'), PAGE);
  await fs.writeFile(path.join(folder, 'tiny.js'), SCRIPT);
  await fs.copyFile(path.join(www, 'nereid-chat.js'), path.join(folder, 'nereid-chat.js'));
  return folder;
}

export class TinyPage {
  constructor(page, user) {
    Object.assign(this, { page, user });
  }

  // Opens it in a browser or a context of one, and signs in. `options` are the library's.
  static async open(browser, base, user, options = {}) {
    const tiny = new TinyPage(await browser.newPage(), user);
    await tiny.page.addInitScript(keepStalls);
    await tiny.load(base, options);
    return tiny;
  }

  async load(base, options = {}) {
    const query = Object.entries(options).map(([name, value]) => [name, JSON.stringify(value)]);
    await this.page.goto(`${base}/?${new URLSearchParams([['user', this.user], ...query])}`);
    await this.page.waitForFunction(() => window.chat);
  }

  // What has happened so far: { startedAt, heard, states, gaps, sent, failed, stalls }.
  log() {
    return this.page.evaluate(() => ({ ...window.log, stalls: window.stalls }));
  }

  get state() {
    return this.page.evaluate(() => ({ ...window.chat.state, error: window.chat.state.error?.word ?? null }));
  }

  // Once it hears what happens; its state then.
  async listens() {
    return waitFor(async () => {
      const state = await this.state;
      return ['live', 'polling'].includes(state.mode) && state;
    }, `${this.user} is live or polls`);
  }

  // Starts to send, and does not wait for the answer: that is in `log().sent` or `.failed`. Resolves with when.
  send(fields) {
    return this.page.evaluate((fields) => {
      const at = Date.now();
      window.chat.send(fields).then(
        (answer) => window.log.sent.push({ ...answer, text: fields.text, at: Date.now() }),
        (error) => window.log.failed.push({ word: error.word, text: fields.text }),
      );
      return at;
    }, fields);
  }

  // Until a text is there: when it came.
  async hears(text) {
    await this.page.waitForFunction((text) => window.log.heard.some((message) => message.text === text), text);
    return this.page.evaluate((text) => window.log.heard.find((message) => message.text === text).at, text);
  }

  // All texts it has heard, in their order.
  async texts() {
    return this.page.evaluate(() => window.log.heard.map(({ text }) => text));
  }
}
