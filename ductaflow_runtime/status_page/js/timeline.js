// The last sweep by worker: when each instance ran, for how long, and how it ended.

import { about, statusOf } from "./data.js";
import { byId, el, fill } from "./dom.js";
import { clock, counted, duration, localTime, visible } from "./format.js";
import { legendList, statusColouring } from "./marks.js";
import { page } from "./page.js";
import { clearPlots, makePlot } from "./plot.js";
import { STATES } from "./states.js";

const LANE_HEIGHT = 26;
const MOST_LANES = 64;
const TIME_STEPS = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900,
  1800, 3600, 7200, 10800, 21600, 43200, 86400, 172800, 604800];

function spansOf(rows) {
  const started = about("started");
  const lasted = about("duration_s");
  const now = Date.parse(page.written);
  const spans = [];
  for (const row of rows) {
    const from = started.numbers ? started.numbers[row] : NaN;
    if (Number.isNaN(from) || from < page.sweep) continue;
    const seconds = lasted.numbers ? lasted.numbers[row] : NaN;
    const end = Number.isNaN(seconds) ? (STATES.get(statusOf(row)).final ? from : now) : from + seconds * 1000;
    spans.push({ row, from, end: Math.max(from, end), lane: 0 });
  }
  return spans.sort((a, b) => a.from - b.from);
}

// Records say which worker ran them; without that, the first free lane takes the next instance.
function assignLanes(spans) {
  const workers = about("worker");
  const named = workers.numbers && spans.every(({ row }) => !Number.isNaN(workers.numbers[row]));
  const free = [];
  const lanes = named ? [...new Set(spans.map(({ row }) => workers.numbers[row]))].sort((a, b) => a - b) : null;
  for (const span of spans) {
    if (lanes) span.lane = lanes.indexOf(workers.numbers[span.row]);
    else {
      const at = free.findIndex((end) => end <= span.from);
      span.lane = at < 0 ? free.length : at;
      free[span.lane] = span.end;
    }
  }
  return lanes ? lanes.map((worker) => `worker ${worker}`) : free.map((_, i) => `lane ${i + 1}`);
}

export function renderTimeline(rows) {
  clearPlots();
  const box = byId("view-timeline");
  const spans = spansOf(rows);
  if (!spans.length) {
    fill(box, el("p", { class: "empty" }, "None of these instances ran in the last sweep."));
    return;
  }
  const names = assignLanes(spans);
  const end = spans.reduce((latest, span) => Math.max(latest, span.end), 0);
  const busy = spans.reduce((sum, span) => sum + span.end - span.from, 0);
  const wall = (end - spans[0].from) / 1000;
  const share = wall > 0 ? `, workers busy ${Math.round((busy / 10 / wall / names.length))} % of the time` : "";
  const plot = el("div", { class: "plot-box" });
  const scheme = statusColouring(spans.map(({ row }) => row));
  fill(box, el("p", { class: "note" }, `The last sweep: ${counted(spans.length, "instance")} from ${localTime(spans[0].from)} in ${duration(wall)}${share}.`),
    legendList(scheme, "Outcome"), plot, el("p", { class: "note hint" }, "Click a bar to open it, drag to zoom, double-click to see all."));
  makePlot(plot, lanePlot(spans, names, scheme));
}

function lanePlot(spans, names, scheme) {
  const start = spans[0].from;
  const xs = spans.map((span) => (span.from - start) / 1000);
  const ends = spans.map((span) => (span.end - start) / 1000);
  const last = ends.reduce((latest, end) => Math.max(latest, end), 0);
  const lanes = Math.min(names.length, MOST_LANES);
  const laneName = (value) => (Number.isInteger(value) && value >= 0 && value < names.length ? visible(names[value]) : "");
  return {
    rows: spans.map(({ row }) => row), xs, ys: spans.map(({ lane }) => lane), lanes: true,
    height: 70 + lanes * LANE_HEIGHT,
    label: `Timeline of ${counted(spans.length, "instance")}. Left and right arrow keys move through them, Enter opens one.`,
    xLabel: last < 60 ? "time since the start [s]" : last < 3600 ? "time since the start [min:s]" : "time since the start [h:min:s]", yLabel: "", ySize: 84,
    xTicks: (_, values) => values.map((value) => (value < 0 ? "" : clock(value, last))),
    xAxis: { space: 70, incrs: TIME_STEPS },
    yTicks: (_, values) => values.map(laneName),
    yAxis: { label: null, grid: { show: false }, splits: () => names.map((_, i) => i).filter((i) => i % Math.ceil(names.length / MOST_LANES) === 0) },
    yScale: { range: () => [-0.6, names.length - 0.4], dir: -1 },
    xRange: (_, low, high) => (low === null ? [0, 1] : zoomedOrAll(low, high, xs, last)),
    marks: (u, ctx) => {
      for (const [i, span] of spans.entries()) drawBar(u, ctx, span.lane, xs[i], ends[i], scheme.mark(span.row));
    },
    find: (u, left, top) => spanAt(u, spans, xs, ends, left, top),
    position: (u, i) => [u.valToPos(xs[i], "x"), u.valToPos(spans[i].lane, "y")],
    describe: (i) => {
      const row = spans[i].row;
      return [`${names[spans[i].lane]}, ${STATES.get(statusOf(row)).many}`, `${duration((spans[i].end - spans[i].from) / 1000)} from ${localTime(spans[i].from).slice(11)}`];
    },
  };
}

function drawBar(u, ctx, lane, from, to, { colour, plain }) {
  const left = u.valToPos(from, "x", true);
  const width = Math.max(devicePixelRatio, u.valToPos(to, "x", true) - left - devicePixelRatio);
  const top = u.valToPos(lane - 0.34, "y", true);
  const height = u.valToPos(lane + 0.34, "y", true) - top;
  ctx.fillStyle = colour;
  ctx.globalAlpha = 0.8;
  ctx.fillRect(left, top, width, height);
  if (plain || width < 8) return;
  ctx.globalAlpha = 1; // bars that did not end well carry a line too
  ctx.fillRect(left, top + height - 3 * devicePixelRatio, width, 3 * devicePixelRatio);
}

function spanAt(u, spans, xs, ends, left, top) {
  const time = u.posToVal(left, "x");
  const lane = Math.round(u.posToVal(top, "y"));
  const slack = u.posToVal(left + 3, "x") - time;
  let best = -1;
  let distance = slack;
  for (let i = 0; i < spans.length; i += 1) {
    if (spans[i].lane !== lane) continue;
    const away = Math.max(xs[i] - time, time - ends[i], 0);
    if (away < distance) [best, distance] = [i, away];
  }
  return best;
}

// uPlot knows the starts only: unless zoomed, the axis also has to hold the last end.
function zoomedOrAll(low, high, xs, last) {
  const whole = low <= xs[0] && high >= xs[xs.length - 1];
  return whole ? [-last * 0.01, last * 1.02 || 1] : [low, high];
}
