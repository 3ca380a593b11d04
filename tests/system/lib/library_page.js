// SPDX-License-Identifier: MIT
// A page that uses the library, as a process: node library_page.js URL ends|throws|watches
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
};

await pages[what]();
