// Any column against any other, coloured by a third, in panels by a fourth, for the rows that the filters leave.

import { MOST_TEXTS, axisOf, extentOf, horizontal, labelOf, laneMiddle, padded, placeInText, rangeOf, vertical } from "./axes.js";
import { columns, isConstant, isEmpty } from "./data.js";
import { byId, el, fill } from "./dom.js";
import { counted, grouped } from "./format.js";
import { MOST_CLASSES, colouring, drawMark, legendList } from "./marks.js";
import { canHaveMeans, drawMeans, joinMeans, meansOf } from "./means.js";
import { clearPlots, makePlot, nearest } from "./plot.js";
import { chooseForChart, state } from "./store.js";

const MARK_SIZE = 4;
const MOST_PANELS = 12;
const PANEL_HEIGHT = 270;

const textsIn = (column, rows) => new Set(rows.map((row) => column.key(row))).size;
const isSmall = (column, rows, most) => textsIn(column, rows) <= most;

function axisColumns(rows) {
  return columns.filter((column) => column.axis && !isEmpty(column, rows)
    && (column.group === "result" && column.isNumber ? true : !isConstant(column, rows))
    && (column.isNumber || isSmall(column, rows, MOST_TEXTS)));
}

function colourColumns(rows) {
  return columns.filter((column) => column.colour && !isEmpty(column, rows) && !isConstant(column, rows));
}

const has = (column, row) => (column.isNumber ? !Number.isNaN(column.numbers[row]) : column.codes[row] >= 0);
const hasBoth = (x, y, rows) => rows.some((row) => has(x, row) && has(y, row));

// A good first look: a config value against a result of the same step, coloured by another config value.
function chartChoice(rows) {
  const axes = axisColumns(rows);
  const given = (id) => axes.find((column) => column.id === id);
  const config = axes.filter((column) => column.group === "config");
  const results = axes.filter((column) => column.group === "result" && column.isNumber && !isConstant(column, rows));
  const numeric = axes.filter((column) => column.isNumber);
  const x = given(state().x) || config.find((column) => column.isNumber) || config[0] || results[1] || numeric[0];
  const y = given(state().y) || [...results, ...numeric].find((column) => column !== x && hasBoth(x, column, rows)) || x;
  const colours = colourColumns(rows);
  const named = colours.filter((column) => column.group === "config" && column !== x && column !== y);
  const fallback = named.find((column) => !column.isNumber && column.dictionary.length <= MOST_CLASSES) || named[0] || (x?.group === "about" ? null : colours.find((column) => column.format === "status"));
  const colour = state().colour === "none" ? null : colours.find((column) => column.id === state().colour) || fallback;
  const panelled = colours.filter((column) => isSmall(column, rows, MOST_PANELS));
  const panels = panelled.find((column) => column.id === state().panels) || null;
  return { x, y, colour, panels, axes, colours, panelled };
}

export function renderChart(rows, stepRows) {
  clearPlots();
  const box = byId("view-chart");
  const choice = chartChoice(stepRows);
  if (!choice.x || !choice.axes.some((column) => column.isNumber)) {
    fill(box, el("p", { class: "empty" }, "No numbers to plot yet: results saved with save_results(...) and numeric config values appear here."));
    return;
  }
  const { x, y, colour, panels } = choice;
  const points = rows.filter((row) => has(x, row) && has(y, row));
  const scheme = colouring(colour, points);
  const chart = { x: axisOf(x, points), y: axisOf(y, points), colour, scheme, laneOf: scheme.laneOf || (() => 0), lanes: scheme.lanes || 1 };
  const possible = points.length > 0 && canHaveMeans(chart.x, chart.y, points);
  chart.means = possible && (state().means ? state().means === "on" : chart.x.texts !== null);
  const left = rows.length - points.length;
  const note = left ? `${counted(points.length, "point")}; ${counted(left, "instance")} without both values.` : `${counted(points.length, "point")}.`;
  const grid = el("div", { class: panels ? "panels" : "" });
  fill(box, chartControls(choice, chart, possible), colour && legendList(scheme, colour.label), grid,
    el("p", { class: "note" }, note, chart.means && " Large marks are means, bars one standard deviation to each side.",
      el("span", { class: "hint" }, " Click a point to open it, drag to zoom, double-click to see all.")));
  if (!points.length) fill(grid, el("p", { class: "empty" }, "No instance here has both values."));
  else drawPanels(grid, points, chart, panels);
}

function drawPanels(grid, points, chart, panels) {
  const scales = scalesOf(points, chart);
  for (const [title, rows] of panels ? partsOf(points, panels) : [["", points]]) {
    const plot = el("div", { class: "plot-box" });
    grid.append(title ? el("section", { class: "panel" }, el("h3", {}, el("bdi", {}, title), ` (${grouped(String(rows.length))})`), plot) : plot);
    makePlot(plot, { ...scatter(rows, chart, scales), ...(title && { height: PANEL_HEIGHT }) });
  }
}

