// SPDX-License-Identifier: MIT
// What is inside a message: its subject, its text by its type, its attachments. Whatever people sent becomes text
// nodes, or has been through cleanHtml.
import { icon, make } from "./dom.js";
import { cleanHtml } from "./html.js";

const LINK = /\bhttps?:\/\/[^\s<>"“”]+/giu;
const LINK_MAX = 2048; // letters; what is longer stays text
const BRACKETS = ["()", "[]"];
const MARKS = ".,;:!?'’*_~";
const OUTSIDE = { target: "_blank", rel: "noopener noreferrer" };
const KINDS = ["bytes", "kB", "MB", "GB"];

// An address that may be opened, as it should be written in href; null for any other.
export function webAddress(text) {
  try {
    const url = new URL(text);
    return url.protocol === "http:" || url.protocol === "https:" ? url.href : null;
  } catch {
    return null;
  }
}

const count = (text, letter) => text.split(letter).length - 1;

// Where a link in running text ends: the sentence's own marks are no part of it, nor a bracket that it does not open.
// Anybody may send anything, so it is one pass.
export function trimLink(text) {
  const loose = BRACKETS.map(([opens, closes]) => count(text, closes) - count(text, opens));
  let end = text.length;
  for (; end > 0; end--) {
    const kind = BRACKETS.findIndex(([, closes]) => closes === text[end - 1]);
    if (loose[kind] > 0) loose[kind]--;
    else if (!MARKS.includes(text[end - 1])) break;
  }
  return text.slice(0, end);
}

// Text as nodes, with links where there are some.
function withLinks(text) {
  const nodes = [];
  let at = 0;
  for (const { 0: found, index } of text.matchAll(LINK)) {
    const link = trimLink(found);
    const href = link.length <= LINK_MAX && webAddress(link);
    if (!href) continue;
    nodes.push(text.slice(at, index), make("a", { href, ...OUTSIDE }, link));
    at = index + link.length;
  }
  nodes.push(text.slice(at));
  return nodes;
}

function textOf({ text = "", type, language }) {
  if (!text) return null;
  const attributes = { dir: "auto", lang: language || null };
  const clean = type === "html" && cleanHtml(text);
  if (clean) return make("div", { class: "text html", ...attributes }, clean);
  if (type === "plain" || !type) return make("div", { class: "text", ...attributes }, withLinks(text));
  return make("pre", { class: "text source", ...attributes }, text);
}

// --- attachments: objects of any form; what is usual in them is looked for

function firstText(object, ...names) {
  return names.map((name) => object[name]).find((value) => typeof value === "string" && value);
}

function sizeWords(bytes) {
  if (!Number.isFinite(bytes) || bytes < 0) return null;
  let power = 0;
  for (; bytes >= 1000 && power < KINDS.length - 1; power++) bytes /= 1000;
  return `${power && bytes < 10 ? bytes.toFixed(1) : Math.round(bytes)} ${KINDS[power]}`;
}

function attachmentOf(attachment) {
  const isObject = attachment !== null && typeof attachment === "object";
  const object = isObject ? attachment : { name: String(attachment) };
  const href = webAddress(firstText(object, "url", "href", "link", "fullImage") ?? "");
  const name = firstText(object, "displayName", "name", "title", "filename", "fileName") ?? href ?? "Attachment";
  const kind = firstText(object, "mimeType", "contentType", "type", "objectType");
  const facts = [kind, sizeWords(object.size ?? object.length)].filter(Boolean).join(", ");
  const label = href ? make("a", { href, ...OUTSIDE }, name) : make("span", {}, name);
  return make("li", {}, icon("file"), make("span", { class: "name" }, label, facts && make("small", {}, facts)));
}

// The elements inside a message's bubble.
export function makeBody(message) {
  const { subject, attachments } = message;
  const files = Array.isArray(attachments) && attachments.length ? attachments : null;
  return [
    subject && make("p", { class: "subject", dir: "auto" }, subject),
    textOf(message),
    files && make("ul", { class: "files", "aria-label": "Attachments" }, files.map(attachmentOf)),
  ].filter(Boolean);
}
