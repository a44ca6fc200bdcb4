// Builds elements. All text from records goes through here, always as text and never as markup.

function el(tag, props = {}, ...children) {
  const node = document.createElement(tag);
  for (const [key, value] of Object.entries(props)) setProperty(node, key, value);
  add(node, children);
  return node;
}

function setProperty(node, key, value) {
  if (value === undefined || value === null || value === false) return;
  if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
  else if (key === "class") node.className = value;
  else if (key === "title" || key === "aria-label") node.setAttribute(key, visible(value));
  else if (key === "value") node.value = value;
  else node.setAttribute(key, value === true ? "" : value);
}

function add(node, children) {
  for (const child of children.flat(Infinity)) {
    if (child === null || child === undefined || child === false) continue;
    node.append(child instanceof Node ? child : visible(child));
  }
}

function fill(node, ...children) {
  node.replaceChildren();
  add(node, children);
  return node;
}

function byId(id) {
  return document.getElementById(id);
}

function theme(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

const STATUS = {
  failed: { word: "failed", many: "failed", shape: "M2 2 L10 10 M10 2 L2 10", line: true },
  interrupted: { word: "interrupted", many: "interrupted", shape: "M3 1.5 h2 v9 h-2 z M7 1.5 h2 v9 h-2 z" },
  unreadable: { word: "unreadable", many: "unreadable", shape: "M6 0.5 L11.5 6 L6 11.5 L0.5 6 z" },
  running: { word: "running", many: "running", shape: "M2.5 1 L11 6 L2.5 11 z" },
  warned: { word: "warnings", many: "done with warnings", shape: "M6 0.8 L11.6 11 H0.4 z" },
  done: { word: "done", many: "done", shape: "M1 6 a5 5 0 1 0 10 0 a5 5 0 1 0 -10 0 z" },
};
const STATUS_ORDER = Object.keys(STATUS);

// A light differs in shape as well as in colour.
function light(status) {
  const space = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(space, "svg");
  svg.setAttribute("viewBox", "0 0 12 12");
  svg.setAttribute("class", `light ${status}${STATUS[status].line ? " line" : ""}`);
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(space, "path");
  path.setAttribute("d", STATUS[status].shape);
  svg.append(path);
  return svg;
}

function encodePath(...parts) {
  return parts
    .flatMap((part) => part.split("/"))
    .map((part) => Array.from(part, encodeCharacter).join(""))
    .join("/");
}

// Python hands over bytes that are no UTF-8 as lone surrogates from U+DC80 on.
function encodeCharacter(char) {
  const code = char.codePointAt(0);
  if (code >= 0xdc80 && code <= 0xdcff) return `%${(code - 0xdc00).toString(16).toUpperCase()}`;
  return code >= 0xd800 && code <= 0xdfff ? "%EF%BF%BD" : encodeURIComponent(char);
}
