// What both plots share: uPlot draws axes, grid and zoom; marks, hover, click and keyboard are added here.

const HOVER_DISTANCE = 18;
const PLOT_HEIGHT = 440;
const PRINTED_WIDTH = 920;
const plots = new Map();

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

function tickTexts(_, values) {
  const format = numberFormat(values);
  return values.map((value) => (value === null ? "" : format(value)));
}

// `spec`: points sorted by x, `marks(u, ctx)` draws them, `find(u, left, top)` answers the index of the nearest one.
function makePlot(box, spec) {
  plots.get(box)?.destroy();
  const target = el("div", { class: "plot", tabindex: "0", role: "group", "aria-label": spec.label });
  const tip = el("div", { class: "tip", role: "status", hidden: true });
  fill(box, target, tip);
  const options = {
    width: Math.min(printing ? PRINTED_WIDTH : Infinity, Math.max(280, target.clientWidth)),
    height: spec.height || PLOT_HEIGHT,
    legend: { show: false },
    cursor: { x: false, y: false, points: { show: false }, drag: { x: true, y: !spec.lanes, uni: 24 } },
    scales: { x: { time: false, range: spec.xRange || padded(0.04) }, y: spec.yScale || { range: padded(0.06) } },
    axes: [axis(spec.xLabel, { size: 34, values: spec.xTicks || tickTexts, ...spec.xAxis }), axis(spec.yLabel, { size: spec.ySize || 64, values: spec.yTicks || tickTexts, ...spec.yAxis })],
    series: [{}, { paths: () => null, points: { show: false } }],
    hooks: { draw: [(u) => clipped(u, () => spec.marks(u, u.ctx))] },
  };
  const plot = new uPlot(options, [spec.xs, spec.ys], target);
  plots.set(box, plot);
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
    if (!moved && index >= 0) change({ open: idOf(spec.rows[index]) }, true);
  });
  target.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (step) show(Math.max(0, Math.min(spec.rows.length - 1, current + step)));
    else if (event.key === "Enter" && current >= 0) change({ open: idOf(spec.rows[current]) }, true);
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

function nearest(count, at, left, top) {
  let best = -1;
  let distance = HOVER_DISTANCE ** 2;
  for (let i = 0; i < count; i += 1) {
    const [x, y] = at(i);
    const d = (x - left) ** 2 + (y - top) ** 2;
    if (d < distance) [best, distance] = [i, d];
  }
  return best;
}

// --- colours -------------------------------------------------------------------------------------

const SHAPES = ["circle", "square", "triangle", "diamond"];
const MOST_CLASSES = 8;

// `key(row)` is what a point is coloured by; classes differ in shape too.
function colouring(column, rows) {
  const plain = { mark: () => ({ colour: theme("series-1"), shape: "circle" }), legend: [] };
  if (!column) return plain;
  if (column.id === "about.status") return statusColouring(rows);
  const counts = new Map();
  for (const row of rows) {
    const text = column.value(row) === undefined ? "no value" : column.text(row);
    counts.set(text, (counts.get(text) || 0) + 1);
  }
  return column.isNumber && counts.size > 6 ? rampColouring(column, rows) : classColouring(column, counts);
}

function statusColouring(rows) {
  const shapes = { done: "circle", warned: "triangle", failed: "cross", interrupted: "square", running: "diamond", unreadable: "diamond" };
  const mark = new Map(STATUS_ORDER.map((status) => [status, { colour: theme(status), shape: shapes[status] }]));
  const legend = countsOf(rows).reverse().map(([status]) => [STATUS[status].many, mark.get(status)]);
  return { mark: (row) => mark.get(statusOf(row)), legend };
}

