// SPDX-License-Identifier: MIT
// Debian's Firefox without a window, and the chat page in it. It is driven by WebDriver BiDi with Puppeteer: Playwright
// wants a Firefox of its own making.
import { launch } from 'puppeteer-core';

import { openPage, programAmong } from './browser.js';
import { makeFolder } from './gateway.js';
import { PATIENCE_MS, waitFor } from './wait.js';

const program = programAmong(process.env.FIREFOX, '/usr/bin/firefox-esr', '/usr/bin/firefox');

// What to give a test as `skip`: false, or why it cannot run.
export const noFirefox = program ? false : 'there is no Firefox';

// One Firefox; `createBrowserContext()` makes a browser in it that shares nothing with the others.
export async function startFirefox(t) {
  const firefox = await launch({
    browser: 'firefox',
    executablePath: program,
    userDataDir: await makeFolder(t),
    timeout: 2 * PATIENCE_MS,
  });
  t.after(() => firefox.close());
  return firefox;
}

// The chat page as somebody uses it, as far as tests here go. Roles and names are for the tests in Chromium: here it
// takes a second to look for each.
export class FirefoxChat {
  constructor(page) {
    this.page = page;
  }

  static async signIn(browser, url, name) {
    const chat = new FirefoxChat(await openPage(browser, url));
    await chat.#type('input[name=name]', name);
    await chat.#type('input[type=password]', 'x');
    await chat.page.keyboard.press('Enter');
    await chat.page.waitForSelector('#side', { visible: true });
    return chat;
  }

  async #type(selector, text) {
    await this.page.waitForSelector(selector, { visible: true });
    await this.page.type(selector, text);
  }

  // The conversation of this title, from the list.
  async openThread(title) {
    const click = (buttons, wanted) => {
      const button = buttons.find(({ innerText }) => innerText.includes(wanted));
      button?.click();
      return Boolean(button);
    };
    await waitFor(() => this.page.$$eval('#threads button', click, title), `there is a conversation “${title}”`);
    await this.page.waitForSelector('#compose textarea', { visible: true });
  }

  async say(text) {
    await this.#type('#compose textarea', text);
    await this.page.keyboard.press('Enter');
  }

  texts() {
    return this.page.$$eval('#log article .bubble', (all) => all.map((one) => one.innerText.trim()));
  }

  hears(text, ms) {
    return waitFor(async () => (await this.texts()).includes(text), `Firefox shows “${text}”`, ms);
  }

  // { mode, way, leads } as the page shows it.
  state() {
    return this.page.$eval('#state', ({ dataset: { mode, way, leads } }) => ({ mode, way, leads: leads === 'true' }));
  }

  // Resolves with the way, once there is one.
  isConnected(ms) {
    return waitFor(async () => (await this.state()).way, 'Firefox is connected', ms);
  }

  // Resolves once its state has these members.
  becomes(wanted, ms) {
    const matches = (state) => Object.entries(wanted).every(([name, value]) => state[name] === value);
    return waitFor(async () => matches(await this.state()), `Firefox says ${JSON.stringify(wanted)}`, ms);
  }
}
