// Ties the parts together: which of them a change of the view redraws.

import { byId, el, fill } from "./dom.js";
import { renderChart } from "./chart.js";
import { renderCompare } from "./compare.js";
import { saveCsv } from "./csv.js";
import { closeDetail, focusDetail, renderDetail } from "./detail.js";
import { rowsOfStep, shownRows } from "./filter.js";
import { keepingFocus } from "./focus.js";
import { bytes, counted, grouped, visible } from "./format.js";
import { renderLive, startLive } from "./live.js";
import { page } from "./page.js";
import { onPrinting } from "./printing.js";
import { markRows, revealOpen, showRows, startRows } from "./rows.js";
import { VIEWS, onChange, readFragment, search, showView, state, turnToView } from "./store.js";
import { renderChips, renderGroups, renderSteps } from "./summary.js";
import { layoutOf, renderColumns, renderSame, syncColumns } from "./table.js";
import { renderTimeline } from "./timeline.js";

const VIEW_NAMES = { table: "Instances", chart: "Chart", timeline: "Timeline", compare: "Compare" };
let stepRows = [];
let kept = [];
let layout = null;

function renderTabs() {
  const tabs = VIEWS.map((view) => {
    const number = view === "compare" && state().chosen.length ? ` (${state().chosen.length})` : "";
    return el("button", {
      type: "button",
      role: "tab",
      id: `tab-${view}`,
      "aria-selected": String(state().view === view),
      "aria-controls": `view-${view}`,
      tabindex: state().view === view ? "0" : "-1",
      onclick: () => showView(view),
      onkeydown: onTabKey,
    }, VIEW_NAMES[view] + number);
  });
  const focused = document.activeElement?.id;
  fill(byId("tabs"), tabs);
  if (focused?.startsWith("tab-")) byId(`tab-${state().view}`).focus();
  for (const view of VIEWS) byId(`view-${view}`).hidden = state().view !== view;
}

function onTabKey(event) {
  const offset = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  if (!offset) return;
  event.preventDefault();
  turnToView(VIEWS[(VIEWS.indexOf(state().view) + offset + VIEWS.length) % VIEWS.length]);
}

function renderCount() {
  const all = stepRows.length;
  const text = kept.length === all ? counted(all, "instance") : `${grouped(String(kept.length))} of ${counted(all, "instance")}`;
  if (byId("count").textContent !== text) fill(byId("count"), text);
}

function renderView() {
  if (state().view === "chart") renderChart(kept, stepRows);
  if (state().view === "timeline") renderTimeline(kept);
  if (state().view === "compare") renderCompare();
}

const redrawPlots = () => ["chart", "timeline"].includes(state().view) && renderView();

function update(keys) {
  const has = (...names) => names.some((name) => keys.has(name));
  if (has("step")) {
    stepRows = rowsOfStep();
    layout = layoutOf(state().step, stepRows);
    renderColumns(layout);
    renderSame(layout, stepRows);
  }
  const rowsChanged = has("step", "filters", "search", "sort");
  if (rowsChanged) {
    kept = shownRows(stepRows);
    showRows(layout, kept);
    syncColumns();
    renderCount();
    renderChips();
  }
  if (has("step", "filters")) renderSteps();
  if (has("step", "filters")) renderGroups(stepRows);
  if (has("view", "chosen")) renderTabs();
  const searchBox = byId("search");
  if (searchBox.value !== state().search && document.activeElement !== searchBox) searchBox.value = state().search;
  if (rowsChanged || has("view", "chosen", "x", "y", "colour", "panels", "means")) renderViewFor(keys, rowsChanged);
  if (has("open", "chosen")) showDetail(keys);
}

function renderViewFor(keys, rowsChanged) {
  if (state().view === "compare" ? keys.has("chosen") || keys.has("view") : rowsChanged || !keys.has("chosen") || keys.has("view")) renderView();
  if (state().view === "table" && keys.has("view")) showRows(layout, kept);
}

function showDetail(keys) {
  const focusInside = byId("detail").contains(document.activeElement);
  if (keys.has("open") || state().open) renderDetail();
  markRows();
  if (keys.has("open")) byId("detail").scrollTop = 0;
  if (focusInside && !byId("detail").hidden) byId("detail").querySelector("h2").focus({ preventScroll: true });
}

function onPageKey(event) {
  const typing = ["INPUT", "SELECT", "TEXTAREA"].includes(event.target.tagName) && event.target.type !== "checkbox";
  if (event.key === "Escape" && state().open) closeDetail();
  else if (event.key === "Enter" && event.target === byId("scroller") && state().open) focusDetail();
  else if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey) {
    event.preventDefault();
    byId("search").focus();
  }
}

// Nothing is left out in silence.
function renderFigureNote() {
  const { complete, wanting, unread, small, limit } = page.figures;
  const parts = [
    wanting && `Figures: ${counted(complete, "instance")} with all of theirs in this page; those of ${grouped(String(wanting))} more did not fit (${bytes(limit)} at most) and are linked.`,
    unread && `${counted(unread, "notebook")} ${unread === 1 ? "was" : "were"} not looked into for figures and ${unread === 1 ? "is" : "are"} linked.`,
    small && "Figures are shown smaller than in the notebooks.",
  ].filter(Boolean);
  fill(byId("figure-note"), parts.join(" "));
}

function showNothing() {
  byId("steps").replaceChildren();
  document.querySelector(".bar").hidden = true;
  byId("keys").hidden = true;
  fill(byId("view-table"), el("div", { class: "empty" }, el("p", {}, el("b", {}, "No instance yet.")),
    el("p", {}, "Run the conductor, or one flow, and its results appear here:"), el("pre", {}, "python conductor.py\nductaflow run flow/your_flow.py --config config/your_config.json")));
}

function start() {
  fill(byId("title"), el("bdi", {}, page.title));
  document.title = visible(page.title);
  if (!page.rows) {
    renderLive("");
    showNothing();
    startLive();
    return;
  }
  startRows();
  onPrinting(redrawPlots);
  byId("search").addEventListener("input", (event) => search(event.target.value));
  byId("save").addEventListener("click", () => saveCsv(kept, state().step));
  addEventListener("keydown", onPageKey);
  let resizing = 0;
  addEventListener("resize", () => {
    clearTimeout(resizing);
    resizing = setTimeout(redrawPlots, 150);
  });
  renderFigureNote();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redrawPlots);
  onChange((keys) => keepingFocus(() => update(keys)));
  readFragment();
  revealOpen();
  startLive();
}

start();
performance.mark("drawn");
