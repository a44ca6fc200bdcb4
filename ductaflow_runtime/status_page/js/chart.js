// Any numeric column against any other, coloured by a third, for the rows that the filters leave.

import { columns, isConstant, isEmpty } from "./data.js";
import { byId, el, fill } from "./dom.js";
import { counted, duration, localTime } from "./format.js";
import { MOST_CLASSES, colouring, drawMark, legendList } from "./marks.js";
import { makePlot, nearest } from "./plot.js";
import { chooseForChart, state } from "./store.js";

const MARK_SIZE = 4;

function chartColumns(rows) {
  const varying = (column) => column.isNumber && !isConstant(column, rows);
  return columns.filter((column) => column.axis && (column.group === "result" ? column.isNumber && !isEmpty(column, rows) : varying(column)));
}

function colourColumns(rows) {
  return columns.filter((column) => column.colour && !isEmpty(column, rows) && !isConstant(column, rows));
}

const hasBoth = (x, y, rows) => rows.some((row) => !Number.isNaN(x.numbers[row]) && !Number.isNaN(y.numbers[row]));

// A good first look: a config value against a result of the same step, coloured by another config value.
function chartChoice(rows) {
  const numeric = chartColumns(rows);
  const config = numeric.filter((column) => column.group === "config");
  const results = numeric.filter((column) => column.group === "result" && !isConstant(column, rows));
  const given = (id) => numeric.find((column) => column.id === id);
  const x = given(state().x) || config[0] || results[1] || numeric[0];
  const y = given(state().y) || [...results, ...numeric].find((column) => column !== x && hasBoth(x, column, rows)) || x;
  const colours = colourColumns(rows);
  const named = colours.filter((column) => column.group === "config" && column !== x && column !== y);
  const fallback = named.find((column) => !column.isNumber && column.dictionary.length <= MOST_CLASSES) || named[0] || (x?.group === "about" ? null : colours.find((column) => column.format === "status"));
  const colour = state().colour === "none" ? null : colours.find((column) => column.id === state().colour) || fallback;
  return { x, y, colour, numeric, colours };
}

export function renderChart(rows, stepRows) {
  const box = byId("view-chart");
  const choice = chartChoice(stepRows);
  if (!choice.x) {
    fill(box, el("p", { class: "empty" }, "No numbers to plot yet: results saved with save_results(...) and numeric config values appear here."));
    return;
  }
  const { x, y, colour } = choice;
  const points = rows.filter((row) => !Number.isNaN(x.numbers[row]) && !Number.isNaN(y.numbers[row]));
  points.sort((a, b) => x.numbers[a] - x.numbers[b]);
  const scheme = colouring(colour, points);
  const left = rows.length - points.length;
  const note = left ? `${counted(points.length, "point")}; ${counted(left, "instance")} without both values.` : `${counted(points.length, "point")}.`;
  const plot = el("div", { class: "plot-box" });
  fill(box, chartControls(choice), colour && legendList(scheme, colour.label), plot,
    el("p", { class: "note" }, note, el("span", { class: "hint" }, " Click a point to open it, drag to zoom, double-click to see all.")));
  if (points.length) makePlot(plot, scatter(points, x, y, colour, scheme));
  else fill(plot, el("p", { class: "empty" }, "No instance here has both values."));
}

const axisLabel = (column) => column.label + (column.unit ? ` [${column.unit}]` : "");
const TICKS = { duration, time: (value) => localTime(value).slice(11) };

function scatter(points, x, y, colour, scheme) {
  const xs = points.map((row) => x.numbers[row]);
  const ys = points.map((row) => y.numbers[row]);
  const at = (u) => (i) => [u.valToPos(xs[i], "x"), u.valToPos(ys[i], "y")];
  const ticks = ({ format }) => (TICKS[format] ? (_, values) => values.map((value) => TICKS[format](value)) : undefined);
  return {
    rows: points, xs, ys,
    label: `${y.label} against ${x.label}, ${counted(points.length, "point")}. Left and right arrow keys move through the points, Enter opens one.`,
    xLabel: axisLabel(x), yLabel: axisLabel(y), xTicks: ticks(x), xAxis: { space: x.group === "about" ? 90 : 56 }, yTicks: ticks(y), ySize: 74,
    marks: (u, ctx) => {
      const size = (points.length > 5000 ? 2 : MARK_SIZE) * devicePixelRatio;
      ctx.lineWidth = 2 * devicePixelRatio;
      ctx.globalAlpha = points.length > 500 ? 0.6 : 0.85;
      points.forEach((row, i) => drawMark(ctx, u.valToPos(xs[i], "x", true), u.valToPos(ys[i], "y", true), size, scheme.mark(row)));
    },
    find: (u, left, top) => nearest(points.length, at(u), left, top),
    position: (u, i) => at(u)(i),
    describe: (i) => [x, y, colour].filter(Boolean).map((column) => `${column.label}: ${column.measured(points[i])}`),
  };
}

function chartControls({ x, y, colour, numeric, colours }) {
  const none = el("option", { value: "none" }, "nothing");
  return el("div", { class: "controls" },
    select("Horizontal", "x", numeric, x), select("Vertical", "y", numeric, y), select("Colour", "colour", colours, colour, none));
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
