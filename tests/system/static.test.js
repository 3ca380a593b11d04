// SPDX-License-Identifier: MIT
// The pages: files of one folder, and nothing else of the machine.
import assert from 'node:assert/strict';
import fs from 'node:fs/promises';
import path from 'node:path';
import { describe, test } from 'node:test';

import { makeFolder, startGateway } from './lib/gateway.js';
import { exchange } from './lib/raw.js';

const FILES = {
  'index.html': '<!doctype html><title>chat</title>',
  'chat.js': 'export const x = 1;',
  'style.css': 'body { color: red }',
  'data.json': '{}',
  'image.svg': '<svg xmlns="http://www.w3.org/2000/svg"/>',
  'image.png': 'png',
  'icon.ico': 'ico',
  'plain.txt': 'text',
  'strange.xyz': 'bytes',
  'empty.txt': '',
  'deep/index.html': 'deep',
  'deep/with space.txt': 'space',
  '.hidden': 'hidden',
  'deep/.git/config': 'hidden',
};

async function startWithPages(t, options = {}) {
  const folder = await makeFolder(t);
  const www = path.join(folder, 'www');
  for (const [name, text] of Object.entries(FILES)) {
    await fs.mkdir(path.dirname(path.join(www, name)), { recursive: true });
    await fs.writeFile(path.join(www, name), text);
  }
  await fs.writeFile(path.join(folder, 'secret.txt'), 'secret');
  await fs.symlink(path.join(folder, 'secret.txt'), path.join(www, 'link.txt'));
  await fs.symlink(folder, path.join(www, 'up'));
  const gateway = await startGateway(t, { 'http.www': www, ...options });
  return { gateway, www };
}

const get = (target, ...lines) =>
  `${[`GET ${target} HTTP/1.1`, 'Host: x', 'Connection: close', ...lines].join('\r\n')}\r\n\r\n`;

