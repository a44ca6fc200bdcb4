// What both plots share: uPlot draws axes, grid and zoom; marks, hover, click and keyboard are added here.

import { uPlot } from "uplot";
import { idOf, nameOf } from "./data.js";
import { el, fill, theme } from "./dom.js";
import { numberFormat, visible } from "./format.js";
import { isPrinting } from "./printing.js";
import { openRow } from "./store.js";

const HOVER_DISTANCE = 18;
const PLOT_HEIGHT = 440;
const PRINTED_WIDTH = 920;
const plots = new Set();

function padded(share) {
  return (_, low, high) => {
    if (low === null || high === null) return [0, 1];
    const pad = low === high ? Math.abs(low) * 0.1 || 1 : (high - low) * share;
    return [low - pad, high + pad];
  };
}

function axis(label, extra) {
  return {
    label: visible(label),
    labelSize: 24,
    labelFont: `12px ${theme("font")}`,
    font: `11px ${theme("font")}`,
    stroke: theme("muted"),
    grid: { stroke: theme("grid"), width: 1 },
    ticks: { stroke: theme("grid"), width: 1, size: 5 },
    ...extra,
  };
}

const withTicks = (given) => ({ ...given, values: given.values || tickTexts });

function tickTexts(_, values) {
  const format = numberFormat(values);
  return values.map((value) => (value === null ? "" : format(value)));
}

// Before a view is drawn anew.
export function clearPlots() {
  for (const plot of plots) plot.destroy();
  plots.clear();
}

// `spec`: points sorted by x, `marks(u, ctx)` draws them, `find(u, left, top)` answers the index of the nearest one.
export function makePlot(box, spec) {
  const target = el("div", { class: "plot", tabindex: "0", role: "group", "aria-label": spec.label });
  const tip = el("div", { class: "tip", role: "status", hidden: true });
  fill(box, target, tip);
  const options = {
    width: Math.min(isPrinting() ? PRINTED_WIDTH : Infinity, Math.max(280, target.clientWidth)),
    height: spec.height || PLOT_HEIGHT,
    legend: { show: false },
    cursor: { x: false, y: false, points: { show: false }, drag: { x: true, y: !spec.lanes, uni: 24 } },
    scales: { x: { time: false, range: spec.xRange || padded(0.04) }, y: spec.yScale || { range: padded(0.06) } },
    axes: [axis(spec.xLabel, withTicks({ size: 34, values: spec.xTicks, ...spec.xAxis })), axis(spec.yLabel, withTicks({ size: spec.ySize || 64, values: spec.yTicks, ...spec.yAxis }))],
    series: [{}, { paths: () => null, points: { show: false } }],
    hooks: { draw: [(u) => clipped(u, () => spec.marks(u, u.ctx))] },
  };
  const plot = new uPlot(options, [spec.xs, spec.ys], target);
  plots.add(plot);
  listen(plot, target, tip, spec);
}

function clipped(u, draw) {
  const { left, top, width, height } = u.bbox;
  u.ctx.save();
  u.ctx.beginPath();
  u.ctx.rect(left, top, width, height);
  u.ctx.clip();
  draw();
  u.ctx.restore();
}

function listen(plot, target, tip, spec) {
  let current = -1;
  let pressed = null;
  const show = (index) => {
    current = index;
    tip.hidden = index < 0;
    target.classList.toggle("hit", index >= 0);
    if (index >= 0) placeTip(plot, tip, spec, index);
  };
  const find = (event) => {
    const area = plot.over.getBoundingClientRect();
    return spec.find(plot, event.clientX - area.left, event.clientY - area.top);
  };
  plot.over.addEventListener("mousemove", (event) => show(find(event)));
  plot.over.addEventListener("mouseleave", () => show(-1));
  plot.over.addEventListener("mousedown", (event) => (pressed = [event.clientX, event.clientY]));
  plot.over.addEventListener("click", (event) => {
    const moved = pressed && Math.hypot(event.clientX - pressed[0], event.clientY - pressed[1]) > 4;
    const index = find(event);
    if (!moved && index >= 0) openRow(idOf(spec.rows[index]));
  });
  target.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (step) show(Math.max(0, Math.min(spec.rows.length - 1, current + step)));
    else if (event.key === "Enter" && current >= 0) openRow(idOf(spec.rows[current]));
    else return;
    event.preventDefault();
  });
}

function placeTip(plot, tip, spec, index) {
  fill(tip, el("b", {}, el("bdi", {}, nameOf(spec.rows[index]))), spec.describe(index).map((line) => el("div", {}, line)));
  const [x, y] = spec.position(plot, index);
  const left = plot.over.offsetLeft + x;
  const beyond = left + tip.offsetWidth + 16 > plot.root.offsetWidth;
  tip.style.left = `${Math.max(0, beyond ? left - tip.offsetWidth - 12 : left + 12)}px`;
  tip.style.top = `${Math.max(0, plot.over.offsetTop + y - tip.offsetHeight - 8)}px`;
}

export function nearest(count, at, left, top) {
  let best = -1;
  let distance = HOVER_DISTANCE ** 2;
  for (let i = 0; i < count; i += 1) {
    const [x, y] = at(i);
    const d = (x - left) ** 2 + (y - top) ** 2;
    if (d < distance) [best, distance] = [i, d];
  }
  return best;
}
