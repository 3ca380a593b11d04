// SPDX-License-Identifier: MIT
// Messages of type html, made safe by DOMPurify, which is installed beside this page; without it they are shown as
// text.
//
// What may stay is listed, all else goes: no scripts, handlers, styles, forms, frames, SVG or MathML, nothing that
// loads from elsewhere, no ids or names that could be taken for the page's.
//
// Text is parsed once, inside a template, where nothing runs or loads; there DOMPurify takes out what may not stay,
// and the nodes that are left go to the page as they are. So nothing is written down and parsed again, which is what
// attacks by mutation need.

const TAGS = (
  "a abbr b bdi bdo blockquote br caption cite code dd del dfn div dl dt em h1 h2 h3 h4 h5 h6 hr i img " +
  "ins kbd li mark ol p pre q rp rt ruby s samp small span strong sub sup table tbody td tfoot th thead " +
  "tr u ul var wbr"
).split(" ");

const CONFIG = {
  ALLOWED_TAGS: TAGS,
  ALLOWED_ATTR: "alt colspan dir height href lang reversed rowspan src start title width".split(" "),
  ALLOWED_URI_REGEXP: /^(?:https?|mailto):/i,
  ALLOW_ARIA_ATTR: false,
  ALLOW_DATA_ATTR: false,
  ALLOW_UNKNOWN_PROTOCOLS: false,
  IN_PLACE: true,
};

const IMAGE = /^data:image\/(?:gif|jpeg|png|webp);base64,/i;
const BLOCK = /<\/?(?:p|div|li|t[dhr]|br|h\d)\b/gi; // tags between words
const HEADINGS = "h1, h2, h3, h4, h5, h6";

let purify = null;

// The page's only way from text to nodes, for `parse` below.
const policy = globalThis.trustedTypes?.createPolicy("nereid-chat", { createHTML: (text) => text });

// Where handlers and styles can do nothing Chromium still reports them to the Content-Security-Policy, for nobody's
// use: their names are spoilt before. This is no protection, and need not be exact. What is behind = is passed over,
// unless it may turn out to be markup.
const TAG = /<[a-z](?:=\s*"[^"]*"|=\s*'[^']*'|[^>])*/gi;
const REPORTED = /=\s*(?:"[^"<]*"|'[^'<]*'|[^\s>"'<]*)|(?<=[\s/"'])(?:on[a-z]+|style)(?=[\s=/])/gi;
const quieten = (text) =>
  text.replace(TAG, (tag) => tag.replace(REPORTED, (found) => (found[0] === "=" ? found : `x-${found}`)));

// The nodes of a text in an element that is in no page: inert.
function parse(text) {
  const template = document.createElement("template");
  const quiet = quieten(text);
  template.innerHTML = policy ? policy.createHTML(quiet) : quiet;
  const body = document.createElement("div");
  template.content.ownerDocument.adoptNode(body);
  body.append(template.content);
  return body;
}

// Loads DOMPurify; resolves in any case.
export async function loadPurifier() {
  try {
    purify = (await import("../lib/purify.es.mjs")).default;
    if (!purify.isSupported) purify = null;
  } catch {
    purify = null; // not installed
  }
}

// Nothing of a message is fetched: pictures that are not in it are replaced by what they are called.
function tidyImage(image) {
  if (IMAGE.test(image.getAttribute("src") ?? "")) return;
  const alt = image.getAttribute("alt");
  image.replaceWith(alt ? `[${alt}]` : "[picture]");
}

function tidyLink(link) {
  if (!link.hasAttribute("href")) return;
  link.setAttribute("target", "_blank");
  link.setAttribute("rel", "noopener noreferrer nofollow");
}

// A message's headings stand below the page's own.
function tidyHeading(heading) {
  const lower = document.createElement("h4");
  lower.append(...heading.childNodes);
  heading.replaceWith(lower);
}

function tidyTable(table) {
  const frame = document.createElement("div");
  Object.assign(frame, { className: "table", tabIndex: 0 });
  frame.setAttribute("role", "group");
  frame.setAttribute("aria-label", "Table");
  table.replaceWith(frame);
  frame.append(table);
}

// The nodes of an html message as a fragment; null where it cannot be made safe.
export function cleanHtml(text) {
  if (!purify) return null;
  const body = purify.sanitize(parse(text), CONFIG);
  body.querySelectorAll("img").forEach(tidyImage); // before it is in the page: there it would be fetched
  body.querySelectorAll("a").forEach(tidyLink);
  body.querySelectorAll(HEADINGS).forEach(tidyHeading);
  body.querySelectorAll("table").forEach(tidyTable);
  const fragment = document.createDocumentFragment();
  fragment.append(...body.childNodes);
  return fragment;
}

// Text without its markup, about.
function wordsIn(text, type) {
  if (type === "html") return cleanHtml(text.replace(BLOCK, " $&"))?.textContent ?? text.replace(/<[^>]*>/g, " ");
  if (type === "rst") return text.replace(/^[=\-~^"'`#*+.:_]{3,}$/gm, "").replace(/\*\*|``|^\* |^\.\. /gm, "");
  return text;
}

const gists = new WeakMap();

// What a message says, on one line and without markup: for lists and for those who listen.
export function gist(message) {
  if (!gists.has(message)) gists.set(message, makeGist(message));
  return gists.get(message);
}

function makeGist({ text = "", type, subject, attachments = [] }) {
  const line = wordsIn(text, type).replace(/\s+/g, " ").trim().slice(0, 200);
  return line || subject || (attachments.length ? "Attachment" : "");
}
