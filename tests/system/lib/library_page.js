// SPDX-License-Identifier: MIT
// A page that uses the library, as a process: node library_page.js URL PAGE
import { NereidChat } from '../../../www/nereid-chat.js';

const [url, what] = process.argv.slice(2);
const login = `Basic ${btoa('alice:x')}`;
const chat = new NereidChat({ url: `${url}/nereid-chat/`, login });
const isLive = new Promise((live) => chat.addEventListener('state', () => chat.state.mode === 'live' && live()));

const pages = {
  // Ends by itself once the chat is closed: nothing is left that waits.
  async ends() {
    chat.connect();
    await isLive;
    console.log('live');
    await chat.send({ to: 'bob', text: 'hello' });
    console.log('sent');
    await chat.close();
    console.log('closed');
  },

  // Its listener throws each time, which is shown where such errors are shown.
  async throws() {
    let heard = 0;
    process.on('uncaughtException', (error) => console.log(error.message));
    chat.addEventListener('message', ({ detail }) => {
      if (++heard === 2) chat.close();
      throw new Error(detail.message.text);
    });
    chat.connect();
    await isLive;
    await chat.send({ to: 'alice', text: 'one' });
    await chat.send({ to: 'alice', text: 'two' }).catch(() => {}); // it may be heard before it is answered
  },

  // Its function throws at each mark of an examination.
  async watches() {
    process.on('uncaughtException', (error) => console.log(error.message));
    const onMark = () => {
      throw new Error('mine');
    };
    console.log((await chat.diagnose({ onMark })).verdict);
  },

  // It is hidden: all its timers are late. What is not answered is given up nevertheless.
  async hides() {
    const { setTimeout } = globalThis;
    globalThis.setTimeout = (act, ms) => setTimeout(act, ms + 500);
    const fetch = () => new Promise(() => {});
    const hidden = new NereidChat({ url, login, fetch, times: { request: 1000 } });
    await hidden.friends().catch(({ word }) => console.log(word));
  },

  // It sleeps now and then, and its connection dies meanwhile.
  async sleeps() {
    let awake = 0; // how often it woke; what was opened before carries nothing any more
    const fetch = async (...request) => {
      const answer = await globalThis.fetch(...request);
      const since = awake;
      const line = new TransformStream({ transform: (piece, out) => since === awake && out.enqueue(piece) });
      return request[0].includes('/stream') ? new Response(answer.body.pipeThrough(line), answer) : answer;
    };
    const times = { heartbeat: 1000, base: 50, patience: 5000 };
    const sleeper = new NereidChat({ url: `${url}/nereid-chat/`, login, fetch, times });
    const becomes = (mode) =>
      new Promise((done) => sleeper.addEventListener('state', ({ detail }) => detail.mode === mode && done()));
    sleeper.connect();
    await becomes('live');
    for (let naps = 3; naps > 0; naps--) {
      awake++;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 6000);
      await becomes('live');
      console.log(sleeper.state.way);
    }
    await sleeper.close();
  },
};

await pages[what]();
