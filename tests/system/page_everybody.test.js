// SPDX-License-Identifier: MIT
// The chat page in a real browser, for everybody: by keyboard, on a phone, in both schemes, by ear.
import assert from 'node:assert/strict';
import fs from 'node:fs/promises';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { noBrowser } from './lib/browser.js';
import { chatPages } from './lib/chat_page.js';
import { waitFor } from './lib/wait.js';

const AXE = fileURLToPath(new URL('node_modules/axe-core/axe.min.js', import.meta.url));
const PHONE = { width: 390, height: 844 };

const start = chatPages();
const becomes = (what, condition, ms) => waitFor(condition, what, ms);

describe('by keyboard', { skip: noBrowser }, () => {
  test('everything can be done', async (t) => {
    const { open, bob } = await start(t);
    const chat = await open();
    const { keyboard } = chat.page;
    const focused = () =>
      chat.page.evaluate(() => document.activeElement.getAttribute('aria-label') ?? document.activeElement.name);
    const tabTo = async (name) => {
      for (let i = 0; i < 40; i++) {
        if (name.test((await focused()) ?? '')) return;
        await keyboard.press('Tab');
      }
      assert.fail(`${name} is not reached by Tab`);
    };
    await chat.page.getByRole('button', { name: 'Sign in' }).waitFor();
    await keyboard.type('alice');
    await keyboard.press('Tab');
    await keyboard.type('x');
    await keyboard.press('Enter');
    await chat.isIn();
    await chat.person('bob').waitFor();
    await tabTo(/^New conversation$/);
    await keyboard.press('Enter');
    await keyboard.type('bob, carol');
    await keyboard.press('Enter');
    await becomes('the field has the focus', async () => (await focused()) === 'Message');
    await keyboard.type('first line');
    await keyboard.press('Shift+Enter');
    await keyboard.type('second line');
    await keyboard.press('Enter');
    await chat.hears('second line');
    assert.deepEqual(await chat.texts(), ['first line\nsecond line']);
    const outline = await chat.field.evaluate((field) => getComputedStyle(field).outlineStyle);
    assert.equal(outline, 'solid', 'focus is to be seen');

    await bob.send({ to: 'alice', message: 'over here' });
    await chat.thread('bob').waitFor();
    await keyboard.press('Escape');
    assert.match(await focused(), /^bob, carol|^carol, bob/, 'Escape leads back to the list');
    await keyboard.press('ArrowUp');
    assert.match(await focused(), /^bob, .*1 unread message/);
    await keyboard.press('Enter');
    await chat.hears('over here');
    await tabTo(/^Subject and type$/);
    await keyboard.press('Enter');
    await keyboard.type('Topic');
    await keyboard.press('Escape');
    assert.equal(await focused(), 'Message');
    await keyboard.press('Shift+Tab');
    await keyboard.press('Shift+Tab');
    await tabTo(/^Message$/);
    await keyboard.type('with a topic');
    await keyboard.press('Enter');
    await chat.message('with a topic').getByText('Topic', { exact: true }).waitFor();
    await keyboard.press('Escape');
    await tabTo(/^You, alice/);
    await keyboard.press('Enter');
    await chat.dialog.waitFor();
    await keyboard.press('Escape');
    await chat.dialog.waitFor({ state: 'hidden' });
    assert.match(await focused(), /^You, alice/, 'and out of a dialog to where it was opened');
  });

  test('Enter does not send what an input method is still composing, nor nothing', async (t) => {
    const { signIn } = await start(t);
    const chat = await signIn('alice');
    await chat.enterRoom('lobby');
    await chat.field.press('Enter');
    await chat.field.fill('   ');
    await chat.field.press('Enter');
    await chat.field.fill('かん');
    await chat.field.evaluate((field) => {
      const enter = { key: 'Enter', bubbles: true, cancelable: true };
      for (const how of [{ isComposing: true }, { keyCode: 229 }])
        field.dispatchEvent(new KeyboardEvent('keydown', { ...enter, ...how }));
    });
    await chat.field.press('Enter');
    await chat.hears('かん');
    assert.deepEqual(await chat.texts(), ['かん']);
  });
});

