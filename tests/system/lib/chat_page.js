// SPDX-License-Identifier: MIT
// The chat page as somebody uses it: by what they see and hear of it, roles and names, not by its classes.
import assert from 'node:assert/strict';
import { after, before } from 'node:test';

import { newBrowser, noBrowser, startChromium } from './browser.js';
import { startGateway } from './gateway.js';
import { www } from './pages.js';
import { waitFor } from './wait.js';

// Chromium tells of every answer of 401, and the page asks at its beginning whether one has to sign in.
const KNOCK = /^Failed to load resource: the server responded with a status of 401/;

const PEOPLE = ['alice', 'bob', 'carol'];

const exactly = (text) => new RegExp(`^${text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')}(,|$)`);

export class ChatPage {
  constructor(page) {
    this.page = page;
    this.log = page.getByRole('log', { name: 'Messages' });
    this.field = page.getByRole('textbox', { name: 'Message', exact: true });
    this.conversations = page.getByRole('list', { name: 'Conversations' });
    this.people = page.getByRole('list', { name: 'People' });
    this.title = page.locator('#title');
    this.dialog = page.getByRole('dialog');
  }

  // Opens the page at `url`, the gateway's or a proxy's; `browser` is of startBrowser, or a context.
  static async open(browser, url) {
    const chat = new ChatPage(await browser.newPage());
    await chat.page.goto(url);
    return chat;
  }

  // What the console has said, but for the question at the door.
  get complaints() {
    return this.page.told.filter((line) => !KNOCK.test(line));
  }

  // --- coming and going

  async signIn(name, password = 'x') {
    await this.page.getByRole('textbox', { name: 'Name' }).fill(name);
    await this.page.getByRole('main').getByLabel('Password').fill(password);
    await this.page.getByRole('button', { name: 'Sign in' }).click();
    await this.isIn();
    return this;
  }

  // The page is past its door.
  async isIn() {
    await this.page.getByRole('button', { name: 'New conversation' }).or(this.field).first().waitFor();
    return this;
  }

  async signOut() {
    await this.page.getByRole('button', { name: /^You, / }).click();
    await this.dialog.getByRole('button', { name: 'Sign out' }).click();
  }

  // --- conversations

  // Starts a conversation with these users (by id), or goes on with the one that there is.
  async startWith(...names) {
    await this.#start(names.join(', '));
  }

  async enterRoom(name) {
    await this.#start(`#${name}`);
  }

  async #start(words) {
    await this.page.getByRole('button', { name: 'New conversation' }).click();
    await this.dialog.getByRole('textbox', { name: 'Names, or a #room' }).fill(words);
    await this.dialog.getByRole('button', { name: /^(Start|Enter room)$/ }).click();
    await this.dialog.waitFor({ state: 'hidden' });
    await this.field.waitFor();
  }

  thread(title) {
    return this.conversations.getByRole('button').filter({ has: this.page.getByText(title, { exact: true }) });
  }

  person(name) {
    return this.people.getByRole('button', { name: exactly(name) });
  }

  async openThread(title) {
    await this.thread(title).click();
    await this.field.waitFor();
  }

  async say(text) {
    await this.field.fill(text);
    await this.field.press('Enter');
  }

  // Somebody looks elsewhere, and at the page again.
  async lookAway() {
    await this.page.evaluate(() => {
      document.hasFocus = () => false;
      window.dispatchEvent(new Event('blur'));
      delete document.hasFocus;
      window.dispatchEvent(new Event('focus'));
    });
  }

  // A message on show, by (a part of) its text.
  message(text) {
    return this.log.getByRole('article').filter({ hasText: text });
  }

  // Waits until a message is on show.
  async hears(text, ms) {
    await waitFor(async () => (await this.message(text).count()) > 0, `the page shows “${text}”`, ms);
  }

  // All messages on show: { name, time, fate, text }; fate is '', 'waits to be sent' or 'not sent'.
  async messages() {
    return this.log.getByRole('article').evaluateAll((articles) =>
      articles.map((article) => {
        const [name, time, fate = ''] = article.getAttribute('aria-label').split(', ');
        return { name, time, fate, text: article.querySelector('.bubble').innerText };
      }),
    );
  }

  async texts() {
    return (await this.messages()).map(({ text }) => text);
  }

  // How many unread messages a conversation is listed with.
  async unread(title) {
    const label = await this.thread(title).getAttribute('aria-label');
    return Number(/(\d+) unread message/.exec(label)?.[1] ?? 0);
  }

  // --- the connection

  // { mode, way, leads, unsent } as the page shows it.
  async state() {
    const { mode, way, leads, unsent } = await this.page.locator('#state').evaluate((pill) => ({ ...pill.dataset }));
    return { mode, way: way || null, leads: leads === 'true', unsent: Number(unsent) };
  }

  async stateBecomes(mode, ms) {
    const isSo = async () => (await this.state()).mode === mode;
    await waitFor(isSo, `the page is ${mode}`, ms).catch(async (error) => {
      assert.fail(`${error.message}; it says ${JSON.stringify(await this.state())}`);
    });
    return this.state();
  }

  // Connected by whatever way.
  async isConnected(ms) {
    const isSo = async () => ['live', 'polling'].includes((await this.state()).mode);
    await waitFor(isSo, 'the page is connected', ms);
    return this.state();
  }

  // What has been read out last.
  announced() {
    return this.page.locator('#announce').innerText();
  }
}

// For a file of tests: one Chromium for all of them, and what a test begins with.
export function chatPages() {
  const ends = [];
  let chromium;
  before(async () => {
    if (!noBrowser) chromium = await startChromium({ after: (end) => ends.push(end) });
  });
  after(async () => {
    for (const end of ends) await end();
  });
  return (t, how) => startPages(t, chromium, how);
}

// A gateway with the pages, in which these people are known. `open()` opens the page, `signIn(name)` goes in too.
// After the test no page may have complained of anything but what `mayComplain` matches.
async function startPages(t, chromium, { people = PEOPLE, options = {} } = {}) {
  const pages = [];
  const browser = await newBrowser(chromium);
  t.after(() => closePages(browser, pages)); // before the gateway goes, of which they would complain
  const gateway = await startGateway(t, { 'http.www': www, ...options });
  const known = options['auth.methods'] ? [] : await gateway.people(...people);
  const open = async ({ at = gateway.url, mayComplain = /^$/, before: prepare = () => {} } = {}) => {
    const chat = new ChatPage(await browser.newPage());
    pages.push({ chat, mayComplain });
    await prepare(chat.page);
    await chat.page.goto(at);
    return chat;
  };
  const signIn = async (name, how) => (await open(how)).signIn(name);
  return { gateway, browser, open, signIn, ...Object.fromEntries(known.map((person) => [person.name, person])) };
}

async function closePages(browser, pages) {
  const complaintsOf = ({ chat, mayComplain }) => chat.complaints.filter((line) => !mayComplain.test(line));
  const complaints = pages.flatMap(complaintsOf);
  await browser.close();
  assert.deepEqual(complaints, []);
}
