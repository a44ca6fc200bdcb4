// Chosen instances side by side: only what differs, results against a baseline, figures next to each other.

import { figuresOf, idOf, nameOf, ofGroup, rowOf, staleOf, statusOf } from "./data.js";
import { figure, figureNote } from "./detail.js";
import { byId, el, fill } from "./dom.js";
import { counted } from "./format.js";
import { pairSection } from "./pair.js";
import { light } from "./states.js";
import { chooseNone, linkToRow, makeBaseline, openRow, state, toggleChosen } from "./store.js";

const MOST_COMPARED = 12;
const LONGEST_WHOLE = 40; // characters of a name that stands on one line, hyphens or not
let allKeys = false;

export function renderCompare() {
  const box = byId("view-compare");
  const all = state().chosen.map(rowOf).filter((row) => row !== undefined);
  const rows = all.slice(0, MOST_COMPARED);
  if (!rows.length) {
    fill(box, el("p", { class: "empty" }, "Choose instances with the boxes in the table (or the space bar) to see them side by side."));
    return;
  }
  const groups = [["Config", ofGroup("config")], ["Results", ofGroup("result")], ["Execution", ofGroup("about").filter((column) => column.compare)]];
  const parts = groups.map(([title, group]) => compareGroup(title, group, rows)).filter(Boolean);
  const equal = groups.reduce((sum, [, group]) => sum + group.filter((column) => present(column, rows) && !differs(column, rows)).length, 0);
  const table = el("table", { class: "compare" }, compareHead(rows), parts, figureRows(rows));
  const toggle = equal > 0 && el("button", {
    type: "button",
    class: "plain",
    onclick: () => {
      allKeys = !allKeys;
      renderCompare();
    },
  }, allKeys ? "Hide equal values" : `Show ${counted(equal, "equal value")} too`);
  const left = all.length - rows.length;
  fill(box, el("div", { class: "controls" },
    el("span", {}, rows.length === 1 ? "Choose another instance to compare this one with." : `${counted(rows.length, "instance")}; differences are to the first one.`), toggle,
    el("button", { type: "button", class: "plain", onclick: chooseNone }, "Choose none")),
  left > 0 && el("p", { class: "note" }, `${counted(left, "more instance")} chosen; the first ${MOST_COMPARED} are shown.`),
  el("div", { class: "compare-box", tabindex: "0", role: "group", "aria-label": "Comparison" }, table), pairSection(rows));
}

const present = (column, rows) => rows.some((row) => column.value(row) !== undefined);
const differs = (column, rows) => rows.some((row) => column.key(row) !== column.key(rows[0]));

function compareHead(rows) {
  const heads = rows.map((row, i) => {
    const id = idOf(row);
    const baseline = i === 0
      ? el("span", { class: "baseline" }, "baseline")
      : el("button", { type: "button", class: "plain", onclick: () => makeBaseline(id) }, "Make baseline");
    return el("th", { scope: "col" },
      el("a", { href: linkToRow(id), title: id, onclick: (event) => openFrom(event, id) }, light(statusOf(row), staleOf(row) !== undefined), el("bdi", { class: nameOf(row).length <= LONGEST_WHOLE ? "whole" : "" }, nameOf(row))),
      el("div", { class: "compare-tools" }, baseline,
        el("button", { type: "button", class: "plain", "aria-label": `Remove ${nameOf(row)}`, onclick: () => toggleChosen(id) }, "Remove")));
  });
  return el("thead", {}, el("tr", {}, el("td", {}), heads));
}

function openFrom(event, id) {
  if (event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  openRow(id);
}

function compareGroup(title, group, rows) {
  const kept = group.filter((column) => present(column, rows) && (allKeys || differs(column, rows)));
  if (!kept.length) return null;
  const lines = kept.map((column) => {
    const same = !differs(column, rows);
    const cells = rows.map((row, i) => compareCell(column, row, i ? rows[0] : null));
    return el("tr", { class: same ? "equal" : "" },
      el("th", { scope: "row", title: column.name }, el("bdi", {}, column.label), column.unit && el("span", { class: "unit" }, ` ${column.unit}`)), cells);
  });
  return el("tbody", {}, el("tr", { class: "part" }, el("th", { scope: "rowgroup", colspan: String(rows.length + 1) }, title)), lines);
}

function compareCell(column, row, baseline) {
  const value = column.value(row);
  if (column.format === "status") return el("td", {}, light(value), ` ${value}`);
  const missing = value === undefined;
  const text = missing ? (column.group === "about" ? "" : "no value") : column.text(row);
  const changed = baseline !== null && column.key(row) !== column.key(baseline);
  const compared = changed && column.isNumber && column.group !== "config" && difference(column, row, baseline);
  const kind = `${column.isNumber ? "num" : ""}${missing ? " null" : ""}${changed && !column.isNumber ? " changed" : ""}`;
  return el("td", { class: kind }, el("bdi", {}, text), compared && el("span", { class: "difference" }, compared));
}

function difference(column, row, baseline) {
  const [value, base] = [column.numbers[row], column.numbers[baseline]];
  if (!Number.isFinite(value) || !Number.isFinite(base)) return "";
  const delta = value - base;
  const sign = delta > 0 ? "+" : "\u2212";
  const size = column.written(Math.abs(delta));
  const share = base ? ` (${sign}${Number(Math.abs((delta / base) * 100).toPrecision(2))} %)` : "";
  return `${sign}${size}${share}`;
}

function figureRows(rows) {
  const figures = rows.map(figuresOf);
  const most = figures.reduce((count, list) => Math.max(count, list.length), 0);
  if (!most) return rows.some(figureNote) && noteRow(rows);
  const lines = Array.from({ length: most }, (_, i) => el("tr", {}, el("th", { scope: "row" }, `figure ${i + 1}`),
    rows.map((row, at) => el("td", { class: "figure-cell" }, figures[at][i] ? figure(row, figures[at][i]) : figureNote(row) || ""))));
  return el("tbody", {}, el("tr", { class: "part" }, el("th", { scope: "rowgroup", colspan: String(rows.length + 1) }, "Figures")), lines);
}

function noteRow(rows) {
  return el("tbody", {}, el("tr", {}, el("th", { scope: "row" }, "figures"), rows.map((row) => el("td", {}, figureNote(row) || ""))));
}
