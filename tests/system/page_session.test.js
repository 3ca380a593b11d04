// SPDX-License-Identifier: MIT
// The chat page in a real browser: the ways in, what a session survives, and what is said of the connection.
import assert from 'node:assert/strict';
import fs from 'node:fs/promises';
import path from 'node:path';
import { describe, test } from 'node:test';

import { noBrowser } from './lib/browser.js';
import { chatPages } from './lib/chat_page.js';
import { makeFolder, runProgram } from './lib/gateway.js';
import { startHop } from './lib/hops.js';
import { waitFor } from './lib/wait.js';

const start = chatPages();
const becomes = (what, condition, ms) => waitFor(condition, what, ms);

// What a page keeps, and where it is.
const keptBy = (page) =>
  page.evaluate(() => JSON.stringify([{ ...sessionStorage }, { ...localStorage }, location.href]));

async function saysAtTheDoor(chat, words) {
  await chat.page.getByRole('main').getByText(words).waitFor();
}

describe('the way in', { skip: noBrowser }, () => {
  test('is a name and a password, which is kept nowhere', async (t) => {
    const password = 'correct horse';
    const line = await runProgram(['--hash-password', 'alice', 'Alice Liddell'], { input: `${password}\n` });
    const file = path.join(await makeFolder(t), 'users');
    await fs.writeFile(file, line.stdout, { mode: 0o600 });
    const { open, gateway } = await start(t, { options: { 'auth.methods': 'basic', 'auth.users': file } });
    gateway.secrets.add(password);
    const chat = await open();
    const { page } = chat;
    await page.getByRole('textbox', { name: 'Name' }).fill('alice');
    await page.getByLabel('Password').first().fill('wrong');
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.getByRole('alert').getByText('do not fit together').waitFor();
    await chat.signIn('alice', password);
    await page.getByRole('button', { name: 'You, Alice Liddell, here' }).waitFor();
    await chat.isConnected();
    const kept = await keptBy(page);
    for (const secret of [password, 'wrong', btoa(`alice:${password}`)]) assert.ok(!kept.includes(secret), secret);
  });

  test('is a token in the address, which goes from there at once', async (t) => {
    const { gateway, open, alice, bob } = await start(t);
    const thread = await bob.thread('alice');
    await bob.say(thread, 'long ago');
    const token = await alice.token();
    const chat = await open({ at: `${gateway.url}/#token=${token}&user=alice`, mayComplain: /status of 403/ });
    await chat.isIn();
    assert.equal(chat.page.url(), `${gateway.url}/`);
    assert.equal(await chat.page.evaluate(() => history.length), 2, 'no page with the token to go back to');
    await chat.isConnected();
    await bob.say(thread, 'a word to a token');
    await chat.openThread('bob and perhaps others');
    await chat.dialog.getByText('To see who else is here needs your password').waitFor();
    await chat.dialog.getByRole('button', { name: 'Not now' }).click();
    await chat.hears('a word to a token');
    const me = (words) => chat.page.getByRole('button', { name: `You, alice, ${words}`, exact: true });
    await me('as the link says').waitFor();
    await chat.say('and one back');
    await becomes('bob has it', async () => (await bob.history(thread)).messages.length === 3);
    assert.equal((await chat.messages()).at(-1).name, 'You');
    await me('here').waitFor();
  });

  test('is not taken from one who is in by a link, unless they want that', async (t) => {
    const { gateway, signIn, bob } = await start(t);
    const chat = await signIn('alice');
    const { page } = chat;
    await chat.isConnected();
    const questions = [];
    page.on('dialog', (dialog) => {
      questions.push(dialog.message());
      return questions.length < 3 ? dialog.dismiss() : dialog.accept();
    });
    const link = `${gateway.url}/#token=${await bob.token()}&user=alice`;
    const asked = async (count) => {
      await becomes('the page asks', () => questions.length === count);
      await becomes('the token is gone from the address', () => page.url() === `${gateway.url}/`);
      await chat.isConnected();
    };
    await page.evaluate((url) => (location.href = url), link); // the page stays, nothing but # changes
    await asked(1);
    await page.goto('about:blank');
    await page.goto(link);
    await asked(2);
    await page.getByRole('button', { name: 'You, alice, here' }).waitFor();
    await page.evaluate((url) => (location.href = url), link);
    await becomes('the page asks', () => questions.length === 3);
    await page.getByRole('button', { name: 'You, alice, as the link says' }).waitFor();
    assert.match(questions[2], /as “alice”.*another sign-in/);
  });

  test('by a token does not take a group for a private talk', async (t) => {
    const { signIn, bob } = await start(t);
    const chat = await signIn('alice');
    await chat.isConnected();
    await chat.page.reload();
    await chat.isConnected();
    const group = await bob.thread('alice', 'carol');
    await bob.say(group, 'hello both');
    await chat.thread('bob and perhaps others').waitFor();
    await chat.person('bob').click();
    await chat.dialog.getByLabel('Password', { exact: true }).fill('x');
    await chat.dialog.getByRole('button', { name: 'Continue' }).click();
    await becomes('with bob', async () => (await chat.title.innerText()) === 'bob');
    await chat.say('only for you');
    await chat.hears('only for you');
    assert.deepEqual((await bob.history(group)).messages.map(({ message }) => message.text), ['hello both']);
    await chat.thread(/bob, carol|carol, bob/).waitFor();
  });

  test('asks for the password where a token is not enough', async (t) => {
    const { gateway, open, alice } = await start(t);
    const chat = await open({ at: `${gateway.url}/#token=${await alice.token()}&user=alice` });
    await chat.isIn();
    await chat.isConnected();
    await chat.person('bob').click();
    await chat.dialog.getByText('needs your password').waitFor();
    await chat.dialog.getByLabel('Password', { exact: true }).fill('x');
    await chat.dialog.getByRole('button', { name: 'Continue' }).click();
    await chat.field.waitFor();
    await chat.say('now I may');
    await chat.hears('now I may');
  });

  test('is open to those whom the HTTP layer knows', async (t) => {
    const options = { 'auth.methods': 'header', 'auth.trusted': '127.0.0.1' };
    const { open } = await start(t, { options });
    const before = (page) => page.setExtraHTTPHeaders({ 'X-Forwarded-User': 'alice' });
    const chat = await open({ before });
    await chat.isIn();
    await chat.page.getByRole('button', { name: /^You, alice/ }).waitFor();
    await chat.isConnected();
    await chat.enterRoom('lobby');
    await chat.say('no questions asked');
    await chat.hears('no questions asked');
    await chat.field.fill('a beginn');
    await chat.page.reload();
    await chat.hears('no questions asked');
    assert.equal(await chat.title.innerText(), '#lobby');
    assert.equal(await chat.field.inputValue(), 'a beginn');
    await chat.field.fill('');
    await chat.signOut();
    await saysAtTheDoor(chat, 'You have signed out here');
    await chat.page.getByRole('button', { name: 'Sign in' }).click();
    await chat.isIn();
  });

  test('is asked for anew by loading the page, where the HTTP layer knows one no longer', async (t) => {
    const options = { 'auth.methods': 'header', 'auth.trusted': '127.0.0.1', 'token.ttl': '4s' };
    const { open } = await start(t, { options });
    const before = (page) => page.setExtraHTTPHeaders({ 'X-Forwarded-User': 'alice' });
    const chat = await open({ before, mayComplain: /status of 40[14]/ });
    await chat.isIn();
    await chat.isConnected();
    await chat.page.setExtraHTTPHeaders({});
    await chat.stateBecomes('refused');
    await chat.page.getByRole('button', { name: /^Connection: / }).first().click();
    await saysAtTheDoor(chat, 'Sign in there, and try again');
  });

  test('sends cookies only where no password is asked for', async (t) => {
    const options = { 'auth.methods': 'header', 'auth.trusted': '127.0.0.1' };
    const { browser, gateway, open } = await start(t, { options });
    await browser.addCookies([{ name: 'session', value: 'alice', url: gateway.url }]);
    // A proxy that knows people by their cookies.
    const asProxy = async (route, request) => {
      const { cookie, ...headers } = await request.allHeaders();
      await route.continue({ headers: cookie ? { ...headers, cookie, 'x-forwarded-user': 'alice' } : headers });
    };
    const chat = await open({ before: (page) => page.route('**/nereid-chat/**', asProxy) });
    await chat.isIn();
    await chat.isConnected();
    await chat.page.getByRole('button', { name: /^You, alice/ }).waitFor();
  });

  test('is closed, in words, where the page has nothing to show', async (t) => {
    const { open } = await start(t, { options: { 'auth.methods': 'header', 'auth.trusted': '127.0.0.1' } });
    const chat = await open();
    await saysAtTheDoor(chat, 'Sign in there, and try again');
    assert.equal(await chat.page.getByRole('textbox').count(), 0);
  });

  test('says that nobody answers, and tries again', async (t) => {
    const { open } = await start(t);
    const mayComplain = /net::ERR_FAILED/;
    const before = (page) => page.route('**/nereid-chat/token', (route) => route.abort());
    const chat = await open({ mayComplain, before });
    await saysAtTheDoor(chat, 'cannot be reached');
    await chat.page.unroute('**/nereid-chat/token');
    await chat.page.getByRole('button', { name: 'Try again' }).click();
    await chat.signIn('alice');
  });
});

