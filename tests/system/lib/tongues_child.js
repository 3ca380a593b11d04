// SPDX-License-Identifier: MIT
// Clients in a process of their own (see joinElsewhere): they join as its argument says, it tells so, and it
// stays until it is killed.
import { Person } from './person.js';
import { TONGUES } from './tongues.js';

function join({ tongue, name, room, url, talker }) {
  const gateway = { url, address: () => talker, clients: new Set(), secrets: new Set() };
  return TONGUES[tongue].join(new Person(gateway, name), room);
}

await Promise.all(JSON.parse(process.argv[2]).map(join));
process.stdout.write('joined\n');
setInterval(() => {}, 1000);
