// The view lives in the URL fragment, so that a link, a reload and the back button keep it.

const VIEWS = ["table", "chart", "timeline", "compare"];
const state = { view: "table", step: "", search: "", sort: "", filters: {}, open: "", chosen: [], x: "", y: "", colour: "" };
const listeners = [];

function readFragment() {
  const given = new URLSearchParams(location.hash.slice(1));
  state.view = VIEWS.includes(given.get("view")) ? given.get("view") : "table";
  for (const key of ["step", "search", "sort", "open", "x", "y", "colour"]) state[key] = given.get(key) || "";
  state.chosen = given.getAll("with").filter((id) => rowOf(id) !== undefined);
  state.filters = {};
  for (const [key, value] of given) {
    if (key.startsWith("f.") && columnById.has(key.slice(2)) && value) state.filters[key.slice(2)] = value;
  }
  if (state.step && !about("step").dictionary.includes(state.step)) state.step = "";
  if (rowOf(state.open) === undefined) state.open = "";
}

function fragment() {
  const parts = new URLSearchParams();
  if (state.view !== "table") parts.set("view", state.view);
  for (const key of ["step", "search", "sort", "open", "x", "y", "colour"]) if (state[key]) parts.set(key, state[key]);
  for (const [id, text] of Object.entries(state.filters)) parts.set(`f.${id}`, text);
  for (const id of state.chosen) parts.append("with", id);
  return parts.toString();
}

// `push` makes a step for the back button; typing and moving do not deserve one.
function change(update, push = false) {
  Object.assign(state, update);
  const target = `#${fragment()}`;
  if (target !== location.hash && !(target === "#" && !location.hash)) {
    if (push) history.pushState(null, "", target);
    else history.replaceState(null, "", target);
  }
  notify(Object.keys(update));
}

function notify(keys) {
  for (const listener of listeners) listener(new Set(keys));
}

function onChange(listener) {
  listeners.push(listener);
}

const ALL_KEYS = Object.keys(state);
addEventListener("popstate", () => {
  readFragment();
  notify(ALL_KEYS);
});

function setFilter(id, text) {
  const filters = { ...state.filters };
  if (text) filters[id] = text;
  else delete filters[id];
  change({ filters });
}

function toggleChosen(id) {
  const chosen = state.chosen.includes(id) ? state.chosen.filter((other) => other !== id) : [...state.chosen, id];
  change({ chosen });
}

function linkTo(update) {
  const kept = { ...state };
  Object.assign(state, update);
  const link = `#${fragment()}`;
  Object.assign(state, kept);
  return link;
}
