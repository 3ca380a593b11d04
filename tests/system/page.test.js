// SPDX-License-Identifier: MIT
// The chat page in a real browser: people, conversations, messages of all kinds, and what attackers put into them.
import assert from 'node:assert/strict';
import fs from 'node:fs/promises';
import path from 'node:path';
import { describe, test } from 'node:test';

import { noBrowser } from './lib/browser.js';
import { chatPages } from './lib/chat_page.js';
import { makeFolder, runProgram } from './lib/gateway.js';
import { www } from './lib/pages.js';
import { waitFor } from './lib/wait.js';

const DAY_MS = 86_400_000;

const start = chatPages();
const becomes = (what, condition, ms) => waitFor(condition, what, ms);

async function saysAtTheDoor(chat, words) {
  await chat.page.getByRole('main').getByText(words).waitFor();
}

describe('people and conversations', { skip: noBrowser }, () => {
  test('show how everybody is, as it changes', async (t) => {
    const { signIn, bob } = await start(t, { options: { 'presence.grace': '0s' } });
    const chat = await signIn('alice');
    await chat.people.getByRole('button', { name: 'bob, not here' }).waitFor();
    const stream = await bob.stream();
    await chat.people.getByRole('button', { name: 'bob, here' }).waitFor();
    await bob.setPresence({ show: 'dnd', status: 'Writing <b>tests</b>' });
    await chat.people.getByRole('button', { name: 'bob, Writing <b>tests</b>, busy' }).waitFor();
    await bob.setPresence({ show: 'xa', status: '' });
    await chat.people.getByRole('button', { name: 'bob, away for long', exact: true }).waitFor();
    stream.close();
    await chat.people.getByRole('button', { name: 'bob, not here' }).waitFor();
  });

  test('let others see what one sets', async (t) => {
    const { signIn, bob } = await start(t);
    const chat = await signIn('alice');
    await chat.page.getByRole('button', { name: 'You, alice, here' }).click();
    await chat.dialog.getByRole('radio', { name: 'Busy' }).check();
    await chat.dialog.getByRole('textbox', { name: 'Status' }).fill('Deep in thought');
    await chat.dialog.getByRole('button', { name: 'Save' }).click();
    await chat.page.getByRole('button', { name: 'You, alice, Deep in thought, busy' }).waitFor();
    const { show, status } = await bob.friend('alice');
    assert.deepEqual({ show, status }, { show: 'dnd', status: 'Deep in thought' });
  });

  test('count what is unread, in the list and in the title, and order by what happened last', async (t) => {
    const { signIn, bob, carol } = await start(t);
    const chat = await signIn('alice');
    await chat.startWith('bob');
    const titles = async () =>
      (await chat.conversations.getByRole('button').allTextContents()).map((text) => /bob|carol/.exec(text)[0]);
    await bob.send({ to: 'alice', message: 'seen' });
    await chat.hears('seen');
    assert.equal(await chat.unread('bob'), 0);
    await carol.send({ to: 'alice', message: 'one' });
    await carol.send({ to: 'alice', message: 'two, the last' });
    await becomes('two are unread', async () => (await chat.page.title()) === '(2) bob – Chat');
    assert.equal(await chat.unread('carol'), 2);
    assert.match(await chat.thread('carol').innerText(), /two, the last/);
    assert.deepEqual(await titles(), ['carol', 'bob']);
    await chat.openThread('carol');
    assert.equal(await chat.page.title(), 'carol – Chat');
    assert.equal(await chat.unread('carol'), 0);
    await bob.send({ to: 'alice', message: 'back to me' });
    await becomes('bob is first', async () => (await titles())[0] === 'bob');
    assert.equal(await chat.unread('bob'), 1);
  });

  test('remember in this browser what was read, also while nobody was there', async (t) => {
    const { gateway, open, signIn, bob } = await start(t);
    const chat = await signIn('alice');
    await chat.startWith('bob');
    await bob.send({ to: 'alice', message: 'read' });
    await chat.hears('read');
    await chat.signOut();
    await saysAtTheDoor(chat, 'Sign in to talk');
    for (const text of ['new 1', 'new 2', 'new 3']) await bob.send({ to: 'alice', message: text });
    await chat.signIn('alice');
    await becomes('three are unread', async () => (await chat.page.title()) === '(3) Chat');
    const other = await (await open({ at: gateway.url })).signIn('alice');
    await other.thread('bob').waitFor();
    await becomes('there too', async () => (await other.unread('bob')) === 3);
    await chat.openThread('bob');
    await becomes('read in one tab is read in the other', async () => (await other.unread('bob')) === 0);
  });

  test('begin with one, with several, and with rooms', async (t) => {
    const { signIn, carol } = await start(t);
    const chat = await signIn('alice');
    await chat.person('bob').click();
    await chat.field.waitFor();
    assert.equal(await chat.title.innerText(), 'bob');
    await chat.startWith('bob', 'carol');
    await chat.say('to both');
    await chat.hears('to both');
    assert.equal((await carol.ask('GET', '/threads')).threads[0].members.length, 3);
    await chat.page.getByRole('button', { name: 'New conversation' }).click();
    await chat.dialog.getByRole('checkbox', { name: /carol/ }).check();
    await chat.dialog.getByRole('button', { name: 'Start' }).click();
    await becomes('with carol', async () => (await chat.title.innerText()) === 'carol');
    await chat.enterRoom('lobby');
    assert.equal(await chat.title.innerText(), '#lobby');
    await chat.page.getByText('Nothing has been said here yet.').waitFor();
  });

  test('say so when there is nobody of that name', async (t) => {
    const { signIn } = await start(t);
    const chat = await signIn('alice', { mayComplain: /status of 403/ });
    await chat.page.getByRole('button', { name: 'New conversation' }).click();
    await chat.dialog.getByRole('textbox').fill('nobody');
    await chat.dialog.getByRole('button', { name: 'Start' }).click();
    await chat.dialog.getByRole('alert').getByText(/friend|unknown/).waitFor();
  });

  test('gain and lose members, as the server allows it', async (t) => {
    const { signIn, bob, carol } = await start(t);
    const chat = await signIn('alice');
    await chat.enterRoom('lobby');
    await chat.page.getByRole('button', { name: 'Members: 1' }).click();
    await chat.dialog.getByRole('combobox', { name: 'Add somebody' }).fill('bob');
    await chat.dialog.getByRole('button', { name: 'Add' }).click();
    await chat.dialog.getByRole('listitem').filter({ hasText: 'bob' }).waitFor();
    const { threads } = await bob.ask('GET', '/threads');
    assert.equal(threads[0].room, 'lobby');
    await chat.dialog.getByRole('button', { name: 'Remove bob' }).click();
    await chat.dialog.getByRole('listitem').filter({ hasText: 'bob' }).waitFor({ state: 'detached' });
    await chat.dialog.getByRole('button', { name: 'Close' }).click();

    const theirs = await carol.room('carols');
    await chat.enterRoom('carols');
    await chat.page.getByRole('button', { name: 'Members: 2' }).click();
    assert.equal(await chat.dialog.getByRole('button', { name: /^(Add|Remove)/ }).count(), 0, 'only owners may');
    await chat.dialog.getByRole('button', { name: 'Leave this conversation' }).click();
    await chat.thread('#carols').waitFor({ state: 'detached' });
    await chat.page.getByRole('heading', { name: 'No conversation is open' }).waitFor();
    assert.deepEqual((await carol.ask('GET', '/threads')).threads[0].members.map(({ id }) => id), ['carol']);
    assert.ok(theirs);
  });

  test('tell who reads along, when somebody was added meanwhile', async (t) => {
    const { signIn, bob } = await start(t);
    const thread = await bob.thread('alice');
    const chat = await signIn('alice');
    await bob.say(thread, 'between us');
    await chat.openThread('bob');
    await bob.post(`/threads/${thread}/members`, { user: 'carol' });
    await chat.lookAway();
    await chat.page.getByRole('button', { name: 'Members: 3' }).waitFor();
    assert.match(await chat.title.innerText(), /carol/);
  });

  test('mean nobody by a name that several have, and whom it says by an id', async (t) => {
    const users = path.join(await makeFolder(t), 'users');
    const of = ([id, name]) => runProgram(['--hash-password', id, name], { input: 'x\n' });
    const people = { alice: 'Alice', sam1: 'Sam', sam2: 'Sam', robin: 'sam1', dan: 'Dan' };
    const lines = await Promise.all(Object.entries(people).map(of));
    await fs.writeFile(users, lines.map(({ stdout }) => stdout).join(''), { mode: 0o600 });
    const { gateway, signIn } = await start(t, { options: { 'auth.methods': 'basic', 'auth.users': users } });
    await gateway.people(...Object.keys(people));
    const chat = await signIn('alice');
    await chat.person('Dan').waitFor();
    const { dialog } = chat;
    const field = dialog.getByRole('textbox');
    const titled = (title) => becomes(`with ${title}`, async () => (await chat.title.innerText()) === title);
    await chat.page.getByRole('button', { name: 'New conversation' }).click();
    await field.fill('sam');
    await field.press('Enter');
    await dialog.getByRole('alert').getByText(/several called “sam”: sam1, sam2|: sam2, sam1/).waitFor();
    await field.fill('sam1');
    await field.press('Enter');
    await titled('Sam');
    await chat.page.getByRole('button', { name: 'Members: 2' }).click();
    await dialog.getByRole('listitem').filter({ hasText: 'Sam' }).waitFor();
    await chat.page.keyboard.press('Escape');
    await chat.page.getByRole('button', { name: 'New conversation' }).click();
    await field.fill('da');
    await dialog.getByRole('checkbox', { name: /Dan/ }).check();
    await field.press('Enter');
    await titled('Dan');
  });

  test('tell who has been removed that they write to nobody', async (t) => {
    const { signIn, carol } = await start(t);
    const chat = await signIn('alice', { mayComplain: /status of 404/ });
    const room = await carol.room('carols');
    await chat.enterRoom('carols');
    await carol.delete(`/threads/${room}/members/alice`);
    await chat.say('anybody?');
    const message = chat.message('anybody?');
    await message.getByText(/Not sent: .*thread/).waitFor();
    await message.getByRole('button', { name: /^Discard/ }).click();
    await message.waitFor({ state: 'detached' });
  });
});

