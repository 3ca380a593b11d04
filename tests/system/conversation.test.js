// SPDX-License-Identifier: MIT
// One conversation in every tongue: a room, and people in it who each use another protocol. What one says all others
// hear; who is there is the same for all. Told as a story, on each store, and on two nodes at once.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { startGateway } from './lib/gateway.js';
import { wholeHistory } from './lib/load.js';
import { meet, startNodes } from './lib/nodes.js';
import { randomOf } from './lib/random.js';
import { startRedis } from './lib/redis.js';
import { soonButForOne } from './lib/soon.js';
import { TONGUES, isSame, joinElsewhere } from './lib/tongues.js';

const ROOM = 'commons';
const GRACE_MS = 3000;
const SWIFT_MS = process.env.ASAN_OPTIONS ? 5000 : 1000; // then presence is known to all; sanitizers take their time
const LINES = 20; // that each says when all talk at once

const MOVES = 60; // of those who come and go at random

const OPTIONS = {
  'sockets.room': ROOM,
  'presence.grace': `${GRACE_MS}ms`,
  'talker.idle_grace': `${GRACE_MS}ms`,
};

const WORLDS = {
  SQLite: async (t) => [await startGateway(t, OPTIONS)],
  Redis: async (t) => startNodes(t, await startRedis(t), 1, OPTIONS),
  'two nodes on one Redis': async (t) => startNodes(t, await startRedis(t), 2, OPTIONS),
};

const CAST = {
  nora: 'ndjson',
  sven: 'sse',
  paul: 'poll',
  max: 'maxtalk',
  mia: 'messaging',
  sara: 'sockets',
  tom: 'talker',
};

const tongues = Object.keys(TONGUES);

// Olga has made the room, and is in it with a stream and a Talker line, by which she hears and sees all.
class Story {
  cast = {}; // by name
  secrets = []; // { text, id, ears: who may hear it }
  lags = [];
  #people = new Map();
  #turn = 0;

  static async begin(t, nodes) {
    const story = new Story();
    Object.assign(story, { t, nodes, soon: soonButForOne(t, SWIFT_MS) });
    const guests = [...tongues.map((tongue) => `kim-${tongue}`), 'una', 'vera', 'rob'];
    for (const person of await meet(nodes, 'olga', ...Object.keys(CAST), ...guests))
      story.#people.set(person.name, person);
    story.scribe = await story.join('olga', 'ndjson');
    story.watch = await story.join('olga', 'talker');
    story.roomId = story.scribe.roomId;
    return story;
  }

  person(name) {
    return this.#people.get(name);
  }

