// SPDX-License-Identifier: MIT
// How things are said: names, times, presence, the state of the connection.

const DAY_MS = 86_400_000;
const clock = new Intl.DateTimeFormat(undefined, { hour: "numeric", minute: "2-digit" }); // of 12 or 24 hours
const full = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "medium" });
const weekday = new Intl.DateTimeFormat("en-GB", { weekday: "long" });
const shortWeekday = new Intl.DateTimeFormat("en-GB", { weekday: "short" });
const date = new Intl.DateTimeFormat("en-GB", { weekday: "long", day: "numeric", month: "long" });
const dateWithYear = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "long", year: "numeric" });
const shortDate = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short" });
const shortDateWithYear = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", year: "2-digit" });

export const clockOf = (at) => clock.format(at);
export const fullTime = (at) => full.format(at);

// A number that is the same for all times of one day, here.
export function dayOf(at) {
  const day = new Date(at);
  return new Date(day.getFullYear(), day.getMonth(), day.getDate()).getTime();
}

// The day as machines write it: 2026-11-02.
export function isoDay(at) {
  const day = new Date(at);
  const parts = [day.getFullYear(), day.getMonth() + 1, day.getDate()];
  return parts.map((part) => String(part).padStart(2, "0")).join("-");
}

// Whole days from then to now; summer time makes days of 23 and 25 hours.
const daysAgo = (at, now) => Math.round((dayOf(now) - dayOf(at)) / DAY_MS);
const isThisYear = (at, now) => new Date(at).getFullYear() === new Date(now).getFullYear();

// For day marks: Today, Yesterday, Monday, Monday 2 November, 2 November 2025.
export function dayName(at, now = Date.now()) {
  const days = daysAgo(at, now);
  if (days === 0) return "Today";
  if (days === 1) return "Yesterday";
  if (days > 0 && days < 7) return weekday.format(at);
  return (isThisYear(at, now) ? date : dateWithYear).format(at);
}

// For lists, where there is little room: 14:05, Yesterday, Mon, 2 Nov, 2 Nov 25.
export function briefTime(at, now = Date.now()) {
  const days = daysAgo(at, now);
  if (days === 0) return clockOf(at);
  if (days === 1) return "Yesterday";
  if (days > 0 && days < 7) return shortWeekday.format(at);
  return (isThisYear(at, now) ? shortDate : shortDateWithYear).format(at);
}

// The first letters of the first and the last word.
export function initialsOf(name) {
  const words = name.split(/[\s._@-]+/u).filter((word) => /[\p{L}\p{N}]/u.test(word));
  const first = (word) => [...word.replace(/^[^\p{L}\p{N}]+/u, "")][0] ?? "";
  const letters = words.length > 1 ? first(words[0]) + first(words.at(-1)) : first(words[0] ?? name);
  return letters.toLocaleUpperCase() || "?";
}

// A hue, 0 to 359, that an id always has.
export function hueOf(id) {
  let hash = 2166136261;
  for (const letter of id) hash = Math.imul(hash ^ letter.codePointAt(0), 16777619);
  return ((hash >>> 8) * 47) % 360;
}

const SHOWS = { chat: "here", away: "away", dnd: "busy", xa: "away for long" };

// How somebody is, in a word.
export function presenceWord(presence) {
  if (!presence?.available) return "not here";
  return SHOWS[presence.show] ?? "here";
}

export const plural = (count, one, many = `${one}s`) => `${count} ${count === 1 ? one : many}`;

export function joinNames(names, most = 4) {
  if (names.length <= most) return names.join(", ");
  return `${names.slice(0, most - 1).join(", ")} and ${names.length - most + 1} more`;
}

// What went wrong. What a browser says of a network is not for people.
export const troubleWords = ({ word, status, message }) =>
  word === "network" && !status ? "The server cannot be reached just now." : message;

// --- the connection

const MODES = {
  connecting: "Connecting",
  live: "Live",
  polling: "Polling",
  catching_up: "Catching up",
  offline: "Offline",
  refused: "Signed out",
  closed: "Closed",
};

export const modeWord = (mode) => MODES[mode] ?? MODES.closed;

// In a few words: Live; Offline, 2 unsent.
export const stateWord = ({ mode, unsent }) => modeWord(mode) + (unsent ? `, ${unsent} unsent` : "");

// The same as a sentence or two, for those who want to know.
export function stateSentence({ mode, unsent, retryAt }, now = Date.now()) {
  const waiting = unsent ? ` ${plural(unsent, "message waits", "messages wait")} to be sent.` : "";
  const seconds = Math.max(0, Math.ceil((retryAt - now) / 1000));
  const next = retryAt ? ` Trying again ${seconds ? `in ${seconds} s` : "now"}.` : "";
  const said = {
    connecting: "Looking for a way to the server.",
    live: "Messages arrive as they are sent.",
    polling: "Messages arrive as answers to questions, a moment later than over a stream.",
    catching_up: "The connection was lost for a moment; what was missed is coming in.",
    offline: `There is no connection.${next}`,
    refused: "The server asks for a new sign-in.",
    closed: "The connection has ended.",
  };
  return (said[mode] ?? said.closed) + waiting;
}

export const WAYS = {
  stream: "One stream, as lines of JSON",
  post: "One stream, asked for by POST",
  events: "Server-sent events",
  poll: "Long polls",
};

// What came out of an examination of the connection, {verdict, bytes?, ms?, status?}, as { words, todo }. `way` is the
// one that the feed takes.
export function verdictWords({ verdict, bytes, ms, status }, way) {
  const goesOn = way === "poll" ? "Chat goes on by polls. " : "";
  const portions = bytes ? `, about ${bytes.toLocaleString("en")} at a time,` : "";
  const time = ms ? ` after ${Math.max(0.1, Math.round(ms / 100) / 10)} s` : "";
  const cases = {
    passes: ["Streams pass: nothing on the way holds them back.", ""],
    held_bytes: [
      `Something on the way gathers bytes${portions} before it lets them pass.`,
      `${goesOn}Whoever runs the proxy can switch its buffering off for /nereid-chat/; ` +
        "in nginx the lines are “proxy_buffering off;” and “proxy_http_version 1.1;”.",
    ],
    held_until_end: [
      "Something on the way waits for the end of an answer before it lets it pass, and a stream has no end.",
      `${goesOn}Virus scanners and proxies that read along do this: ask whoever runs it to let ` +
        "/nereid-chat/ pass unread, or use the server by https, into which it cannot look.",
    ],
    cut: [
      `Something on the way cuts connections${time}.`,
      "Nothing is lost by it, the page comes back each time. A longer time-out at the proxy would make it quieter; " +
        "in nginx the line is “proxy_read_timeout 1h;”.",
    ],
    unreachable: status
      ? [
          `Something on the way answers in the server’s place, with ${status}.`,
          "Perhaps the network asks you to sign in first, or a proxy refuses: load this page again to see.",
        ]
      : [
          "The server does not answer.",
          "Look whether you are online. If other sites work, the server or the way to it is down. This page goes on.",
        ],
  };
  const [words, todo] = cases[verdict] ?? ["The examination brought no result.", ""];
  return { words, todo };
}
