// The top of the page: steps with their lights, failure groups, active filters.

import { about, columnById, staleOf, statusOf, stepOf } from "./data.js";
import { byId, el, fill } from "./dom.js";
import { counted, grouped } from "./format.js";
import { page } from "./page.js";
import { FIRST_FAILURE, STATES, STATE_ORDER, colourStyle, light, outdatedLight } from "./states.js";
import { clearFilters, isFiltered, setFilter, showStep, state, toggleFilter } from "./store.js";

export function countsOf(rows) {
  const counts = new Map();
  for (const row of rows) counts.set(statusOf(row), (counts.get(statusOf(row)) || 0) + 1);
  return STATE_ORDER.filter((status) => counts.has(status)).map((status) => [status, counts.get(status)]);
}

function rowsByStep() {
  const groups = new Map(about("step").dictionary.map((step) => [step, []]));
  for (let row = 0; row < page.rows; row += 1) groups.get(stepOf(row)).push(row);
  return groups;
}

export function renderSteps() {
  const groups = [...rowsByStep()];
  const cards = groups.map(([step, rows]) => stepCard(step, rows));
  if (groups.length > 1) cards.unshift(stepCard("", rowsOfAll()));
  const box = byId("steps");
  const { scrollTop } = box;
  fill(box, cards);
  box.scrollTop = scrollTop;
  const current = box.querySelector(".current"); // a single step is not chosen
  if (current) bringIntoView(box, current);
}

// Within the list alone: the page stays where it is.
function bringIntoView(box, node) {
  const top = node.offsetTop - box.offsetTop;
  if (top < box.scrollTop) box.scrollTop = top;
  else if (top + node.offsetHeight > box.scrollTop + box.clientHeight) box.scrollTop = top + node.offsetHeight - box.clientHeight;
}

const rowsOfAll = () => Array.from({ length: page.rows }, (_, row) => row);

function stepCard(step, rows) {
  const counts = countsOf(rows);
  const current = state().step === step;
  const title = el("button", {
    class: "step-name",
    type: "button",
    "aria-pressed": String(current),
    title: step ? `Show only ${step}` : "Show all steps",
    onclick: () => showStep(step),
  }, step || "All steps");
  const lights = counts.slice().reverse().map(([status, count]) => statusCount(step, status, count));
  const bar = el("div", { class: "proportions", "aria-hidden": "true" }, partsOf(rows).map(([colour, count]) => barPart(colour, count)));
  return el("div", { class: `step${current ? " current" : ""}` }, title, el("span", { class: "step-total" }, counted(rows.length, "instance")), bar, el("div", { class: "lights" }, lights, staleCount(step, rows)));
}

// A result that is no longer up to date is told by that, however its execution ended.
function partsOf(rows) {
  const stale = rows.filter(isStale);
  const counts = countsOf(stale.length ? rows.filter((row) => !isStale(row)) : rows).reverse();
  const parts = counts.map(([status, count]) => [colourStyle(status), count]);
  return stale.length ? [...parts, [null, stale.length]] : parts;
}

function barPart(colour, count) {
  const part = el("span", { class: colour === null ? "outdated" : null });
  if (colour !== null) part.style.background = colour;
  part.style.flexGrow = count;
  return part;
}

const isStale = (row) => anyStale && staleOf(row) !== undefined;
const ANY = "*";
const anyStale = about("stale").dictionary.length > 0;

function staleCount(step, rows) {
  const count = rows.filter(isStale).length;
  if (!count) return null;
  const active = isFiltered("about.stale", ANY, step);
  return el("button", {
    class: "status-count outdated",
    type: "button",
    "aria-pressed": String(active),
    title: active ? "Show all again" : "Show only what is no longer up to date",
    onclick: () => toggleFilter("about.stale", ANY, step),
  }, outdatedLight(), el("b", {}, grouped(String(count))), " not up to date");
}

function statusCount(step, status, count) {
  const filter = `=${status}`;
  const { many } = STATES.get(status);
  const active = isFiltered("about.status", filter, step);
  return el("button", {
    class: "status-count",
    type: "button",
    "aria-pressed": String(active),
    title: active ? "Show all again" : `Show only ${many}`,
    onclick: () => toggleFilter("about.status", filter, step),
  }, light(status), el("b", {}, grouped(String(count))), ` ${many}`);
}

function groupsOf(column, rows) {
  const groups = new Map();
  for (const row of rows) {
    const label = column.value(row);
    if (label !== undefined) groups.set(label, (groups.get(label) || 0) + 1);
  }
  return [...groups].sort((a, b) => b[1] - a[1]);
}

const GROUPED = [
  { id: "about.failure", title: "Failures by cause", sign: () => light(FIRST_FAILURE), kind: "failures" },
  { id: "about.stale", title: "No longer up to date", sign: outdatedLight, kind: "outdated" },
];
const FIRST_GROUPS = 3;
const unfolded = new Set();

export function renderGroups(rows) {
  fill(byId("groups"), GROUPED.map((grouping) => groupList(grouping, rows)));
}

function groupList({ id, title, sign, kind }, rows) {
  const groups = groupsOf(columnById.get(id), rows);
  if (!groups.length) return null;
  const total = groups.reduce((sum, [, count]) => sum + count, 0);
  const listed = unfolded.has(id) ? groups : groups.slice(0, FIRST_GROUPS);
  const hidden = groups.length - listed.length;
  const more = hidden > 0 && el("button", {
    type: "button",
    class: "plain",
    onclick: () => {
      unfolded.add(id);
      renderGroups(rows);
    },
  }, `Show ${counted(hidden, "more group")}`);
  const items = listed.map(([label, count]) => el("li", {}, groupButton(id, label, count, total)));
  return el("section", { class: `group-list ${kind}`, "aria-label": title }, el("h2", {}, sign(), title), el("ul", {}, items), more);
}

function groupButton(id, label, count, total) {
  const filter = `=${label}`;
  const active = isFiltered(id, filter);
  return el("button", {
    class: "group",
    type: "button",
    "aria-pressed": String(active),
    title: active ? "Show all again" : "Show only these instances",
    onclick: () => toggleFilter(id, filter),
  }, el("b", {}, `${grouped(String(count))} of ${grouped(String(total))}`), el("bdi", { title: label }, label));
}

export function renderChips() {
  const chips = Object.entries(state().filters).map(([id, text]) =>
    chip(`${columnById.get(id).label}: ${text === ANY ? "any" : text.replace(/^=(?!\s*[-+.\d])/, "")}`, () => setFilter(id, "")));
  if (chips.length > 1 || (chips.length && state().search)) {
    chips.push(el("button", { type: "button", class: "plain", onclick: clearFilters }, "Clear all"));
  }
  fill(byId("chips"), chips);
}

function chip(text, remove) {
  return el("button", { type: "button", class: "chip", title: `${text} (click to remove)`, onclick: remove },
    el("bdi", {}, text), el("span", { "aria-hidden": "true" }, " ×"), el("span", { class: "label" }, " remove filter"));
}