describe('on a phone', { skip: noBrowser }, () => {
  test('there is one pane at a time, and a way back', async (t) => {
    const { signIn, bob } = await start(t);
    const before = (page) => page.setViewportSize(PHONE);
    const chat = await signIn('alice', { before });
    const { page } = chat;
    await bob.send({ to: 'alice', message: `hello ${'w'.repeat(300)}` });
    await chat.openThread('bob');
    await chat.hears('hello');
    assert.equal(await chat.conversations.isVisible(), false);
    await page.getByRole('button', { name: /^Connection: / }).waitFor();
    const isWide = () => page.evaluate(() => document.documentElement.scrollWidth > innerWidth);
    assert.equal(await isWide(), false, 'nothing sticks out');
    for (const button of await page.getByRole('button').all()) {
      const box = await button.boundingBox();
      if (box) assert.ok(box.height >= 24 && box.width >= 24, `${await button.getAttribute('aria-label')} can be hit`);
    }
    await page.getByRole('button', { name: 'Back to conversations' }).click();
    await chat.thread('bob').waitFor();
    assert.equal(await chat.field.isVisible(), false);
    await bob.send({ to: 'alice', message: 'while in the list' });
    await becomes('it counts as unread', async () => (await chat.unread('bob')) === 1);
    await chat.openThread('bob');
    await page.goBack();
    await chat.thread('bob').waitFor();
    assert.equal(await chat.field.isVisible(), false, 'the system’s way back leads to the list too');
    await chat.openThread('bob');
    await chat.field.press('Escape');
    await chat.thread('bob').waitFor();
    assert.equal(await isWide(), false);
  });
});

describe('for everybody', { skip: noBrowser }, () => {
  // What axe-core finds in the page as it is, in both schemes.
  async function check(chat, state) {
    const source = await fs.readFile(AXE, 'utf8');
    for (const colorScheme of ['light', 'dark']) {
      await chat.page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
      await chat.page.evaluate(source);
      const { violations } = await chat.page.evaluate(() => axe.run(document, { resultTypes: ['violations'] }));
      const found = violations.map(({ id, nodes }) => [id, ...nodes.map(({ html }) => html.slice(0, 160))]);
      assert.deepEqual(found, [], `${state}, ${colorScheme}`);
    }
  }

  // Each state of the page at this size.
  async function walk(t, size) {
    const { browser, open, bob, carol } = await start(t);
    const mayComplain = /status of 413|net::ERR_INTERNET/;
    const chat = await open({ mayComplain, before: (page) => page.setViewportSize(size) });
    const { page } = chat;
    await page.getByRole('button', { name: 'Sign in' }).waitFor();
    await check(chat, 'the door');
    await chat.signIn('alice');
    await chat.isConnected();
    await check(chat, 'nothing yet');
    const quote = '<blockquote>words</blockquote><a href="https://a.example">x</a>';
    const html = `<h2>Plan</h2><table><tr><th>a<td>1</table>${quote}`;
    await carol.send({ to: 'alice', message: 'unread' });
    await bob.setPresence({ show: 'dnd', status: 'busy' });
    await bob.stream();
    await bob.send({ to: 'alice', message: html, type: 'html', subject: 'Topic', attachments: [{ name: 'a.txt' }] });
    await bob.send({ to: 'alice', message: 'a\n=\n\nb', type: 'rst' });
    await chat.thread('bob').waitFor();
    await check(chat, 'the list');
    await chat.openThread('bob');
    await chat.hears('Plan');
    await chat.say('mine, with https://link.example/');
    await chat.hears('mine');
    await page.getByRole('button', { name: 'Subject and type' }).click();
    await check(chat, 'a conversation');
    for (const name of [/^Members/, /^Connection/]) {
      await page.getByRole('button', { name }).first().click();
      await check(chat, String(name));
      await page.keyboard.press('Escape');
    }
    const refusal = { status: 413, json: { error: 'x', message: 'no' } };
    await page.route('**/send-message*', (route) => route.fulfill(refusal));
    await chat.say('refused');
    await chat.message('refused').getByText('Not sent').waitFor();
    await page.unroute('**/send-message*');
    await browser.setOffline(true);
    await chat.say('waits');
    await chat.stateBecomes('offline');
    await check(chat, 'offline');
    await browser.setOffline(false);
    if (size === PHONE) await page.getByRole('button', { name: 'Back to conversations' }).click();
    for (const name of [/^New conversation/, /^You, /]) {
      await page.getByRole('button', { name }).click();
      await check(chat, String(name));
      await page.keyboard.press('Escape');
    }
  }

  test('axe-core finds nothing on a desktop', (t) => walk(t, { width: 1440, height: 900 }));
  test('axe-core finds nothing on a phone', (t) => walk(t, PHONE));

  test('there are two schemes, and no motion for those who want none', async (t) => {
    const { open } = await start(t);
    const chat = await open();
    const looks = () =>
      chat.page.evaluate(() => {
        const { backgroundColor, color } = getComputedStyle(document.body);
        return [backgroundColor, color].map((text) => text.match(/\d+/g).reduce((sum, part) => sum + Number(part), 0));
      });
    const [paper, ink] = await looks();
    assert.ok(paper > 700 && ink < 200, 'dark on light');
    await chat.page.emulateMedia({ colorScheme: 'dark', reducedMotion: 'reduce' });
    const [darkPaper, lightInk] = await looks();
    assert.ok(darkPaper < 120 && lightInk > 600, 'light on dark');
    const button = chat.page.getByRole('button', { name: 'Sign in' });
    assert.equal(await button.evaluate((it) => getComputedStyle(it).transitionDuration), '0s');
  });
});
