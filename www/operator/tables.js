// SPDX-License-Identifier: MIT
// What is shown as tables: protocols, limits, store, process, and every number there is.
import { byId, element, setAttribute, setChildren, setFigure, setText } from "./dom.js";
import * as format from "./format.js";
import { PROTOCOLS } from "./panels.js";

const LIMITS = "nereidd_limit_hits_total";
const REFUSED = "nereidd_connections_refused_total";

// A row: what it is about, and one figure or several, each { key, value, text }.
function showRows(body, rows) {
  setChildren(
    body,
    rows,
    ({ figures }) =>
      element(
        "tr",
        {},
        element("th", { scope: "row" }),
        ...figures.map(() => element("td", { class: "number" }, element("data"))),
      ),
    (row, { title, figures }) => {
      setText(row.firstElementChild, title);
      figures.forEach(({ key, value, text }, i) => {
        const figure = row.children[i + 1].firstElementChild;
        setAttribute(figure, "data-key", key ?? "");
        setFigure(figure, value, text);
      });
    },
  );
}

const counted = (reading, key, write = format.count) => ({
  key,
  value: reading.value(key),
  text: write(reading.value(key)),
});

const summed = (reading, name) => ({ key: name, value: reading.sum(name), text: format.count(reading.sum(name)) });

// --- by protocol

// A nereid session is one connection; of the others what is connected is counted by itself.
const CONNECTIONS = {
  socketio: (reading) => summed(reading, "nereidd_socketio_connections"),
  talker: (reading) => counted(reading, "nereidd_talker_connections"),
};

function protocolRows(reading) {
  return reading.members("nereidd_sessions").map(({ key, label }) => ({
    title: PROTOCOLS[label] ?? label,
    figures: [CONNECTIONS[label]?.(reading) ?? counted(reading, key), counted(reading, key)],
  }));
}

// --- limits

function limitRows(interval) {
  const { now } = interval;
  const hit = [
    ...now.members(LIMITS).map((one) => ({ ...one, title: one.label.replaceAll("_", " ") })),
    ...now.members(REFUSED).map((one) => ({ ...one, title: `connections refused: ${one.label.replaceAll("_", " ")}` })),
    ...["nereidd_login_failures_total", "nereidd_talker_refused_total"]
      .filter((key) => now.has(key))
      .map((key) => ({
        key,
        value: now.value(key),
        title: key.slice("nereidd_".length, -"_total".length).replaceAll("_", " "),
      })),
  ].filter(({ value }) => value > 0);
  hit.sort((a, b) => b.value - a.value);
  return hit.map(({ key, title }) => {
    const rate = interval.rate(key);
    return { title, figures: [counted(now, key), { key: "", value: rate, text: format.perSecond(rate) }] };
  });
}

// --- store, process

const STORE_ROWS = [
  ["Redis", "nereidd_redis_up", (up) => (up ? "connected" : "away")],
  ["Nodes on it", "nereidd_redis_nodes"],
  ["Times connected to", "nereidd_redis_connects_total"],
  ["Errors of Redis", "nereidd_redis_errors_total"],
  ["Entries it could not read", "nereidd_redis_skipped_total"],
  ["Channels lost", "nereidd_redis_channels_lost_total"],
  ["Transactions committed", "nereidd_store_commits_total"],
  ["Transactions failed", "nereidd_store_commit_failures_total"],
  ["Messages removed by retention", "nereidd_store_pruned_total"],
  ["Users in memory", "nereidd_users"],
  ["Threads in memory", "nereidd_threads"],
  ["Sends repeated", "nereidd_messages_repeated_total"],
];

const PROCESS_ROWS = [
  ["Running since", "process_start_time_seconds", (seconds) => format.dayAndTime(seconds * 1000)],
  ["Memory", "process_resident_memory_bytes", format.bytes],
  ["Processor time", "process_cpu_seconds_total", (seconds) => (seconds < 60 ? format.duration : format.age)(seconds)],
  ["Descriptors open", "process_open_fds"],
  ["Descriptors allowed", "process_max_fds"],
  ["First certificate ends", "nereidd_tls_certificate_end_seconds", (seconds) => format.dayAndTime(seconds * 1000)],
];

const isOf =
  (redis) =>
  ([, key]) =>
    redis ? !/commit/.test(key) : !/redis/.test(key);

function namedRows(reading, rows) {
  return rows
    .filter(([, key]) => reading.has(key) && (key !== "nereidd_tls_certificate_end_seconds" || reading.value(key) > 0))
    .map(([title, key, write]) => ({ title, figures: [counted(reading, key, write)] }));
}

function showStatus({ store, listeners }) {
  setText(byId("store-place"), store);
  setChildren(
    byId("listeners"),
    listeners,
    () => element("li", {}, element("span", { class: "faint" }), element("code")),
    (item, { name, address }) => {
      setText(item.firstElementChild, name);
      setText(item.lastElementChild, address);
    },
  );
}

// --- every number

let newest = null;

function showNumbers(reading) {
  newest = reading;
  if (!byId("numbers").open) return;
  const rows = [...reading.families.values()].flatMap(({ help, keys }) =>
    keys.map((key, i) => ({ key, help: i ? "" : help })),
  );
  setChildren(
    byId("every"),
    rows,
    () =>
      element(
        "tr",
        {},
        element("th", { scope: "row" }, element("code"), element("span", { class: "faint" })),
        element("td", { class: "number" }, element("data")),
      ),
    (row, { key, help }) => {
      const [name, words] = row.firstElementChild.children;
      const figure = row.lastElementChild.firstElementChild;
      setText(name, key);
      setText(words, help);
      setAttribute(figure, "data-key", key);
      setFigure(figure, reading.value(key), String(reading.value(key)));
    },
  );
}

byId("numbers").addEventListener("toggle", () => newest && showNumbers(newest));

// `status` may be undefined: it could not be read. `redis`: whether that is the store.
export function showTables(interval, status, redis) {
  const reading = interval.now;
  showRows(byId("protocols"), protocolRows(reading));
  const limits = limitRows(interval);
  showRows(byId("limits"), limits);
  byId("no-limits").hidden = limits.length > 0;
  byId("limits-table").hidden = limits.length === 0;
  showRows(byId("store"), namedRows(reading, STORE_ROWS.filter(isOf(redis))));
  showRows(byId("process"), namedRows(reading, PROCESS_ROWS));
  if (status) showStatus(status);
  showNumbers(reading);
}
