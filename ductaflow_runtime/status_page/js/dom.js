// Builds elements. All text from records goes through here, always as text and never as markup.

import { visible } from "./format.js";

export function el(tag, props = {}, ...children) {
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

export function fill(node, ...children) {
  node.replaceChildren();
  add(node, children);
  return node;
}

export function byId(id) {
  return document.getElementById(id);
}

export function theme(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

export function encodePath(...parts) {
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