describe('a conversation', { skip: noBrowser }, () => {
  test('has a mark for each day, and times', async (t) => {
    const { signIn, bob } = await start(t);
    const thread = await bob.thread('alice');
    for (const text of ['long ago', 'last year', 'yesterday', 'today']) await bob.say(thread, text);
    const ages = { 'long ago': 700, 'last year': 400, yesterday: 1, today: 0 };
    const before = (page) =>
      page.route('**/history/**', async (route) => {
        const answer = await route.fetch();
        const body = await answer.json();
        for (const item of body.messages) {
          const at = new Date(Date.now() - ages[item.message.text] * DAY_MS);
          item.timestamp = `${at.toISOString().slice(0, -1)}000Z`;
        }
        await route.fulfill({ response: answer, json: body });
      });
    const chat = await signIn('alice', { before });
    await chat.openThread('bob');
    await chat.hears('long ago');
    const year = (days) => String(new Date(Date.now() - days * DAY_MS).getFullYear());
    const marks = await chat.log.getByRole('heading', { level: 3 }).allTextContents();
    assert.equal(marks.length, 4);
    assert.ok(marks[0].includes(year(700)) && marks[1].includes(year(400)), marks.join());
    assert.deepEqual(marks.slice(2), ['Yesterday', 'Today']);
    const clock = /^\d?\d:\d\d( [AP]M)?$/;
    for (const { time } of await chat.messages()) assert.match(time.replace('\u202f', ' '), clock);
  });

  test('shows who said what, one’s own and others’, as it comes', async (t) => {
    const { signIn, bob, carol } = await start(t);
    const chat = await signIn('alice');
    await chat.startWith('bob', 'carol');
    await chat.say('from me');
    await chat.hears('from me');
    await bob.send({ to: ['alice', 'carol'], message: 'from bob' });
    await bob.send({ to: ['alice', 'carol'], message: 'more from bob' });
    await carol.send({ to: ['alice', 'bob'], message: 'from carol' });
    await chat.hears('from carol');
    const said = (await chat.messages()).map(({ name, text }) => `${name}: ${text}`);
    assert.deepEqual(said, ['You: from me', 'bob: from bob', 'bob: more from bob', 'carol: from carol']);
    const visible = async (text) => chat.message(text).getByText('bob', { exact: true }).count();
    assert.deepEqual([await visible('from bob'), await visible('more from bob')].map(Boolean), [true, false]);
  });

  test('shows plain text as it is, with links that lead out', async (t) => {
    const { signIn, bob } = await start(t);
    const chat = await signIn('alice');
    await chat.startWith('bob');
    const links = 'See (https://a.example/x_(y)), or http://b.example/?q=1&r=<2>.';
    const text = `${links}\n  <b>javascript:alert(1)</b> data:text/html,x`;
    await bob.send({ to: 'alice', message: text });
    await chat.hears('See');
    assert.deepEqual(await chat.texts(), [text]);
    const all = chat.message('See').getByRole('link');
    const out = ['noopener noreferrer', '_blank'];
    assert.deepEqual(await all.evaluateAll((found) => found.map((a) => [a.href, a.rel, a.target])), [
      ['https://a.example/x_(y)', ...out],
      ['http://b.example/?q=1&r=', ...out],
    ]);
  });

  test('shows rst as text, subjects, languages and attachments', async (t) => {
    const { signIn, bob } = await start(t);
    const chat = await signIn('alice');
    await chat.startWith('bob');
    const attachments = [
      { displayName: 'map.pdf', mimeType: 'application/pdf', size: 248113, url: 'https://files.example/map.pdf' },
      { name: 'evil', url: 'javascript:alert(1)' },
      { strange: true },
    ];
    const rst = 'Title\n=====\n\n* **one**\n* <two>';
    await bob.send({ to: 'alice', message: rst, type: 'rst', subject: 'Where', language: 'en-GB', attachments });
    await chat.hears('Where');
    const message = chat.message('Where');
    assert.equal(await message.locator('pre').innerText(), rst);
    assert.equal(await message.locator('pre').getAttribute('lang'), 'en-GB');
    const items = message.getByRole('list', { name: 'Attachments' }).getByRole('listitem');
    assert.deepEqual(await items.evaluateAll((all) => all.map((item) => item.innerText)), [
      'map.pdf\napplication/pdf, 248 kB',
      'evil',
      'Attachment',
    ]);
    assert.equal(await message.getByRole('link').count(), 1);
  });

  test('takes subject and type, kept out of the way', async (t) => {
    const { signIn, bob } = await start(t);
    const chat = await signIn('alice');
    await chat.startWith('bob');
    const subject = chat.page.getByRole('textbox', { name: 'Subject' });
    assert.equal(await subject.isVisible(), false);
    await chat.page.getByRole('button', { name: 'Subject and type' }).click();
    await subject.fill('A topic');
    await chat.page.getByRole('combobox', { name: 'Written in' }).selectOption('HTML');
    await chat.say('<em>hello</em>');
    await chat.log.locator('em').waitFor();
    const { threads } = await bob.ask('GET', '/threads');
    const { type, text, subject: sent } = threads[0].last.message;
    assert.deepEqual({ type, text, sent }, { type: 'html', text: '<em>hello</em>', sent: 'A topic' });
    assert.equal(await subject.inputValue(), '', 'a subject is for one message');
    assert.equal(await chat.page.getByRole('combobox', { name: 'Written in' }).inputValue(), 'html');
    await chat.enterRoom('lobby');
    await chat.page.getByRole('button', { name: 'Subject and type' }).click();
    assert.equal(await chat.page.getByRole('combobox', { name: 'Written in' }).inputValue(), 'plain', 'and a type here');
  });

  test('reads out what comes, and not what was', async (t) => {
    const { signIn, bob, carol } = await start(t);
    const thread = await bob.thread('alice');
    await bob.say(thread, 'old words');
    const chat = await signIn('alice');
    const spoken = [];
    await chat.page.exposeFunction('spoken', (text) => spoken.push(text));
    await chat.page.evaluate(() => {
      for (const region of document.querySelectorAll('[aria-live=polite], [role=log]:not([aria-live=off])'))
        new MutationObserver(() => spoken(region.innerText)).observe(region, { childList: true, subtree: true });
    });
    await chat.openThread('bob');
    await chat.hears('old words');
    await chat.isConnected();
    await bob.say(thread, 'new words');
    await becomes('it is read out', () => spoken.includes('bob: new words'));
    await carol.send({ to: 'alice', message: 'elsewhere' });
    await becomes('that too', () => spoken.includes('New message from carol'));
    assert.ok(!spoken.join().includes('old words'));
    const lost = await bob.thread('alice', 'carol');
    await bob.say(lost, 'to somebody who is gone');
    await bob.delete(`/threads/${lost}/members/alice`);
    await chat.lookAway(); // the page asks which threads there are, before it has told of this message
    await becomes('a thread is gone', async () => (await chat.thread(/, /).count()) === 0);
    await bob.say(thread, 'still speaks');
    await becomes('others are still told of', () => spoken.includes('bob: still speaks'));
  });
});

