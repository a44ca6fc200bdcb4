// The table's columns: which ones, how wide, their headings and filters. Constant config columns are listed once above.

import { columns, isEmpty, isInTable, stepOf } from "./data.js";
import { byId, el, fill } from "./dom.js";
import { visible } from "./format.js";
import { STATE_ORDER } from "./states.js";
import { setFilter, sortBy, state } from "./store.js";

// For the style of a column that is more than a value. What users call theirs has no style.
export const nameInTable = (column) => (column.group === "about" ? column.name : null);

const CHOOSE_WIDTH = 30;
const WIDTH_SAMPLE = 300;
const layouts = new Map();

export function layoutOf(step, rows) {
  if (!layouts.has(step)) layouts.set(step, newLayout(rows));
  return layouts.get(step);
}

function newLayout(rows) {
  const shown = columns.filter((column) => isInTable(column, rows));
  const constant = columns.filter((column) => column.table === "varied" && !isEmpty(column, rows) && !shown.includes(column));
  return { constant, columns: shown, widths: shown.map((column) => widthOf(column, rows)) };
}

let pen = null;
function textWidth(text, bold) {
  pen ??= document.createElement("canvas").getContext("2d");
  const style = getComputedStyle(byId("grid"));
  pen.font = `${bold ? 600 : 400} ${style.fontSize} ${style.fontFamily}`;
  return pen.measureText(text).width;
}

// Whether a text has no room in its column.
export const isCut = (layout, column, text) => textWidth(text, false) + 20 > layout.widths[layout.columns.indexOf(column)];

function widthOf(column, rows) {
  const every = Math.max(1, Math.floor(rows.length / WIDTH_SAMPLE));
  let longest = "";
  for (let i = 0; i < rows.length; i += every) {
    const text = column.text(rows[i]);
    if (text.length > longest.length) longest = text;
  }
  const title = Math.min(250, textWidth(column.label, true) + 34);
  if (column.format === "status") return Math.ceil(STATE_ORDER.reduce((most, word) => Math.max(most, textWidth(word, false)), 0) + 42);
  const share = nameInTable(column) === "name" ? 0.5 : 0.36;
  const widest = column.wide ? Math.max(120, Math.min(320, innerWidth * share)) : 240;
  return Math.ceil(Math.max(72, title, Math.min(widest, textWidth(longest, false) + 22)));
}

export function renderColumns(layout) {
  const widths = [CHOOSE_WIDTH, ...layout.widths];
  const cols = widths.map((width) => {
    const col = el("col");
    col.style.width = `${width}px`;
    return col;
  });
  fill(byId("widths"), cols, el("col")); // the last one takes what is left
  byId("grid").style.minWidth = `${widths.reduce((sum, width) => sum + width, 0)}px`;
  byId("grid").setAttribute("aria-colcount", String(widths.length));
  const headings = layout.columns.map(heading);
  const filters = layout.columns.map((column) => el("th", { "data-name": nameInTable(column) }, filterInput(column)));
  const choose = el("th", { class: "choose" }, el("span", { class: "label" }, "Compare"));
  fill(byId("columns"),
    el("tr", {}, choose, headings, el("td")),
    el("tr", { class: "filters" }, el("td", { class: "choose" }), filters, el("td")));
  syncColumns();
}

function heading(column) {
  const kind = { config: "config value", result: "result", about: "" }[column.group];
  const button = el("button", {
    type: "button",
    class: "sort",
    title: `${column.label}${kind ? ` (${kind})` : ""}: sort`,
    onclick: () => sortBy(nextSort(column)),
  }, el("bdi", {}, column.label), el("span", { class: "arrow", "aria-hidden": "true" }));
  return el("th", { scope: "col", class: `${column.isNumber ? "num " : ""}${column.group}`, "data-id": column.id, "data-name": nameInTable(column) }, button);
}

function nextSort(column) {
  if (state().sort === `${column.id}:asc`) return `${column.id}:desc`;
  return state().sort === `${column.id}:desc` ? "" : `${column.id}:asc`;
}

function filterInput(column) {
  const hint = column.isTime ? ">=2026-01-31" : column.isNumber ? ">0, 1..9" : "filter";
  return el("input", {
    type: "text",
    placeholder: hint,
    autocomplete: "off",
    spellcheck: "false",
    "aria-label": `Filter ${column.label}`,
    "data-id": column.id,
    oninput: (event) => setFilter(column.id, event.target.value),
  });
}

export function syncColumns() {
  for (const th of byId("columns").querySelectorAll("th[data-id]")) {
    const direction = state().sort === `${th.dataset.id}:asc` ? "ascending" : state().sort === `${th.dataset.id}:desc` ? "descending" : "none";
    th.setAttribute("aria-sort", direction);
  }
  for (const input of byId("columns").querySelectorAll("input")) {
    const wanted = state().filters[input.dataset.id] || "";
    if (input !== document.activeElement && input.value !== wanted) input.value = visible(wanted);
    input.classList.toggle("active", Boolean(wanted));
  }
}

const FEW = 12;

// A value counts as the same in all rows of the steps that have it: said of which, when not all steps do.
export function renderSame(layout, rows) {
  const box = byId("same");
  box.hidden = layout.constant.length === 0;
  if (box.hidden) return;
  const every = new Set(rows.map(stepOf)).size;
  const groups = new Map();
  for (const column of layout.constant) {
    const steps = [...new Set(rows.filter((row) => column.value(row) !== undefined).map(stepOf))];
    const whose = steps.length === every ? "" : steps.join(", ");
    groups.set(whose, [...(groups.get(whose) || []), column]);
  }
  fill(box, [...groups].map(([whose, group]) => sameLine(whose, group, rows)));
}

function sameLine(whose, group, rows) {
  const pairs = group.map((column) => {
    const row = rows.find((one) => column.value(one) !== undefined);
    return el("span", { class: "pair", title: `${column.name} = ${column.text(row)}` },
      el("span", { class: "key" }, el("bdi", {}, column.name)), " ", el("bdi", { class: "value" }, column.measured(row)));
  });
  const title = whose ? ["Same in all rows of ", el("bdi", {}, whose)] : rows.length === 1 ? "Config" : "Same in all rows";
  const more = pairs.length > FEW && el("details", {}, el("summary", {}, `${pairs.length - FEW} more`), pairs.slice(FEW));
  return el("div", { class: "same-line" }, el("b", {}, title), pairs.slice(0, FEW), more);
}
