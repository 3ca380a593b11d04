// SPDX-License-Identifier: MIT
// Several gateways on one Redis, which are to act as one.
import { Gateway, makeFolder } from './gateway.js';
import { waitFor } from './wait.js';

// A gateway on this Redis, ended before it is.
export async function openNode(t, redis, options = {}) {
  const gateway = new Gateway(await makeFolder(t), { 'store.url': redis.url, ...options });
  t.after(() => gateway.cleanUp());
  redis.serves(gateway);
  return gateway.start();
}

// The same, once it is ready.
export async function startNode(t, redis, options) {
  const gateway = await openNode(t, redis, options);
  await gateway.becomesReady();
  return gateway;
}

export function startNodes(t, redis, count, options) {
  return Promise.all(Array.from({ length: count }, () => startNode(t, redis, options)));
}

// People of the first node whom all nodes know: one can only talk to those they know.
export async function meet(nodes, ...names) {
  const people = await nodes[0].people(...names);
  for (const node of nodes) await waitFor(async () => knowsAll(people[0].at(node), names), 'the nodes know everybody');
  return people;
}

async function knowsAll(person, names) {
  const friends = new Set((await person.friends()).map(({ id }) => id));
  return names.every((name) => name === person.name || friends.has(name));
}