  // At the nodes by turns.
  join(name, tongue) {
    const node = this.nodes[this.#turn++ % this.nodes.length];
    return TONGUES[tongue].join(this.person(name).at(node), ROOM);
  }

  get clients() {
    return [this.scribe, this.watch, ...Object.values(this.cast)];
  }

  // Those whose protocol says who is there.
  get watchers() {
    return this.clients.filter((client) => client.constructor.showsPresence);
  }

  // The message as the scribe has heard it.
  async says(client, text) {
    await client.say(text);
    return this.scribe.hears({ text });
  }

  async allHear(message) {
    const isOwn = (client) => client.name === message.from && !client.constructor.hearsItself;
    for (const client of this.clients) if (!isOwn(client)) await client.hears(message);
  }

  // All see it soon; with `grace`, when that is over.
  async allSee(user, state, { grace = 0 } = {}) {
    const due = performance.now() + grace;
    await this.soon((ms) => Promise.all(this.watchers.map((watcher) => watcher.sees(user, state, grace + ms))));
    this.lags.push(performance.now() - due);
  }

  // From now on, what each is told of people.
  mark() {
    const marks = this.watchers.map((watcher) => [watcher, watcher.seen.length]);
    return {
      // What Talker's clients were told of somebody, and what the others were.
      sawOf(user, { byTalker, byOthers }) {
        for (const [watcher, length] of marks) {
          const expected = watcher.constructor.showsIdle ? byTalker : byOthers;
          assert.deepEqual(watcher.statesSince(length, user), expected, `what ${watcher.what} saw of ${user}`);
        }
      },
    };
  }
}

const CHAPTERS = {
  async 'everybody comes, and everybody sees it'(story) {
    for (const [name, tongue] of Object.entries(CAST)) {
      story.cast[name] = await story.join(name, tongue);
      await story.allSee(name, 'here');
    }
    for (const name of Object.keys(CAST)) await story.allSee(name, 'here');
  },

  async 'what anybody says, everybody hears, once and under one id'(story) {
    const said = [];
    for (const client of Object.values(story.cast)) {
      const message = await story.says(client, `${client.name} speaks`);
      assert.equal(message.from, client.name);
      await story.allHear(message);
      said.push(message);
    }
    for (const client of story.clients) {
      for (const message of said) {
        const heard = client.heard.filter((one) => isSame(one, message));
        const isOwn = client.name === message.from && !client.constructor.hearsItself;
        assert.equal(heard.length, isOwn ? 0 : 1, `${client.what} hears ${message.text} once`);
        for (const { text, id, from, thread } of heard) {
          assert.equal(from, message.from);
          assert.equal(text ?? message.text, message.text);
          assert.equal(id ?? message.id, message.id);
          assert.equal(thread ?? story.roomId, story.roomId);
        }
      }
    }
    assert.equal(new Set(said.map(({ id }) => id)).size, said.length);
  },

  async 'when all talk at once, all hear the same order'(story) {
    const talkers = Object.values(story.cast);
    const talk = async (client) => {
      for (let i = 0; i < LINES; i++) await client.say(`${client.name} at once ${i}`);
    };
    await Promise.all(talkers.map(talk));
    const ids = await wholeHistory(story.person('olga'), story.roomId);
    const isOfThese = ({ text }) => / at once /.test(text);
    for (const id of ids.slice(-1)) await story.allHear(await story.scribe.hears({ id }));
    const order = story.scribe.heard.filter(isOfThese);
    assert.equal(order.length, talkers.length * LINES);
    assert.deepEqual(
      order.map(({ id }) => id),
      ids.slice(-order.length),
    );
    for (const client of story.clients) {
      const expected = order.filter(({ from }) => from !== client.name || client.constructor.hearsItself);
      for (const message of expected.slice(-1)) await client.hears(message);
      const heard = client.heard.slice(-expected.length);
      const isInOrder = expected.every((message, i) => isSame(heard[i], message));
      assert.ok(isInOrder, `${client.what} heard all in the order of the history`);
    }
  },

  async 'whose connection breaks misses nothing'(story) {
    const gone = Object.values(story.cast).filter(({ constructor }) => constructor.asksForMissed);
    const there = Object.values(story.cast).filter((client) => !gone.includes(client));
    const direct = await story.person('max').thread('tom');
    for (const client of gone) client.breaks();
    await story.watch.sees('tom', 'idle');
    const missed = [];
    for (let i = 0; i < 3; i++)
      for (const client of there) missed.push(await story.says(client, `${client.name} meanwhile ${i}`));
    const { UUID: id } = await story.person('max').say(direct, 'for tom alone, meanwhile');
    for (const client of gone) await client.returns();
    const now = await story.says(story.cast.sven, 'all are back');
    for (const client of gone) {
      await client.hears(now);
      const heard = client.heard.filter(({ text }) => / meanwhile /.test(text));
      const isInOrder = heard.every((one, i) => isSame(one, missed[i]));
      assert.ok(isInOrder && heard.length === missed.length, `${client.what} has heard all of it, once, in order`);
    }
    assert.equal((await story.cast.tom.hears({ id })).isPrivate, true);
    await story.watch.sees('tom', 'here');
    story.secrets.push({ id, text: 'for tom alone, meanwhile', ears: ['max', 'tom'] });
  },

  async "the sender's other devices hear it"(story) {
    const { tom } = story.cast;
    const devices = [tom];
    for (const tongue of tongues) devices.push(await story.join('tom', tongue));
    for (const [i, speaker] of devices.entries()) {
      const message = await story.says(speaker, `tom from device ${i}`);
      await story.allHear(message);
      for (const device of devices) {
        const { tongue, hearsItself } = device.constructor;
        const hears = tongue === 'Sockets' ? device !== speaker : hearsItself;
        if (hears) await device.hears(message);
        else assert.ok(!device.hasHeard(message), `${device.what} does not hear its own`);
      }
    }
    for (const device of devices.slice(1)) device.breaks();
  },

  async 'what is said to one alone is a thread of the two, in whatever tongue'(story) {
    const { tom, nora } = story.cast;
    const norasLine = await story.join('nora', 'talker');
    const tomsStream = await story.join('tom', 'ndjson');
    const direct = await tom.person.thread('nora');
    const ears = ['tom', 'nora'];

    tom.whisper('nora', 'tom to nora alone');
    const whispered = await nora.hears({ text: 'tom to nora alone' });
    assert.deepEqual([whispered.from, whispered.thread], ['tom', direct]);
    assert.equal((await norasLine.hears(whispered)).isPrivate, true);
    await tomsStream.hears(whispered);

    const { UUID: id } = await nora.person.say(direct, 'nora to tom alone');
    const answered = await tom.hears({ id });
    assert.deepEqual([answered.from, answered.isPrivate], ['nora', true]);
    for (const client of [nora, tomsStream]) assert.equal((await client.hears({ id })).thread, direct);

    const { mia } = story.cast;
    const three = await nora.person.thread('tom', 'mia');
    const { UUID: toThree } = await nora.person.say(three, 'nora to tom and mia');
    for (const client of [mia, nora, tomsStream]) await client.hears({ id: toThree });

    for (const { person } of [tom, nora])
      assert.deepEqual(await wholeHistory(person, direct), [whispered.id, id], 'both are in their history');
    await story.allHear(await story.says(nora, 'aloud again'));
    for (const client of [tom, norasLine]) await client.hears({ text: 'aloud again' });
    assert.ok(!tom.hasHeard(whispered) && !norasLine.hasHeard({ id }), "not on the sender's own lines");
    for (const line of [tom, norasLine]) assert.ok(!line.hasHeard({ id: toThree }), 'Talker shows the room, and two');
    story.secrets.push({ ...whispered, ears }, { id, text: 'nora to tom alone', ears });
    story.secrets.push({ id: toThree, text: 'nora to tom and mia', ears: [...ears, 'mia'] });
    for (const client of [norasLine, tomsStream]) client.breaks();
  },

  async 'who comes by several tongues is there once, and until the last has ended'(story) {
    const first = await story.join('una', 'ndjson');
    await story.allSee('una', 'here');
    let mark = story.mark();
    const others = [];
    for (const tongue of tongues.slice(1)) others.push(await story.join('una', tongue));
    for (const client of [first, ...others.slice(0, -1)]) client.breaks();
    const vera = await story.join('vera', 'ndjson');
    await story.allSee('vera', 'here');
    mark.sawOf('una', { byTalker: [], byOthers: [] });
    vera.breaks();

    others.at(-1).breaks();
    await story.watch.sees('una', 'idle');
    await story.allSee('una', 'gone', { grace: GRACE_MS });
    mark.sawOf('una', { byTalker: ['idle', 'gone'], byOthers: ['gone'] });

    mark = story.mark();
    const short = await story.join('una', 'maxtalk');
    await story.allSee('una', 'here');
    short.breaks();
    await story.watch.sees('una', 'idle');
    const line = await story.join('una', 'talker');
    await story.allSee('una', 'here');
    mark.sawOf('una', { byTalker: ['here', 'idle', 'here'], byOthers: ['here'] });

    mark = story.mark();
    line.closes();
    await story.allSee('una', 'gone');
    mark.sawOf('una', { byTalker: ['gone'], byOthers: ['gone'] }); /* without having been idle */
  },

  async 'who shows to be away is idle for Talker'(story) {
    const nora = story.person('nora');
    const others = story.watchers.filter(({ constructor }) => !constructor.showsIdle);
    const allSeeShow = (show, state) =>
      story.soon((ms) => {
        const sees = others.map((watcher) => watcher.seesShow('nora', show, ms));
        return Promise.all([...sees, story.watch.sees('nora', state, ms)]);
      });
    for (const show of ['away', 'xa', 'dnd']) {
      await nora.setPresence({ show });
      await allSeeShow(show, 'idle');
      await nora.setPresence({ show: 'chat' });
      await allSeeShow('chat', 'here');
    }
  },

  async 'whose client is killed is gone after the grace, by whatever tongue'(story) {
    const name = (tongue) => `kim-${tongue}`;
    const { nodes } = story;
    const clients = tongues.map((tongue, i) => {
      return { person: story.person(name(tongue)).at(nodes[i % nodes.length]), tongue };
    });
    const elsewhere = await joinElsewhere(story.t, clients, ROOM);
    for (const tongue of tongues) await story.allSee(name(tongue), 'here');
    const mark = story.mark();
    const start = performance.now();
    elsewhere.kill('SIGKILL');
    const idle = tongues.filter((tongue) => TONGUES[tongue].isIdleOnBreak);
    await Promise.all(idle.map((tongue) => story.watch.sees(name(tongue), 'idle')));
    story.lags.push(performance.now() - start);
    await Promise.all(tongues.map((tongue) => story.allSee(name(tongue), 'gone', { grace: GRACE_MS })));
    assert.ok(performance.now() - start >= GRACE_MS, 'not before');
    for (const tongue of tongues) {
      const byTalker = idle.includes(tongue) ? ['idle', 'gone'] : ['gone'];
      mark.sawOf(name(tongue), { byTalker, byOthers: ['gone'] });
    }
  },

  async 'however people come and go, all agree who is there'(story) {
    const random = randomOf(story.t);
    const names = ['una', 'vera', 'kim-sse', 'kim-talker'];
    const open = Object.fromEntries(names.map((name) => [name, []]));
    for (let i = 0; i < MOVES; i++) {
      const mine = open[names[random(names.length)]];
      const name = names[Object.values(open).indexOf(mine)];
      const tongue = tongues[random(tongues.length)];
      if (mine.length === 0 || random(3) === 0) {
        if (tongue !== 'sockets' || !mine.some(({ constructor }) => constructor === TONGUES.sockets))
          mine.push(await story.join(name, tongue));
      } else {
        const [client] = mine.splice(random(mine.length), 1);
        if (random(2)) client.breaks();
        else client.closes();
      }
    }
    const isHere = (name) => open[name].length > 0;
    for (const name of names) await story.allSee(name, isHere(name) ? 'here' : 'gone', { grace: GRACE_MS });
    const line = await story.join('rob', 'talker');
    for (const name of names) assert.equal(line.stateOf(name) === 'here', isHere(name), `rob is told of ${name}`);
    await story.allSee('rob', 'here');
    line.closes();
    for (const client of Object.values(open).flat()) client.closes();
    for (const name of [...names, 'rob']) await story.allSee(name, 'gone', { grace: GRACE_MS });
  },

  async 'who is removed hears nothing more, by whatever tongue'(story) {
    const olga = story.person('olga');
    const members = `/threads/${story.roomId}/members`;
    const robs = {};
    for (const tongue of tongues) robs[tongue] = await story.join('rob', tongue);
    const { talker: line, sockets, ...others } = robs; // the first two stand in the room itself
    await story.allSee('rob', 'here');
    const mark = story.mark();
    await olga.ask('DELETE', `${members}/rob`);
    await line.isOver();
    assert.match(line.error, /no longer in this room/);
    await sockets.client.disconnects();
    await story.watch.sees('rob', 'gone');
    const secret = await story.says(story.scribe, 'behind his back');
    await story.allHear(secret);
    story.secrets.push({ ...secret, ears: ['olga', ...Object.keys(CAST)] });
    const refused = await story.person('rob').post('/send-message', { thread_id: story.roomId, message: 'x' });
    assert.equal(refused.status, 404);

    await olga.ask('POST', members, { form: { user: 'rob' } });
    const welcome = await story.says(story.scribe, 'welcome back');
    for (const client of Object.values(others)) await client.hears(welcome);
    await story.watch.sees('rob', 'here');
    for (const client of Object.values(robs)) assert.ok(!client.hasHeard(secret), `${client.what} did not hear it`);
    mark.sawOf('rob', { byTalker: ['gone', 'here'], byOthers: [] });
    for (const client of Object.values(others)) client.breaks();
  },

  async 'there is one history, and nobody has heard what they may not'(story) {
    await story.allHear(await story.says(story.scribe, 'the end'));
    const ids = await wholeHistory(story.person('olga'), story.roomId);
    const heardByScribe = story.scribe.heard.map(({ id }) => id);
    assert.deepEqual(heardByScribe, ids, 'the scribe has heard it all, and nothing else');
    for (const { person } of Object.values(story.cast))
      assert.deepEqual(await wholeHistory(person, story.roomId), ids);
    for (const { ears, ...secret } of story.secrets) {
      for (const client of story.clients)
        assert.ok(ears.includes(client.name) || !client.hasHeard(secret), `${client.what} heard: ${secret.text}`);
    }
  },
};

describe('one conversation in every tongue', { concurrency: 3 }, () => {
  for (const [world, open] of Object.entries(WORLDS)) {
    test(world, async (t) => {
      const story = await Story.begin(t, await open(t));
      for (const [name, chapter] of Object.entries(CHAPTERS)) await t.test(name, () => chapter(story));
      t.diagnostic(`presence was known to all after ${Math.max(...story.lags).toFixed(0)} ms at the latest`);
    });
  }
});
