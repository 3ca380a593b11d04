// SPDX-License-Identifier: MIT
// Numbers as people read them. What is not known is a dash.
const NONE = "–";
const KIB = 1024;

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const one = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });
const two = new Intl.NumberFormat("en", { maximumFractionDigits: 2 });
const clock = new Intl.DateTimeFormat("en-GB", { timeStyle: "medium" });
const dateAndClock = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "medium" });

const known = (write) => (value) =>
  value === null || value === undefined || Number.isNaN(value) ? NONE : write(value);

// Three digits are enough for what is measured.
const short = (value) => (value < 10 ? two : value < 100 ? one : whole).format(value);

// What is counted, to the last.
export const count = known((value) => whole.format(value));

export const perSecond = known((value) => `${(value < 10 ? one : whole).format(value)} /s`);

export const percent = known((value) => `${(value < 10 ? one : whole).format(value)} %`);

export const bytes = known((value) => {
  let unit = 0;
  while (value >= KIB && unit < 4) {
    value /= KIB;
    unit++;
  }
  return `${unit ? short(value) : whole.format(value)} ${["B", "KiB", "MiB", "GiB", "TiB"][unit]}`;
});

// A short time, from seconds.
export const duration = known((seconds) => {
  if (seconds === Infinity) return "over 1 s"; // beyond the last bound of the histogram
  if (seconds === 0) return "0 ms";
  return seconds < 1 ? `${short(seconds * 1000)} ms` : `${short(seconds)} s`;
});

// A long time, from seconds, in its two largest units.
export const age = known((seconds) => {
  const rest = Math.max(0, Math.floor(seconds));
  if (rest < 60) return `${rest} s`;
  if (rest < 3600) return `${Math.floor(rest / 60)} min ${rest % 60} s`;
  if (rest < 86_400) return `${Math.floor(rest / 3600)} h ${Math.floor((rest % 3600) / 60)} min`;
  return `${whole.format(Math.floor(rest / 86_400))} d ${Math.floor((rest % 86_400) / 3600)} h`;
});

// Times of day, and days, of the browser's place; from milliseconds since 1970.
export const timeOfDay = known((ms) => clock.format(ms));
export const dayAndTime = known((ms) => dateAndClock.format(ms));