describe('a session', { skip: noBrowser }, () => {
  test('survives a reload: what was on show, what comes, what was begun', async (t) => {
    const { signIn, bob } = await start(t);
    const chat = await signIn('alice');
    await chat.startWith('bob');
    await chat.say('before');
    await chat.hears('before');
    await chat.field.fill('a beginn');
    await chat.page.reload();
    await chat.hears('before');
    assert.equal(await chat.title.innerText(), 'bob');
    assert.equal(await chat.field.inputValue(), 'a beginn');
    await chat.isConnected();
    await bob.send({ to: 'alice', message: 'after' });
    await chat.hears('after');
    assert.deepEqual(await chat.texts(), ['before', 'after']);
    await chat.say('by the token');
    await becomes('it is sent', async () => (await chat.messages()).at(-1).fate === '');
  });

  test('misses nothing of the moment in which it is reloaded', async (t) => {
    const { gateway, signIn, bob } = await start(t);
    const chat = await signIn('alice');
    await chat.startWith('bob');
    await chat.isConnected();
    await chat.page.goto('about:blank');
    for (const text of ['one', 'two', 'three']) await bob.send({ to: 'alice', message: text });
    await chat.page.goto(gateway.url);
    await chat.hears('three');
    assert.deepEqual(await chat.texts(), ['one', 'two', 'three']);
  });

  test('ends with signing out: the token is revoked and forgotten', async (t) => {
    const { gateway, signIn } = await start(t);
    const chat = await signIn('alice');
    await chat.isConnected();
    const token = await chat.page.evaluate(() => JSON.parse(Object.values(sessionStorage)[0]).token);
    assert.match(token, /^[0-9a-f-]{36}$/);
    const poll = () => fetch(`${gateway.url}/nereid-chat/poll/${token}?wait=0`).then(({ status }) => status);
    assert.equal(await poll(), 200);
    await chat.signOut();
    await saysAtTheDoor(chat, 'Sign in to talk');
    assert.equal(await poll(), 404);
    assert.ok(!(await keptBy(chat.page)).includes(token));
    await chat.page.reload();
    await saysAtTheDoor(chat, 'Sign in to talk');
  });

  test('goes on after its token was revoked elsewhere', async (t) => {
    const { gateway, signIn, alice, bob } = await start(t);
    const chat = await signIn('alice');
    await chat.startWith('bob');
    await chat.isConnected();
    const token = await chat.page.evaluate(() => JSON.parse(Object.values(sessionStorage)[0]).token);
    await alice.revoke(token);
    await chat.isConnected();
    await bob.send({ to: 'alice', message: 'still there?' });
    await chat.hears('still there?');
    assert.equal(gateway.running, true);
  });

  test('asks to sign in again where a reload has left nothing but a token that ended', async (t) => {
    const { signIn, alice, bob } = await start(t);
    const chat = await signIn('alice', { mayComplain: /status of 404/ });
    await chat.startWith('bob');
    await chat.isConnected();
    await chat.page.reload();
    await chat.isConnected();
    const token = await chat.page.evaluate(() => JSON.parse(Object.values(sessionStorage)[0]).token);
    await alice.revoke(token);
    await chat.dialog.getByText('Your session has ended').waitFor();
    assert.equal((await chat.state()).mode, 'refused');
    await chat.dialog.getByRole('button', { name: 'Not now' }).click();
    await chat.page.getByRole('button', { name: 'Connection: Signed out' }).first().click();
    await chat.dialog.getByLabel('Password', { exact: true }).fill('x');
    await chat.dialog.getByRole('button', { name: 'Continue' }).click();
    await chat.isConnected();
    await bob.send({ to: 'alice', message: 'welcome back' });
    await chat.hears('welcome back');
  });
});