describe('pages', { concurrency: 4 }, () => {
  test('have their types', async (t) => {
    const { gateway } = await startWithPages(t);
    const types = {
      '/': /^text\/html; charset=utf-8$/i,
      '/index.html': /^text\/html; charset=utf-8$/i,
      '/chat.js': /^text\/javascript/,
      '/style.css': /^text\/css/,
      '/data.json': /^application\/json/,
      '/image.svg': /^image\/svg\+xml/,
      '/image.png': /^image\/png$/,
      '/icon.ico': /^image\/(x-icon|vnd\.microsoft\.icon)$/,
      '/plain.txt': /^text\/plain; charset=utf-8$/i,
      '/strange.xyz': /^application\/octet-stream$/,
      '/empty.txt': /^text\/plain/,
      '/deep/': /^text\/html/,
      '/deep/with%20space.txt': /^text\/plain/,
    };
    for (const [target, type] of Object.entries(types)) {
      const response = await fetch(gateway.url + target);
      assert.equal(response.status, 200, target);
      assert.match(response.headers.get('content-type'), type, target);
      assert.equal(response.headers.get('x-content-type-options'), 'nosniff');
      const name = decodeURIComponent(target.slice(1)) + (target.endsWith('/') ? 'index.html' : '');
      assert.equal(await response.text(), FILES[name], target);
    }
  });

  test('are kept by browsers, and asked for again by their ETag', async (t) => {
    const { gateway, www } = await startWithPages(t, { 'http.cache': '1m' });
    const first = await fetch(`${gateway.url}/chat.js`);
    const etag = first.headers.get('etag');
    assert.match(etag, /^"[^"]+"$/);
    assert.equal(first.headers.get('cache-control'), 'max-age=60');
    const ask = async (value) => (await exchange(gateway, get('/chat.js', `If-None-Match: ${value}`))).responses[0];
    for (const value of [etag, `"other", ${etag}`, `W/${etag}`, '*']) {
      const again = await ask(value);
      assert.equal(again.status, 304, value);
      assert.equal(again.headers.etag, etag);
    }
    assert.equal((await ask('"other"')).status, 200);
    await fs.writeFile(path.join(www, 'chat.js'), 'export const x = 22;');
    const changed = await ask(etag);
    assert.equal(changed.status, 200);
    assert.notEqual(changed.headers.etag, etag);
  });

  test('bring a policy that lets them load from here only, or one of the operator', async (t) => {
    const { gateway, www } = await startWithPages(t);
    const { headers } = await fetch(`${gateway.url}/`);
    const policy = headers.get('content-security-policy');
    assert.match(policy, /default-src 'none'; script-src 'self'; .*require-trusted-types-for 'script'/);
    assert.doesNotMatch(policy, /unsafe/);
    assert.equal(headers.get('referrer-policy'), 'no-referrer');
    const own = "default-src 'self'; style-src 'unsafe-inline'";
    const other = await startWithPages(t, { 'http.content_policy': own });
    assert.equal((await fetch(`${other.gateway.url}/`)).headers.get('content-security-policy'), own);
    const file = path.join(www, '..', 'nereidd.conf');
    const lines = ['[http]', "content_policy = img-src 'self'; media-src 'none'", 'content_policy = strict', ''];
    await fs.writeFile(file, lines.join('\n'));
    const wrapper = ['sh', '-c', `exec "$@" -c ${file}`, 'sh'];
    const added = await startGateway(t, { 'http.www': www }, { wrapper });
    const both = (await fetch(`${added.url}/`)).headers.get('content-security-policy');
    assert.equal(both, `img-src 'self'; media-src 'none'; ${policy}`);
    const none = await startWithPages(t, { 'http.content_policy': '' });
    assert.equal((await fetch(`${none.gateway.url}/`)).headers.get('content-security-policy'), null);
  });

  test('answer HEAD and OPTIONS, and no other method', async (t) => {
    const { gateway } = await startWithPages(t);
    const head = await fetch(`${gateway.url}/chat.js`, { method: 'HEAD' });
    assert.equal(head.status, 200);
    assert.equal(Number(head.headers.get('content-length')), FILES['chat.js'].length);
    const options = await fetch(`${gateway.url}/chat.js`, { method: 'OPTIONS' });
    assert.equal(options.status, 204);
    assert.match(options.headers.get('allow'), /GET, HEAD/);
    const post = await fetch(`${gateway.url}/chat.js`, { method: 'POST' });
    assert.ok([404, 405].includes(post.status));
  });

  test('are all there is: no way out of the folder', async (t) => {
    const { gateway } = await startWithPages(t);
    const targets = [
      '/../secret.txt',
      '/..%2fsecret.txt',
      '/%2e%2e/secret.txt',
      '/%2e%2e%2fsecret.txt',
      '/deep/../../secret.txt',
      '//secret.txt',
      '/./chat.js',
      '/deep//index.html',
      '/..',
      '/../',
      '/%2e',
      '/link.txt',
      '/up/secret.txt',
      '/up/',
      '/.hidden',
      '/deep/.git/config',
      '/deep',
      '/chat.js/',
      '/chat.js/x',
      '/\\..\\secret.txt',
      '/..%5csecret.txt',
      '/%2fetc%2fpasswd',
      '//etc/passwd',
      '/chat.js%20',
      '/CHAT.JS',
      '/nothing',
    ];
    for (const target of targets) {
      const { text, responses } = await exchange(gateway, get(target));
      assert.ok(
        [400, 404].includes(responses[0].status) || (target === '/deep' && responses[0].status === 301),
        `${target}: ${responses[0].status}`,
      );
      assert.doesNotMatch(text, /secret|hidden|root:/);
    }
    const { responses } = await exchange(gateway, get('/chat.js%00.html'));
    assert.equal(responses[0].status, 400);
  });

  test('that are not there do not keep the gateway from working', async (t) => {
    const gateway = await startGateway(t, { 'http.www': '/nonexistent' });
    assert.equal((await fetch(`${gateway.url}/`)).status, 404);
    await gateway.person('alice').friends();
  });
});
