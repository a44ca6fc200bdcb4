// What is being looked at: the view, the filters, the open row, the choice. Only the actions here change it.
// It lives in the URL fragment, so that a link, a reload and the back button keep it.

import { about, columnById, rowOf } from "./data.js";

export const VIEWS = ["table", "chart", "timeline", "compare"];
const NOTHING = { view: "table", step: "", search: "", sort: "", filters: {}, open: "", chosen: [], x: "", y: "", colour: "", panels: "", means: "" };
const TEXTS = ["step", "search", "sort", "open", "x", "y", "colour", "panels", "means"];
const listeners = [];
let current = Object.freeze(NOTHING);

export const state = () => current;

export function onChange(listener) {
  listeners.push(listener);
}

export function readFragment() {
  const given = new URLSearchParams(location.hash.slice(1));
  const read = { ...NOTHING, filters: {} };
  if (VIEWS.includes(given.get("view"))) read.view = given.get("view");
  for (const key of TEXTS) read[key] = given.get(key) || "";
  read.chosen = given.getAll("with").filter((id) => rowOf(id) !== undefined);
  for (const [key, value] of given) {
    if (key.startsWith("f.") && columnById.has(key.slice(2)) && value) read.filters[key.slice(2)] = value;
  }
  if (read.step && !about("step").dictionary.includes(read.step)) read.step = "";
  if (rowOf(read.open) === undefined) read.open = "";
  current = Object.freeze(read);
  notify(Object.keys(NOTHING));
}

function fragmentOf(view) {
  const parts = new URLSearchParams();
  if (view.view !== "table") parts.set("view", view.view);
  for (const key of TEXTS) if (view[key]) parts.set(key, view[key]);
  for (const [id, text] of Object.entries(view.filters)) parts.set(`f.${id}`, text);
  for (const id of view.chosen) parts.append("with", id);
  return `#${parts}`;
}

// `push` makes a step for the back button; typing and moving do not deserve one.
function change(update, push = false) {
  current = Object.freeze({ ...current, ...update });
  const target = fragmentOf(current);
  if (target !== location.hash && !(target === "#" && !location.hash)) {
    if (push) history.pushState(null, "", target);
    else history.replaceState(null, "", target);
  }
  notify(Object.keys(update));
}

function notify(keys) {
  for (const listener of listeners) listener(new Set(keys));
}

addEventListener("popstate", readFragment);

export const openRow = (id) => change({ open: id }, true);
export const followRow = (id) => change({ open: id });
export const closeRow = () => change({ open: "" }, true);
export const linkToRow = (id) => fragmentOf({ ...current, open: id });

export const showView = (view) => change({ view }, true);
export const turnToView = (view) => change({ view });
export const showStep = (step) => change({ step, sort: "" }, true);
export const sortBy = (sort) => change({ sort });
export const search = (text) => change({ search: text });
export const chooseForChart = (part, id) => change({ [part]: id });

function withFilter(id, text) {
  const filters = { ...current.filters };
  if (text) filters[id] = text;
  else delete filters[id];
  return filters;
}

export const setFilter = (id, text) => change({ filters: withFilter(id, text) });
export const clearFilters = () => change({ filters: {}, search: "" });
export const showEverything = () => change({ filters: {}, search: "", step: "" });

// A second click on what filters shows all again.
export function toggleFilter(id, text, step = current.step) {
  const active = isFiltered(id, text, step);
  change({ step, filters: withFilter(id, active ? "" : text), view: "table" }, true);
}

export const isFiltered = (id, text, step = current.step) => current.step === step && current.filters[id] === text;

export function toggleChosen(id) {
  const { chosen } = current;
  change({ chosen: chosen.includes(id) ? chosen.filter((other) => other !== id) : [...chosen, id] });
}

export const makeBaseline = (id) => change({ chosen: [id, ...current.chosen.filter((other) => other !== id)] });
export const chooseNone = () => change({ chosen: [] });
