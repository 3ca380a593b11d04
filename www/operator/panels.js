// SPDX-License-Identifier: MIT
// Which numbers of /metrics the charts show, as a table.
//
// A panel: `title`, `series`, and `big`, what stands large above the chart. Of both the members are the same:
//   key      the metric, by its full name; what a test compares. For what is reckoned, what it is reckoned from
//   read     (interval) → number or null
//   write    number → text
//   steps    of the axis: whole numbers ("count"), "bytes", or any
// A series has a `name` for the history and a `label` for people as well. A panel is left out where `shown` says so.
import * as format from "./format.js";

const REDIS_CALLS = "nereidd_redis_call_seconds";
const COMMITS = "nereidd_store_commit_seconds";
const LIMITS = "nereidd_limit_hits_total";
export const SLOW_READERS = `${LIMITS}{limit="queue"}`;

export const PROTOCOLS = {
  "nereid-stream": "Nereid streams",
  "nereid-poll": "Nereid polls",
  socketio: "Socket.IO",
  talker: "Talker",
};

// --- ways to read

const gauge = (key) => ({ key, write: format.count, steps: "count", read: ({ now }) => now.value(key) ?? null });

const size = (key) => ({ ...gauge(key), write: format.bytes, steps: "bytes" });

const rate = (key) => ({ key, write: format.perSecond, read: (interval) => interval.rate(key) });

const sum = (key) => ({ key, write: format.count, read: ({ now }) => now.sum(key) ?? null });

const mean = (key) => ({ key, write: format.duration, read: (interval) => interval.mean(key) });

const quantile = (key, q) => ({ key, write: format.duration, read: (interval) => interval.quantile(key, q) });

// A part of a processor's time, from a counter of seconds.
const load = (key) => ({
  key,
  write: format.percent,
  read: (interval) => {
    const rise = interval.rate(key);
    return rise === null ? null : rise * 100;
  },
});

const otherLimits = {
  key: LIMITS,
  write: format.perSecond,
  read: (interval) => interval.rateOf(LIMITS, [SLOW_READERS]),
};

const series = (name, label, way) => ({ name, label, ...way });

const times = (key) => [
  series(`${key} mean`, "mean", mean(key)),
  series(`${key} median`, "median", quantile(key, 0.5)),
  series(`${key} 99`, "99 %", quantile(key, 0.99)),
];

const sessionsBy = (reading) =>
  reading.members("nereidd_sessions").map(({ key, label }) => series(key, PROTOCOLS[label] ?? label, gauge(key)));

// Whether the store is Redis, as far as can be known: `status` is what /status says, if it says anything.
export const usesRedis = (reading, status) =>
  /^redis/.test(status?.store ?? "") || reading.value("nereidd_redis_connects_total") > 0;

// --- the table. `reading` is the first one, `redis` whether that is the store.

export function panelsFor(reading, redis) {
  const table = [
    {
      id: "sessions",
      title: "Sessions",
      big: sum("nereidd_sessions"),
      series: sessionsBy(reading),
    },
    {
      id: "connections",
      title: "Connections",
      big: gauge("nereidd_connections"),
      series: [
        series("connections", "all", gauge("nereidd_connections")),
        series("tls", "with TLS", gauge("nereidd_tls_connections")),
      ],
    },
    {
      id: "messages",
      title: "Messages",
      big: rate("nereidd_messages_in_total"),
      series: [
        series("in", "taken", rate("nereidd_messages_in_total")),
        series("out", "delivered", rate("nereidd_messages_out_total")),
      ],
    },
    {
      id: "commits",
      title: "Log commit",
      hint: "Time of one transaction, in the last interval; quantiles are estimates",
      shown: !redis,
      big: mean(COMMITS),
      series: times(COMMITS),
    },
    {
      id: "calls",
      title: "Redis answers after",
      hint: "Time from a call of the store to its answer, in the last interval; quantiles are estimates",
      shown: redis,
      big: mean(REDIS_CALLS),
      series: times(REDIS_CALLS),
    },
    {
      id: "queue",
      title: "Queued for slow readers",
      big: size("nereidd_queue_bytes"),
      series: [series("queue", "bytes", size("nereidd_queue_bytes"))],
    },
    {
      id: "limits",
      title: "Slow readers cut",
      big: gauge(SLOW_READERS),
      bigNote: "since the start",
      series: [series("slow", "slow readers", rate(SLOW_READERS)), series("limits", "other limits hit", otherLimits)],
    },
    {
      id: "requests",
      title: "HTTP requests",
      big: rate("nereidd_requests_total"),
      series: [
        series("requests", "all", rate("nereidd_requests_total")),
        series("4xx", "refused (4xx)", rate('nereidd_request_errors_total{class="4xx"}')),
        series("5xx", "failed (5xx)", rate('nereidd_request_errors_total{class="5xx"}')),
      ],
    },
    {
      id: "memory",
      title: "Memory",
      big: size("process_resident_memory_bytes"),
      series: [series("memory", "resident", size("process_resident_memory_bytes"))],
    },
    {
      id: "cpu",
      title: "Processor",
      hint: "100 % is one processor at work all the time",
      big: load("process_cpu_seconds_total"),
      series: [series("cpu", "all threads", load("process_cpu_seconds_total"))],
    },
  ];
  return table.filter(({ shown = true }) => shown);
}

// Beyond the last bound of a histogram nothing is known but that; the chart shows the bound.
export const plotted = (value) => (value === Infinity ? 1 : value);