describe('the connection', { skip: noBrowser }, () => {
  const NO_NET = /ERR_INTERNET_DISCONNECTED|ERR_NETWORK_CHANGED|Failed to load resource: net::/;

  test('is told as it is: live, offline with what is unsent, and live again', async (t) => {
    const { browser, signIn, bob } = await start(t);
    const chat = await signIn('alice', { mayComplain: NO_NET });
    await chat.startWith('bob');
    const { way, ...state } = await chat.stateBecomes('live');
    assert.deepEqual(state, { mode: 'live', leads: true, unsent: 0 });
    assert.ok(['stream', 'post'].includes(way), 'on a busy machine the first may have looked too slow');
    await browser.setOffline(true);
    await chat.say('waits one');
    await chat.say('waits two');
    await chat.page.getByRole('button', { name: 'Connection: Offline, 2 unsent' }).waitFor();
    await chat.page.getByText('There is no connection. 2 messages wait to be sent.').waitFor();
    assert.deepEqual((await chat.messages()).map(({ fate }) => fate), ['waits to be sent', 'waits to be sent']);
    await browser.setOffline(false);
    await chat.isConnected();
    await becomes('all is sent', async () => (await chat.messages()).every(({ fate }) => fate === ''));
    const [{ thread_id: id }] = (await bob.ask('GET', '/threads')).threads;
    assert.deepEqual((await bob.history(id)).messages.map(({ message }) => message.text), ['waits one', 'waits two']);
  });

  test('is kept when the page is hidden: a phone may end it without a word', async (t) => {
    const { open, signIn, bob } = await start(t);
    const chat = await signIn('alice', { mayComplain: NO_NET });
    await chat.startWith('bob');
    await chat.isConnected();
    await chat.page.route('**/send-message*', (route) => route.abort());
    await chat.say('unsent');
    await becomes('it waits', async () => (await chat.state()).unsent === 1);
    const kept = await chat.page.evaluate(() => {
      Object.defineProperty(document, 'hidden', { value: true });
      document.dispatchEvent(new Event('visibilitychange'));
      return { ...sessionStorage };
    });
    await open({ before: (page) => page.addInitScript((items) => Object.assign(sessionStorage, items), kept) });
    await becomes('it is sent after all', async () => {
      const { threads } = await bob.ask('GET', '/threads');
      return threads[0]?.last?.message.text === 'unsent';
    });
  });

  test('warns before a page with unsent messages is closed, and sends them after a reload', async (t) => {
    const { signIn, bob } = await start(t);
    const chat = await signIn('alice', { mayComplain: NO_NET });
    await chat.startWith('bob');
    await chat.isConnected();
    const warnings = [];
    chat.page.on('dialog', (dialog) => {
      warnings.push(dialog.type());
      return dialog.accept();
    });
    await chat.say('sent');
    await becomes('it is sent', async () => (await chat.messages()).at(-1)?.fate === '');
    await becomes('nothing is unsent', async () => (await chat.state()).unsent === 0);
    await chat.page.reload();
    assert.deepEqual(warnings, []);
    await chat.hears('sent');
    await chat.page.route('**/send-message*', (route) => route.abort());
    await chat.say('unsent');
    await becomes('it waits', async () => (await chat.state()).unsent === 1);
    await chat.page.reload();
    assert.deepEqual(warnings, ['beforeunload']);
    await chat.page.unroute('**/send-message*');
    await becomes('it is sent after all', async () => {
      const { threads } = await bob.ask('GET', '/threads');
      return threads[0].last.message.text === 'unsent';
    });
  });

  test('lists conversations once they can be had, and says nothing of them before', async (t) => {
    const { browser, open, bob } = await start(t);
    const chat = await open({ mayComplain: NO_NET });
    await bob.send({ to: 'alice', message: 'one' });
    await chat.page.route('**/threads*', (route) => route.abort());
    await chat.signIn('alice');
    await chat.stateBecomes('live');
    assert.equal(await chat.conversations.getByRole('button').count(), 0);
    assert.equal(await chat.page.getByText('Nothing yet.').isVisible(), false);
    assert.equal(await chat.page.getByText(/TypeError|Failed to fetch/).count(), 0);
    await chat.page.unroute('**/threads*');
    await browser.setOffline(true);
    await chat.stateBecomes('offline');
    await browser.setOffline(false);
    await chat.thread('bob').waitFor();
  });

  test('tells what was refused, and sends it again when asked', async (t) => {
    const { signIn, bob } = await start(t);
    const chat = await signIn('alice', { mayComplain: /status of 413/ });
    await chat.startWith('bob');
    const refuse = (route) =>
      route.fulfill({ status: 413, json: { error: 'too_large', message: 'the text is too large' } });
    await chat.page.route('**/send-message*', refuse);
    await chat.say('a bit much');
    const message = chat.message('a bit much');
    await message.getByText('Not sent: the text is too large').waitFor();
    await chat.page.unroute('**/send-message*');
    await message.getByRole('button', { name: 'Try again: a bit much' }).click();
    await becomes('it is sent', async () => (await chat.messages()).at(-1).fate === '');
    assert.equal((await bob.ask('GET', '/threads')).threads[0].last.message.text, 'a bit much');
  });

  test('examines what lies between, and says what to do about it', async (t) => {
    const { gateway, open } = await start(t);
    const hop = await startHop(t, 'holds_all', gateway);
    const chat = await open({ at: hop.url });
    await chat.signIn('alice');
    await chat.stateBecomes('polling');
    await chat.page.getByRole('button', { name: 'Connection: Polling' }).first().click();
    await chat.dialog.getByText('Long polls').waitFor();
    await chat.dialog.getByText('waits for the end of an answer').waitFor({ timeout: 30_000 });
    await chat.dialog.getByText('ask whoever runs it').waitFor();
  });
});