// What has been used against sanitisers; each does `hit()` or asks another server if it gets through.
const ATTACKS = [
  '<script>hit()</script>',
  '<img src=x onerror=hit()>',
  '<svg onload=hit()><script>hit()</script></svg>',
  '<svg><a xlink:href="javascript:hit()"><text y=20>click</text></a></svg>',
  '<math><mtext><table><mglyph><style><!--</style><img title="--&gt;&lt;img src=1 onerror=hit()&gt;">',
  '<math><mi//xlink:href="data:text/html,<script>hit()</script>">',
  '<form><math><mtext></form><form><mglyph><svg><mtext><style><path id="</style><img onerror=hit() src>">',
  '<noscript><p title="</noscript><img src=x onerror=hit()>">',
  '<a href="javascript:hit()">click</a>',
  '<a href=" &#14; java&Tab;script:hit()">click</a>',
  '<a href="data:text/html,<script>hit()</script>">click</a>',
  '<a href="vbscript:hit()" target=_self>click</a>',
  '<a href="//elsewhere.example/" ping="http://elsewhere.example/ping" onclick=hit()>click</a>',
  '<iframe srcdoc="<script>parent.hit()</script>"></iframe><iframe src="javascript:parent.hit()"></iframe>',
  '<object data="data:text/html,<script>hit()</script>"></object><embed src="javascript:hit()">',
  '<form action="http://elsewhere.example/"><input name=password autofocus onfocus=hit()><button>go</button></form>',
  '<button form=compose formaction="javascript:hit()">click</button>',
  '<style>@import "http://elsewhere.example/x.css"; * { display: none }</style>',
  '<div style="position:fixed;inset:0;background:url(http://elsewhere.example/x)">over everything</div>',
  '<link rel=stylesheet href="http://elsewhere.example/x.css"><base href="http://elsewhere.example/">',
  '<meta http-equiv=refresh content="0;url=http://elsewhere.example/">',
  '<img src="http://elsewhere.example/pixel.png"><img srcset="http://elsewhere.example/2.png 2x">',
  '<img src="data:image/svg+xml,<svg xmlns=%22http://www.w3.org/2000/svg%22 onload=%22hit()%22/>">',
  '<video poster="http://elsewhere.example/p"><source src="http://elsewhere.example/v" onerror=hit()></video>',
  '<table background="http://elsewhere.example/b"><tr><td background="http://elsewhere.example/c">cell</table>',
  '<p id=app name=log class=card>clobber</p><img name=getElementById><a id=body name=body>x</a>',
  '<details open ontoggle=hit()><summary>x</summary></details><dialog open>fake</dialog>',
  '<template><script>hit()</script></template><xmp><p title="</xmp><img src=x onerror=hit()>">',
  '<p title="--><img src=x onerror=hit()>"><!--[if gte IE 4]><script>hit()</script><![endif]-->',
  '<custom-element is=x onclick=hit()>custom</custom-element><marquee onstart=hit()>m</marquee>',
  `${'<div>'.repeat(600)}deep<img src=x onerror=hit()>`,
];