function partsOf(points, column) {
  const parts = new Map();
  for (const row of points) {
    const text = column.value(row) === undefined ? "no value" : column.measured(row);
    parts.set(text, [...(parts.get(text) || []), row]);
  }
  return [...parts].sort(([a], [b]) => a.localeCompare(b, undefined, { numeric: true })).map(([text, rows]) => [`${column.label}: ${text}`, rows]);
}

// One scale for all panels, with room for the bars.
function scalesOf(points, { x, y, means, laneOf }) {
  const bars = means ? meansOf(points, x, y, laneOf).flatMap(({ low, high }) => [low, high]) : [];
  const scale = (axis, more) => (axis.texts ? [-0.5, axis.texts.length - 0.5] : padded(extentOf([...points.map(axis.at), ...more]), 0.05));
  return { x: scale(x, []), y: scale(y, bars) };
}

function scatter(rows, chart, scales) {
  const { x, y, colour, scheme, laneOf, lanes, means } = chart;
  const across = (row) => (x.texts ? placeInText(x, row, laneOf(row), lanes) : x.at(row));
  const up = (row) => (y.texts ? placeInText(y, row, 0, 1) : y.at(row));
  const points = rows.map((row) => ({ row, x: across(row), y: up(row) })).sort((a, b) => a.x - b.x);
  const [xs, ys] = [points.map((point) => point.x), points.map((point) => point.y)];
  const at = (u) => (i) => [u.valToPos(points[i].x, "x"), u.valToPos(points[i].y, "y")];
  return {
    rows: points.map(({ row }) => row), xs, ys,
    label: `${y.column.label} against ${x.column.label}, ${counted(points.length, "point")}. Left and right arrow keys move through the points, Enter opens one.`,
    xLabel: labelOf(x), yLabel: labelOf(y), xAxis: horizontal(x), yAxis: vertical(y, 74), xRange: rangeOf(scales.x, xs), yScale: { range: rangeOf(scales.y, ys) },
    marks: (u, ctx) => {
      drawPoints(u, ctx, points, scheme, means);
      if (means) drawGroups(u, ctx, meansOf(rows, x, y, laneOf), chart);
    },
    find: (u, left, top) => nearest(points.length, at(u), left, top),
    position: (u, i) => at(u)(i),
    describe: (i) => [x.column, y.column, colour].filter(Boolean).map((column) => `${column.label}: ${column.measured(points[i].row)}`),
  };
}

function drawPoints(u, ctx, points, scheme, faint) {
  const size = (points.length > 5000 ? 2 : faint ? 3 : MARK_SIZE) * devicePixelRatio;
  ctx.lineWidth = 2 * devicePixelRatio;
  ctx.globalAlpha = faint ? 0.3 : points.length > 500 ? 0.6 : 0.85;
  for (const { row, x, y } of points) drawMark(ctx, u.valToPos(x, "x", true), u.valToPos(y, "y", true), size, scheme.mark(row));
  ctx.globalAlpha = 1;
}

function drawGroups(u, ctx, groups, { x, lanes, scheme }) {
  const toPixel = ({ place, lane }, value) => [u.valToPos(place + (x.texts ? laneMiddle(lane, lanes) : 0), "x", true), u.valToPos(value, "y", true)];
  if (!x.texts) joinMeans(ctx, groups, toPixel, scheme);
  drawMeans(ctx, groups, toPixel, scheme, drawMark);
}

function chartControls({ x, y, colour, panels, axes, colours, panelled }, chart, possible) {
  const none = () => el("option", { value: "none" }, "nothing");
  const means = possible && el("button", {
    type: "button",
    id: "choose-means",
    "aria-pressed": String(chart.means),
    title: "The mean of each group and one standard deviation",
    onclick: () => chooseForChart("means", chart.means ? "off" : "on"),
  }, "Means");
  return el("div", { class: "controls" },
    select("Horizontal", "x", axes, x), select("Vertical", "y", axes, y), select("Colour", "colour", colours, colour, none()),
    panelled.length > 0 && select("Panels", "panels", panelled, panels, none()), means);
}

const GROUP_NAMES = { config: "Config", result: "Results", about: "Execution" };

function select(label, key, options, current, none) {
  const groups = Object.entries(GROUP_NAMES).map(([group, name]) => {
    const inside = options.filter((column) => column.group === group);
    return inside.length && el("optgroup", { label: name }, inside.map((column) => el("option", { value: column.id }, column.label)));
  });
  const node = el("select", { id: `choose-${key}`, onchange: (event) => chooseForChart(key, event.target.value) }, none, groups.filter(Boolean));
  node.value = current ? current.id : "none";
  return el("label", {}, `${label} `, node);
}
