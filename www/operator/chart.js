// SPDX-License-Identifier: MIT
// A panel: a large figure, the current value of each series in words, and a chart of the last minutes.
import uPlot from "./lib/uPlot.esm.js";

import { element, setAttribute, setFigure, setText } from "./dom.js";
import { timeOfDay } from "./format.js";

const TIME_PX = 48; // as wide as a time is
const TOGETHER = "nereidd"; // the charts show one moment under the pointer
const DASHES = [[], [6, 3], [2, 3], [8, 3, 2, 3]]; // so that lines differ without colours, too

const styleOf = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

const colour = (index) => styleOf(`--series-${(index % 4) + 1}`);

// What an axis begins and ends with: from nothing to a little above the highest.
const fromZero = (plot, lowest, highest) => [0, highest > 0 ? highest * 1.1 : 1];

// To the minute, or to the second where marks are closer. One that would be cut off at the end is left out.
function writeTimes(plot, marks, index, space, step) {
  const last = plot.posToVal(plot.over.clientWidth - TIME_PX / 2, "x");
  return marks.map((at) => (at > last ? "" : timeOfDay(at * 1000).slice(0, step < 60 ? undefined : -3)));
}

// Where an axis may have marks: at round numbers, in the way of people or of memory.
const ROUND = Array.from({ length: 16 }, (_, i) => [1, 2, 5].map((digit) => digit * 10 ** (i - 4))).flat();
const STEPS = {
  bytes: Array.from({ length: 50 }, (_, i) => 2 ** i),
  count: ROUND.filter((step) => step >= 1),
  part: ROUND,
};

export class Chart {
  #plot = null;
  #width = 0;
  #height = 0;
  #moment = null; // the row under the pointer

  // `view` tells { history, from, until }: what to draw, and of which seconds since 1970.
  constructor(panel, view) {
    this.panel = panel;
    this.view = view;
    this.#makeElements();
    this.watcher = new ResizeObserver(() => this.#resize());
    this.watcher.observe(this.canvas);
  }

  #makeElements() {
    const { id, title, hint, big, bigNote, series } = this.panel;
    this.big = element("data", { class: "big", "data-key": big.key });
    this.canvas = element("div", { class: "chart", role: "img" });
    this.moment = element("span", { class: "moment faint" });
    this.figures = series.map(({ key, name }) => element("data", { "data-key": key, "data-name": name }));
    const legend = series.map(({ label }, i) =>
      element("li", {}, element("i", { class: `mark mark-${(i % 4) + 1}` }), `${label} `, this.figures[i]),
    );
    this.element = element(
      "article",
      { class: "panel", id: `panel-${id}` },
      element("h3", { text: title, title: hint }),
      element("p", { class: "value" }, this.big, element("span", { class: "faint", text: bigNote ?? "" }), this.moment),
      this.canvas,
      element("ul", { class: "legend" }, ...legend),
      hint ? element("p", { class: "hint faint", text: `${hint}.` }) : "",
    );
  }

  // --- the chart

  #options() {
    const axis = {
      stroke: styleOf("--faint"),
      font: "11px system-ui, sans-serif",
      grid: { stroke: styleOf("--grid"), width: 1 },
      ticks: { show: false },
    };
    const [{ write, steps = "part" }] = this.panel.series;
    return {
      width: this.#width,
      height: this.#height,
      legend: { show: false },
      padding: [8, 8, 0, 0],
      cursor: { sync: { key: TOGETHER }, drag: { x: false, y: false }, y: false, points: { size: 6 } },
      hooks: { setCursor: [(plot) => this.#pointAt(plot.cursor.idx)] },
      scales: { x: { time: true, range: () => [this.view().from, this.view().until] }, y: { range: fromZero } },
      axes: [
        { ...axis, size: 24, space: 80, values: writeTimes },
        { ...axis, size: 66, space: 22, incrs: STEPS[steps], values: (plot, splits) => splits.map(write) },
      ],
      series: [{}, ...this.panel.series.map((_, i) => this.#line(i))],
    };
  }

  #line(i) {
    const stroke = colour(i);
    const only = this.panel.series.length === 1;
    return {
      stroke,
      width: 1.75,
      dash: DASHES[i % 4],
      fill: only ? `${stroke}22` : undefined,
      points: { show: false },
    };
  }

  #resize() {
    const { clientWidth: width, clientHeight: height } = this.canvas;
    if (width === this.#width && height === this.#height) return;
    [this.#width, this.#height] = [width, height];
    if (this.#plot && width) this.#plot.setSize({ width, height });
    else this.redraw();
  }

  // Made anew: with the colours as they are now.
  redraw() {
    this.#plot?.destroy();
    this.#plot = this.#width ? new uPlot(this.#options(), this.#data(), this.canvas) : null;
  }

  #data() {
    const { history } = this.view();
    return [history.times, ...this.panel.series.map(({ name }) => history.column(name))];
  }

  close() {
    this.watcher.disconnect();
    this.#plot?.destroy();
  }

  draw() {
    this.#plot?.setData(this.#data());
  }

  // --- the words

  // `interval` null: nothing is known now.
  show(interval) {
    const { big, series } = this.panel;
    this.interval = interval;
    const value = interval && big.read(interval);
    setFigure(this.big, value, big.write(value));
    if (this.#moment === null) this.#showNow();
    setAttribute(this.canvas, "aria-label", this.#describe(series));
    this.draw();
  }

  #showNow() {
    setText(this.moment, "");
    this.panel.series.forEach(({ read, write }, i) => {
      const value = this.interval && read(this.interval);
      setFigure(this.figures[i], value, write(value));
    });
  }

  #pointAt(row) {
    const { history } = this.view();
    this.#moment = row ?? null;
    if (this.#moment === null || history.times[row] === undefined) {
      this.#showNow();
      return;
    }
    setText(this.moment, `At ${timeOfDay(history.times[row] * 1000)}`);
    this.panel.series.forEach(({ name, write }, i) => {
      const value = history.column(name)[row];
      setFigure(this.figures[i], value, write(value));
    });
  }

  #describe(series) {
    const { history, from } = this.view();
    const lines = series.map(({ name, label, write }) => {
      const range = history.range(name, from);
      return range ? `${label} between ${write(range.lowest)} and ${write(range.highest)}` : `${label} not known`;
    });
    return `Chart, ${this.panel.title}: ${lines.join(", ")}`;
  }
}
