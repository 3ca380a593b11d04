// SPDX-License-Identifier: MIT
// The list of sessions and the list of threads: their columns.
import { byId, element, setAttribute, setChildren, setText } from "./dom.js";
import * as format from "./format.js";
import { List } from "./list.js";
import { PROTOCOLS } from "./panels.js";

const SHOWS = { chat: "here", away: "away", xa: "away for long", dnd: "busy" };

// Whose clock ages are reckoned by: the gateway's, as far ahead of ours as it was last.
let ahead_ms = 0;

export function setClock(gatewayNow) {
  ahead_ms = Date.parse(gatewayNow) - Date.now();
}

const ageOf = (time) => (Date.now() + ahead_ms - Date.parse(time)) / 1000;

// Two lines: what it is, and fainter what else it is called.
function fillName(cell, name, other) {
  const lines = [name, other].filter(Boolean);
  setChildren(
    cell,
    lines,
    () => element("bdi"),
    (line, text) => setText(line, text),
  );
}

function fillFigure(cell, value, text) {
  if (!cell.firstElementChild) cell.append(element("data"));
  setAttribute(cell.firstElementChild, "value", value);
  setText(cell.firstElementChild, text);
}

function fillTime(cell, time) {
  setText(cell, time ? format.age(ageOf(time)) : "");
  setAttribute(cell, "title", time ? format.dayAndTime(Date.parse(time)) : null);
}

const sessionColumns = [
  {
    label: "User",
    sort: "user",
    fill: (cell, { user, displayName }) => fillName(cell, user, displayName === user ? "" : displayName),
  },
  {
    label: "Protocol",
    sort: "protocol",
    fill: (cell, { protocol, replaying }) =>
      fillName(cell, PROTOCOLS[protocol] ?? protocol, replaying ? "catching up" : ""),
  },
  { label: "Address", sort: "address", fill: (cell, { address }) => setText(cell, address || "Unix socket") },
  { label: "Age", sort: "since", turned: true, kind: "number", fill: (cell, { since }) => fillTime(cell, since) },
  {
    label: "Queue",
    sort: "queue_bytes",
    down: true,
    kind: "number",
    fill: (cell, { queue_bytes: queue }) => fillFigure(cell, queue, format.bytes(queue)),
  },
  { label: "Presence", kind: "presence", fill: (cell, { show }) => setText(cell, SHOWS[show] ?? show) },
];

const threadColumns = [
  {
    label: "Thread",
    sort: "room",
    fill: (cell, { room, id }) => fillName(cell, room ?? "no name", id),
  },
  {
    label: "Members",
    sort: "members",
    down: true,
    kind: "number",
    fill: (cell, { members }) => fillFigure(cell, members, format.count(members)),
  },
  {
    label: "Available",
    sort: "available",
    down: true,
    kind: "number",
    fill: (cell, { available }) => fillFigure(cell, available, format.count(available)),
  },
  {
    label: "Last message",
    sort: "last",
    down: true,
    turned: true,
    kind: "number",
    fill: (cell, { last }) => (last ? fillTime(cell, last) : setText(cell, "–")),
  },
];

export const makeLists = () => [
  new List(byId("sessions"), {
    path: "sessions",
    key: "sessions",
    columns: sessionColumns,
    sort: "-queue_bytes",
    empty: "Nobody is connected.",
  }),
  new List(byId("threads"), {
    path: "threads",
    key: "threads",
    columns: threadColumns,
    sort: "-last",
    empty: "No thread is in memory. One is while somebody in it is connected.",
  }),
];
