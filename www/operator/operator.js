// SPDX-License-Identifier: MIT
// The operator's page: how the gateway is, and was over the last minutes. It only reads: /metrics for every number,
// /status for words, /sessions and /threads for the lists.
//
//     Sampler ── Interval ──> History ──> charts
//                    └──────> figures, tables          List ──> sessions, threads
import { Chart } from "./chart.js";
import { byId, element } from "./dom.js";
import { History } from "./history.js";
import { makeLists, setClock } from "./lists.js";
import { panelsFor, plotted, usesRedis } from "./panels.js";
import { INTERVAL_MS, Sampler } from "./sampler.js";
import { State } from "./state.js";
import { showTables } from "./tables.js";

const HOUR_S = 3600;
const SPAN_MIN_S = 60;

const history = new History((HOUR_S * 1000) / INTERVAL_MS);
const lists = makeLists();
const state = new State();
const sampler = new Sampler({ read, lost });
let charts = [];
let onRedis = null; // whether the panels are for that; null: there are none yet
let paused = false;

// --- what is drawn

// The right end of the charts is now, whether or not there is anything to show there. The left one is where the
// history begins, as long as that is later than wanted.
function view() {
  const until = paused ? (history.times.at(-1) ?? Date.now() / 1000) : Date.now() / 1000;
  const first = Math.min(history.times[0] ?? until, until - SPAN_MIN_S);
  return { history, from: Math.max(first, until - Number(byId("span").value)), until };
}

function makeCharts(reading, redis) {
  for (const chart of charts) chart.close();
  charts = panelsFor(reading, redis).map((panel) => new Chart(panel, view));
  byId("panels").replaceChildren(...charts.map((chart) => chart.element));
  onRedis = redis;
}

function remember(interval, { broken, restarted }) {
  if (broken || restarted) history.interrupt();
  const series = new Map(charts.flatMap(({ panel }) => panel.series.map((one) => [one.name, one])));
  history.add(
    interval.now.wall / 1000,
    [...series].map(([name, { read: readSeries }]) => [name, plotted(readSeries(interval))]),
  );
}

// --- what is heard

function read({ interval, status, ...breaks }) {
  const redis = usesRedis(interval.now, status.told);
  if (redis !== onRedis) makeCharts(interval.now, redis);
  remember(interval, breaks);
  if (status.told) setClock(status.told.now);
  state.heard(status, breaks);
  for (const chart of charts) chart.show(interval);
  showTables(interval, status.told, redis);
}

function lost(error) {
  history.interrupt();
  state.lost(error);
  for (const chart of charts) chart.draw();
}

// --- what people do

function rest() {
  const looking = !paused && !document.hidden;
  if (looking) sampler.start();
  else sampler.stop();
  for (const list of lists) list.allow(looking);
}

function pause() {
  paused = !paused;
  byId("pause").setAttribute("aria-pressed", paused);
  state.pause(paused);
  rest();
}

function redraw() {
  for (const chart of charts) chart.redraw();
}

byId("pause").addEventListener("click", pause);
byId("span").addEventListener("change", () => charts.forEach((chart) => chart.show(chart.interval)));
document.addEventListener("visibilitychange", rest);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
byId("panels").append(element("p", { class: "faint", text: "The first figures are on their way." }));
rest();