describe('html messages', { skip: noBrowser }, () => {
  test('keep their structure, and links lead out', async (t) => {
    const { signIn, bob } = await start(t);
    const chat = await signIn('alice');
    await chat.startWith('bob');
    const pixel = 'data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///ywAAAAAAQABAAACAUwAOw==';
    const html = `<h1>Plan</h1><p>On <b>Monday</b> <a href="https://a.example/">here</a></p><ul><li>one<li>two</ul>
      <table><tr><th>a<td>1</table><img src="${pixel}" alt="dot"><img src="https://a.example/x.png" alt="a cat">`;
    await bob.send({ to: 'alice', message: html, type: 'html' });
    await chat.hears('Plan');
    const message = chat.message('Plan');
    for (const part of ['b', 'ul > li', 'th', 'img[alt=dot]'])
      assert.ok(await message.locator(part).first().isVisible(), part);
    assert.equal(await message.getByRole('heading', { name: 'Plan' }).evaluate(({ localName }) => localName), 'h4');
    assert.match(await message.innerText(), /\[a cat\]/);
    const link = await message.getByRole('link').evaluate((a) => [a.href, a.target, a.rel]);
    assert.deepEqual(link, ['https://a.example/', '_blank', 'noopener noreferrer nofollow']);
    assert.match(await chat.thread('bob').innerText(), /Plan On Monday here one two/);
  });

  test('do nothing, whatever is in them', async (t) => {
    const { gateway, browser, signIn, bob } = await start(t);
    const asked = [];
    browser.on('request', (request) => asked.push(request.url()));
    const chat = await signIn('alice');
    const { page } = chat;
    page.on('dialog', (dialog) => dialog.dismiss());
    await page.evaluate(() => {
      window.hits = 0;
      window.hit = () => window.hits++;
      document.addEventListener('securitypolicyviolation', window.hit);
    });
    await chat.startWith('bob');
    for (const attack of ATTACKS) await bob.send({ to: 'alice', type: 'html', message: `${attack}end`, subject: 'x' });
    await becomes('all are there', async () => (await chat.messages()).length === ATTACKS.length);
    await bob.send({ to: 'alice', message: 'the last' });
    await chat.hears('the last');
    for (const link of await chat.log.getByText('click').all()) await link.dispatchEvent('click');
    const found = await chat.log.evaluate((log) => {
      const all = [...log.querySelectorAll('.text *')];
      const active = 'script, style, svg, math, form, input, button, iframe, object, embed, link, base, meta, video';
      const bad = /^(on|style$|id$|name$|ping$|background$|srcset$|is$)/;
      return {
        elements: all.filter((it) => it.matches(`${active}, template, dialog, details`)).map((it) => it.outerHTML),
        attributes: all.flatMap((element) => element.getAttributeNames().filter((name) => bad.test(name))),
        classes: all.filter((element) => element.className && element.className !== 'table').length,
        links: all.filter((element) => element.href && !/^(https?|mailto):/.test(element.href)).length,
        images: all.filter((element) => element.src && !/^data:image\/(png|gif|jpeg|webp)/.test(element.src)).length,
      };
    });
    assert.deepEqual(found, { elements: [], attributes: [], classes: 0, links: 0, images: 0 });
    assert.equal(await page.evaluate(() => window.hits), 0);
    for (const url of asked) assert.ok(url.startsWith(gateway.url) || url.startsWith('data:'), url);
    await page.reload();
    await chat.hears('the last');
  });

  test('are shown as text where DOMPurify is not installed', async (t) => {
    const bare = path.join(await makeFolder(t), 'www');
    await fs.cp(www, bare, { recursive: true, filter: (file) => !file.endsWith('/lib') });
    const { signIn, bob } = await start(t, { options: { 'http.www': bare } });
    const chat = await signIn('alice', { mayComplain: /status of 404/ });
    await chat.startWith('bob');
    const html = '<b>bold</b><img src=x onerror=hit()>';
    await bob.send({ to: 'alice', message: html, type: 'html' });
    await chat.hears('bold');
    assert.deepEqual(await chat.texts(), [html]);
  });
});

