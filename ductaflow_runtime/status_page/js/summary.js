// The top of the page: steps with their lights, failure groups, active filters.

import { about, columnById, statusOf, stepOf } from "./data.js";
import { byId, el, fill } from "./dom.js";
import { counted, grouped } from "./format.js";
import { page } from "./page.js";
import { FIRST_FAILURE, STATES, STATE_ORDER, colourStyle, light } from "./states.js";
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
  fill(byId("steps"), cards);
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
  const head = el("div", { class: "step-head" }, title, el("span", { class: "step-total" }, counted(rows.length, "instance")));
  const lights = counts.slice().reverse().map(([status, count]) => statusCount(step, status, count));
  const bar = el("div", { class: "proportions", "aria-hidden": "true" });
  for (const [status, count] of counts.slice().reverse()) {
    const part = el("span");
    part.style.background = colourStyle(status);
    part.style.flexGrow = count;
    bar.append(part);
  }
  return el("div", { class: `step${current ? " current" : ""}` }, head, bar, el("div", { class: "lights" }, lights));
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

function failureGroups(rows) {
  const labels = about("failure");
  if (!labels) return [];
  const groups = new Map();
  for (const row of rows) {
    const label = labels.value(row);
    if (label !== undefined) groups.set(label, (groups.get(label) || 0) + 1);
  }
  return [...groups].sort((a, b) => b[1] - a[1]);
}

const FIRST_GROUPS = 4;
let allGroups = false;

export function renderFailures(rows) {
  const groups = failureGroups(rows);
  const section = byId("failures");
  section.hidden = groups.length === 0;
  const total = groups.reduce((sum, [, count]) => sum + count, 0);
  const listed = allGroups ? groups : groups.slice(0, FIRST_GROUPS);
  const hidden = groups.length - listed.length;
  const more = hidden > 0 && el("button", {
    type: "button",
    class: "plain",
    onclick: () => {
      allGroups = true;
      renderFailures(rows);
    },
  }, `Show ${counted(hidden, "more group")}`);
  const items = listed.map(([label, count]) => el("li", {}, failureButton(label, count, total)));
  fill(section, el("h2", {}, light(FIRST_FAILURE), "Failures by cause"), el("ul", {}, items), more);
}

function failureButton(label, count, total) {
  const filter = `=${label}`;
  const active = isFiltered("about.failure", filter);
  return el("button", {
    class: "failure",
    type: "button",
    "aria-pressed": String(active),
    title: active ? "Show all again" : "Show only these instances",
    onclick: () => toggleFilter("about.failure", filter),
  }, el("b", {}, `${grouped(String(count))} of ${grouped(String(total))}`), el("bdi", {}, label));
}

export function renderChips() {
  const chips = Object.entries(state().filters).map(([id, text]) =>
    chip(`${columnById.get(id).label}: ${text.replace(/^=(?!\s*[-+.\d])/, "")}`, () => setFilter(id, "")));
  if (chips.length > 1 || (chips.length && state().search)) {
    chips.push(el("button", { type: "button", class: "plain", onclick: clearFilters }, "Clear all"));
  }
  fill(byId("chips"), chips);
}

function chip(text, remove) {
  return el("button", { type: "button", class: "chip", title: `${text} (click to remove)`, onclick: remove },
    el("bdi", {}, text), el("span", { "aria-hidden": "true" }, " ×"), el("span", { class: "label" }, " remove filter"));
}