function classColouring(column, counts) {
  const texts = [...counts.keys()];
  if (texts.length > MOST_CLASSES) texts.sort((a, b) => counts.get(b) - counts.get(a));
  const named = texts.slice(0, texts.length > MOST_CLASSES ? MOST_CLASSES - 1 : MOST_CLASSES);
  if (column.isNumber) named.sort((a, b) => Number(a) - Number(b));
  else named.sort((a, b) => a.localeCompare(b, undefined, { numeric: true }));
  const marks = new Map(named.map((text, i) => [text, { colour: theme(`series-${i + 1}`), shape: SHAPES[i % SHAPES.length] }]));
  const other = { colour: theme("muted"), shape: "circle" };
  const legend = [...marks];
  if (texts.length > named.length) legend.push([`${texts.length - named.length} others`, other]);
  return { mark: (row) => marks.get(column.value(row) === undefined ? "no value" : column.text(row)) || other, legend };
}

const RAMP_STEPS = 32;

function rampColouring(column, rows) {
  const values = rows.map((row) => column.numbers[row]).filter((value) => !Number.isNaN(value));
  const low = values.reduce((least, value) => Math.min(least, value), Infinity);
  const high = values.reduce((most, value) => Math.max(most, value), -Infinity);
  const stops = ["ramp-1", "ramp-2", "ramp-3", "ramp-4"].map(theme).map(parseColour);
  const marks = Array.from({ length: RAMP_STEPS }, (_, i) => ({ colour: between(stops, i / (RAMP_STEPS - 1)), shape: "circle" }));
  const missing = { colour: theme("muted"), shape: "diamond" };
  const place = (value) => Math.round(((value - low) / (high - low || 1)) * (RAMP_STEPS - 1));
  const mark = (row) => (Number.isNaN(column.numbers[row]) ? missing : marks[place(column.numbers[row])]);
  return { mark, legend: [], ramp: { low: column.format(low), high: column.format(high), colours: marks.map((one) => one.colour) } };
}

const parseColour = (hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));

function between(stops, share) {
  const at = Math.min(stops.length - 2, Math.floor(share * (stops.length - 1)));
  const part = share * (stops.length - 1) - at;
  const mixed = stops[at].map((channel, i) => Math.round(channel + (stops[at + 1][i] - channel) * part));
  return `rgb(${mixed.join(",")})`;
}

function drawMark(ctx, x, y, size, { colour, shape }) {
  ctx.beginPath();
  if (shape === "circle") ctx.arc(x, y, size, 0, 2 * Math.PI);
  else if (shape === "square") ctx.rect(x - size * 0.9, y - size * 0.9, size * 1.8, size * 1.8);
  else if (shape === "triangle") polygon(ctx, [[x, y - size * 1.2], [x + size * 1.15, y + size * 0.9], [x - size * 1.15, y + size * 0.9]]);
  else if (shape === "diamond") polygon(ctx, [[x, y - size * 1.3], [x + size * 1.3, y], [x, y + size * 1.3], [x - size * 1.3, y]]);
  else {
    ctx.strokeStyle = colour;
    ctx.moveTo(x - size, y - size);
    ctx.lineTo(x + size, y + size);
    ctx.moveTo(x + size, y - size);
    ctx.lineTo(x - size, y + size);
    ctx.stroke();
    return;
  }
  ctx.fillStyle = colour;
  ctx.fill();
}

function polygon(ctx, points) {
  points.forEach(([x, y], i) => (i ? ctx.lineTo(x, y) : ctx.moveTo(x, y)));
  ctx.closePath();
}

function legendList(scheme, title) {
  const items = scheme.legend.map(([text, mark]) => {
    const canvas = el("canvas", { width: "24", height: "24", class: "swatch", "aria-hidden": "true" });
    canvas.getContext("2d").lineWidth = 3;
    drawMark(canvas.getContext("2d"), 12, 12, 8, mark);
    return el("li", {}, canvas, el("bdi", {}, text));
  });
  if (scheme.ramp) {
    const bar = el("span", { class: "ramp", "aria-hidden": "true" });
    bar.style.background = `linear-gradient(to right, ${scheme.ramp.colours.join(",")})`;
    items.push(el("li", {}, scheme.ramp.low, bar, scheme.ramp.high));
  }
  return items.length ? el("ul", { class: "legend" }, el("li", { class: "legend-title" }, el("bdi", {}, title)), items) : null;
}