describe('the log', { skip: noBrowser }, () => {
  const COUNT = 230;

  // The place of a message, in px from the top of the view.
  const placeOf = (chat, text) =>
    chat.log.evaluate((log, wanted) => {
      const message = [...log.querySelectorAll('article')].find((item) => item.innerText.endsWith(wanted));
      return message?.getBoundingClientRect().top ?? null;
    }, text);

  const gapToEnd = (chat) =>
    chat.page.locator('#scroller').evaluate((it) => Math.round(it.scrollHeight - it.scrollTop - it.clientHeight));

  async function withHistory(t) {
    const all = await start(t);
    const thread = await all.bob.thread('alice');
    for (let i = 0; i < COUNT; i++) await all.bob.say(thread, `${'words '.repeat(i % 23)}no. ${i}.`);
    const chat = await all.signIn('alice');
    await chat.openThread('bob');
    await chat.hears(`no. ${COUNT - 1}.`);
    return { ...all, chat, thread };
  }

  test('begins at its end, and shows older messages without a jump, to the first', async (t) => {
    const { chat } = await withHistory(t);
    await becomes('it is at the end', async () => (await gapToEnd(chat)) <= 1);
    const count = () => chat.log.getByRole('article').count();
    for (let pages = 0; (await count()) < COUNT; pages++) {
      assert.ok(pages < 10, 'a page at a time');
      const had = await count();
      // The message that is first in sight before the page comes stays where it is.
      const { text, top } = await chat.page.locator('#scroller').evaluate((scroller) => {
        scroller.scrollTop = 120;
        const edge = scroller.getBoundingClientRect().top;
        const first = [...scroller.querySelectorAll('article')].find((item) => item.getBoundingClientRect().top > edge);
        return { text: /no\. \d+\.$/.exec(first.innerText)[0], top: first.getBoundingClientRect().top };
      });
      await becomes('a page has come', async () => (await count()) > had);
      const now = await placeOf(chat, text);
      assert.ok(Math.abs(now - top) <= 1, `${text} was at ${top}, is at ${now}`);
    }
    const texts = await chat.texts();
    assert.deepEqual(texts.map((text) => Number(/no\. (\d+)/.exec(text)[1])), [...Array(COUNT).keys()]);
    assert.equal(await chat.page.getByRole('button', { name: 'Earlier messages' }).isVisible(), false);
  });

  test('does not move under who reads, and tells what has come below', async (t) => {
    const { chat, bob, thread } = await withHistory(t);
    await chat.isConnected();
    await chat.page.locator('#scroller').evaluate((scroller) => (scroller.scrollTop = scroller.scrollHeight - 2000));
    const anchor = `no. ${COUNT - 12}.`;
    await becomes('it has come to rest', async () => (await gapToEnd(chat)) > 500);
    const top = await placeOf(chat, anchor);
    await bob.say(thread, 'below one');
    await bob.say(thread, 'below two');
    await chat.page.getByRole('button', { name: 'Go to 2 new messages' }).waitFor();
    assert.ok(Math.abs((await placeOf(chat, anchor)) - top) <= 1);
    await chat.page.getByRole('button', { name: 'Go to 2 new messages' }).click();
    await becomes('it is at the end', async () => (await gapToEnd(chat)) <= 1);
    await bob.say(thread, 'follows');
    await chat.hears('follows');
    assert.ok((await gapToEnd(chat)) <= 1, 'at the end it stays there');
  });

  test('does not undo a scroll whose event has not come yet', async (t) => {
    const { chat, bob, thread } = await withHistory(t);
    await chat.isConnected();
    await becomes('it is at the end', async () => (await gapToEnd(chat)) <= 1);
    await chat.page.evaluate(() => {
      addEventListener('scroll', (event) => event.stopImmediatePropagation(), true);
      document.querySelector('#scroller').scrollTop -= 1000;
    });
    await bob.say(thread, 'meanwhile');
    await chat.hears('meanwhile');
    assert.ok((await gapToEnd(chat)) > 1000);
  });

  test('is in order when it is opened after more than a page has come', async (t) => {
    const { signIn, bob } = await start(t);
    const thread = await bob.thread('alice');
    await bob.say(thread, 'message 0');
    const chat = await signIn('alice');
    await chat.isConnected();
    await chat.thread('bob').waitFor();
    for (let i = 1; i <= 70; i++) await bob.say(thread, `message ${i}`);
    await becomes('all have come', async () => (await chat.unread('bob')) === 70);
    await chat.openThread('bob');
    await chat.log.getByText('New', { exact: true }).waitFor();
    await chat.page.locator('#scroller').evaluate((scroller) => (scroller.scrollTop = 0));
    await becomes('all are there', async () => (await chat.texts()).length === 71);
    assert.deepEqual(await chat.texts(), Array.from({ length: 71 }, (_, i) => `message ${i}`));
  });

  test('does not grow for ever, and loses nothing by that', async (t) => {
    const { chat, bob, thread } = await withHistory(t);
    await chat.isConnected();
    const many = 470;
    for (let i = COUNT; i < many; i++) await bob.say(thread, `no. ${i}.`);
    await chat.hears(`no. ${many - 1}.`);
    const count = () => chat.log.getByRole('article').count();
    const scrollTo = (place) => chat.page.locator('#scroller').evaluate((it, top) => (it.scrollTop = top), place);
    const readAll = async () => {
      for (let had; (had = await count()) < many; ) {
        await scrollTo(120);
        await becomes('a page has come', async () => (await count()) > had);
      }
      const texts = await chat.texts();
      assert.deepEqual(texts.map((text) => Number(/no\. (\d+)/.exec(text)?.[1])), [...Array(many).keys()]);
    };
    await readAll();
    await scrollTo(1e6);
    await becomes('it is at the end', () => chat.page.getByRole('button', { name: 'Go to' }).isHidden());
    await bob.setPresence({ status: 'still here' }); // whatever makes the page look at what it shows
    await becomes('it was cut', async () => (await count()) <= 450);
    assert.ok((await gapToEnd(chat)) <= 1);
    await readAll();
  });

  test('is shown whole where the server gives small pages', async (t) => {
    const { signIn, bob } = await start(t, { options: { 'limits.history': 10 } });
    const thread = await bob.thread('alice');
    for (let i = 0; i < 35; i++) await bob.say(thread, `short ${i}`);
    const chat = await signIn('alice');
    await chat.openThread('bob');
    await chat.hears('short 34');
    await becomes('all are there', async () => {
      await chat.page.locator('#scroller').evaluate((scroller) => (scroller.scrollTop = 0));
      return (await chat.texts()).length === 35;
    });
    assert.deepEqual(await chat.texts(), Array.from({ length: 35 }, (_, i) => `short ${i}`));
  });

  test('stays at its end when the view gets smaller, as by a keyboard on the screen', async (t) => {
    const { chat } = await withHistory(t);
    await becomes('it is at the end', async () => (await gapToEnd(chat)) <= 1);
    await chat.page.setViewportSize({ width: 900, height: 420 });
    await becomes('it still is', async () => (await gapToEnd(chat)) <= 1);
  });
});
