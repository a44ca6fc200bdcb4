// The table's rows. Only those in sight exist in the document; TanStack Virtual says which.

import { VirtualCore } from "virtual-core";
import { idOf, nameOf, staleOf } from "./data.js";
import { byId, el, fill } from "./dom.js";
import { grouped } from "./format.js";
import { isPrinting, onPrinting } from "./printing.js";
import { light } from "./states.js";
import { isCut, nameInTable } from "./table.js";
import { followRow, openRow, showEverything, state, toggleChosen } from "./store.js";

const ROW_HEIGHT = 26;
const PRINTED_ROWS = 1000;
const SPARE_ROWS = 12;
const NAME_END = 12;

let layout = null;
let shown = [];
let active = 0;
let virtualizer = null;
const drawn = new Map();

export function startRows() {
  virtualizer = new VirtualCore.Virtualizer(virtualOptions(0));
  virtualizer._didMount();
  virtualizer._willUpdate();
  byId("scroller").addEventListener("keydown", onGridKey);
  onPrinting(printRows);
}

function virtualOptions(count) {
  const header = byId("columns").offsetHeight;
  return {
    count,
    getScrollElement: () => byId("scroller"),
    estimateSize: () => ROW_HEIGHT,
    overscan: SPARE_ROWS,
    scrollPaddingEnd: header,
    observeElementRect: VirtualCore.observeElementRect,
    observeElementOffset: VirtualCore.observeElementOffset,
    scrollToFn: VirtualCore.elementScroll,
    onChange: () => drawRows(),
  };
}

function printRows() {
  drawn.clear();
  drawRows();
  const left = shown.length - PRINTED_ROWS;
  fill(byId("print-note"), isPrinting() && left > 0 && `${grouped(String(left))} more rows are not printed; filter the table to print them.`);
}

export function showRows(newLayout, rows) {
  layout = newLayout;
  shown = rows;
  active = Math.max(0, Math.min(active, rows.length - 1));
  virtualizer.setOptions(virtualOptions(rows.length));
  virtualizer._willUpdate();
  byId("grid").setAttribute("aria-rowcount", String(rows.length + 1));
  drawn.clear();
  drawRows();
}

function inSight() {
  if (!isPrinting()) return virtualizer.getVirtualItems().map((item) => item.index);
  return Array.from({ length: Math.min(shown.length, PRINTED_ROWS) }, (_, index) => index);
}

function drawRows() {
  const wanted = inSight();
  const body = byId("rows");
  const first = wanted.length ? wanted[0] : 0;
  const drawnTo = wanted.length ? wanted[wanted.length - 1] + 1 : 0;
  const after = isPrinting() ? 0 : shown.length - drawnTo;
  for (const index of drawn.keys()) if (!wanted.includes(index)) drawn.delete(index);
  const nodes = wanted.map((index) => {
    if (!drawn.has(index)) drawn.set(index, tableRow(index));
    return drawn.get(index);
  });
  body.replaceChildren(spacer(isPrinting() ? 0 : first), ...nodes, spacer(after));
  if (!shown.length) body.replaceChildren(emptyRow());
  markRows();
}

function spacer(rows) {
  const node = el("tr", { class: "spacer", "aria-hidden": "true" });
  node.style.height = `${rows * ROW_HEIGHT}px`;
  return node;
}

function emptyRow() {
  const clear = el("button", { type: "button", class: "plain", onclick: showEverything }, "Clear the filters");
  return el("tr", {}, el("td", { class: "nothing", colspan: String(layout.columns.length + 2) }, "No instance matches. ", clear));
}

function tableRow(index) {
  const row = shown[index];
  const id = idOf(row);
  const box = el("input", {
    type: "checkbox",
    tabindex: "-1",
    "aria-label": `Compare ${nameOf(row)}`,
    onclick: (event) => event.stopPropagation(),
    onchange: () => toggleChosen(id),
  });
  const cells = layout.columns.map((column) => cell(column, row));
  return el("tr", {
    id: `row-${row}`,
    "data-index": String(index),
    "aria-rowindex": String(index + 2),
    onclick: () => {
      active = index;
      openRow(id);
    },
  }, el("td", { class: "choose", onclick: (event) => event.stopPropagation() }, box), cells, el("td"));
}

function cell(column, row) {
  if (column.format === "status") {
    const status = column.value(row);
    const stale = staleOf(row);
    return el("td", { class: "status", "data-name": nameInTable(column), title: stale && `no longer up to date: ${stale}` }, light(status, stale !== undefined), ` ${status}`);
  }
  const text = column.text(row);
  const kind = column.isNumber ? "num" : "text";
  const nothing = column.value(row) === null ? " null" : "";
  const shownText = nameInTable(column) === "name" && isCut(layout, column, text) ? cutName(text) : text;
  return el("td", { class: kind + nothing, "data-name": nameInTable(column), title: column.isNumber || text.length < 12 ? null : text }, el("bdi", {}, shownText));
}

// The names of a sweep begin alike: where one has no room, it is cut before its end.
function cutName(text) {
  const characters = Array.from(text);
  const start = characters.slice(0, -NAME_END).join("");
  return [start && el("span", { class: "name-start" }, start), characters.slice(-NAME_END).join("")];
}

// Selection, the open row and the keyboard's row change often; the cells do not.
export function markRows() {
  for (const [index, node] of drawn) {
    const id = idOf(shown[index]);
    const chosen = state().chosen.includes(id);
    node.classList.toggle("active", index === active);
    node.classList.toggle("open", id === state().open);
    node.setAttribute("aria-selected", String(chosen));
    node.querySelector("input").checked = chosen;
  }
  if (shown.length) byId("scroller").setAttribute("aria-activedescendant", `row-${shown[active]}`);
}

const PAGE_ROWS = 15;
const MOVES = {
  ArrowDown: (at) => at + 1,
  ArrowUp: (at) => at - 1,
  PageDown: (at) => at + PAGE_ROWS,
  PageUp: (at) => at - PAGE_ROWS,
  Home: () => 0,
  End: () => shown.length - 1,
};

function onGridKey(event) {
  if (event.target !== byId("scroller") || event.ctrlKey || event.metaKey || event.altKey || !shown.length) return;
  if (MOVES[event.key]) moveTo(MOVES[event.key](active));
  else if (event.key === "Enter") openRow(idOf(shown[active]));
  else if (event.key === " ") toggleChosen(idOf(shown[active]));
  else return;
  event.preventDefault();
}

function moveTo(index) {
  active = Math.max(0, Math.min(index, shown.length - 1));
  virtualizer.scrollToIndex(active, { align: "auto" });
  if (state().open) followRow(idOf(shown[active]));
  drawRows();
}

export const activeRow = () => active;

export function resumeAt(index) {
  active = Math.max(0, Math.min(index, shown.length - 1));
}

// A link may lead to a row far down.
export function revealOpen() {
  const at = shown.findIndex((row) => idOf(row) === state().open);
  if (at < 0) return;
  active = at;
  if (at > PAGE_ROWS) byId("scroller").scrollTop = (at - PAGE_ROWS / 2) * ROW_HEIGHT;
}

export function openNeighbour(offset) {
  const at = shown.findIndex((row) => idOf(row) === state().open);
  if (at >= 0 || shown.length) moveTo((at < 0 ? active : at) + offset);
}
