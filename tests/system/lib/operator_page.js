// SPDX-License-Identifier: MIT
// The operator's page in a browser, beside everything that it was given.
import assert from 'node:assert/strict';

import { parseMetrics } from './metrics.js';
import { waitFor } from './wait.js';

export class OperatorPage {
  answers = []; // all it got: { path, status, text, at }; `at` in milliseconds, when the first byte came

  // `url` is the admin listener's.
  static async open(browser, url) {
    const page = new OperatorPage();
    page.page = await browser.newPage();
    page.page.on('response', (response) => page.#take(response));
    await page.page.goto(`${url}/`);
    return page;
  }

  async #take(response) {
    const text = await response.text().catch(() => null); // the page may be gone by then
    if (text === null) return;
    const timing = response.request().timing();
    const { pathname, search } = new URL(response.url());
    const at = timing.startTime + timing.responseStart;
    this.answers.push({ path: pathname, search, status: response.status(), text, at });
  }

  get told() {
    return this.page.told;
  }

  // All answers of /metrics, read.
  get readings() {
    return this.answers
      .filter(({ path, status }) => path === '/metrics' && status === 200)
      .map(({ text, at }) => ({ at, ...parseMetrics(text) }));
  }

  mode() {
    return this.page.evaluate(() => document.body.dataset.mode);
  }

  becomes(mode, ms) {
    return waitFor(async () => (await this.mode()) === mode, `the page says ${mode}`, ms);
  }

  // What is shown at `place`: [{ key, value, text }].
  figures(place = 'body') {
    return this.page
      .locator(`${place} data[data-key]`)
      .evaluateAll((all) =>
        all.map((one) => ({ key: one.dataset.key, value: Number(one.value || 'NaN'), text: one.textContent })),
      );
  }

  // The first figure of a key at a place, once it is a number that `matches`.
  async figure(place, key, matches = () => true) {
    let last;
    await waitFor(async () => {
      last = (await this.figures(place)).find((one) => one.key === key);
      return last && matches(last.value);
    }, `${key} at ${place}`).catch((error) => assert.fail(`${error.message}; it is ${JSON.stringify(last)}`));
    return last;
  }

  // From now on nothing changes; resolves once the last answer was taken in.
  async pause() {
    await this.page.getByRole('button', { name: 'Pause' }).click();
    await this.page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));
  }

  async openNumbers() {
    await this.page.locator('#numbers > summary').click();
  }

  // A list is read while it can be seen.
  async look(list) {
    await this.page.locator(`#${list}`).scrollIntoViewIfNeeded();
    return this.rows(list);
  }

  // The cells of a list, as texts.
  rows(list) {
    return this.page
      .locator(`#${list} tbody tr`)
      .evaluateAll((rows) =>
        rows.map((row) =>
          [...row.cells].map(
            (cell) => [...cell.children].map((part) => part.textContent).join(' | ') || cell.textContent,
          ),
        ),
      );
  }

  rowsBecome(list, matches, what, ms) {
    return waitFor(
      async () => {
        const rows = await this.look(list);
        return matches(rows) && rows;
      },
      `${list}: ${what}`,
      ms,
    );
  }

  place(list) {
    return this.page.locator(`#${list} .place`).textContent();
  }
}
