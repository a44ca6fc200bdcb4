// What a point is coloured by, the marks that are drawn, and the legend that explains them.

import { statusOf } from "./data.js";
import { el, theme } from "./dom.js";
import { STATES, colourOf } from "./states.js";
import { countsOf } from "./summary.js";

const SHAPES = ["circle", "square", "triangle", "diamond"];
export const MOST_CLASSES = 8;

// `key(row)` is what a point is coloured by; classes differ in shape too.
export function colouring(column, rows) {
  const plain = { mark: () => ({ colour: theme("series-1"), shape: "circle" }), legend: [] };
  if (!column) return plain;
  if (column.format === "status") return statusColouring(rows);
  const counts = new Map();
  for (const row of rows) {
    const text = column.value(row) === undefined ? "no value" : column.text(row);
    counts.set(text, (counts.get(text) || 0) + 1);
  }
  return column.isNumber && counts.size > 6 ? rampColouring(column, rows) : classColouring(column, counts);
}

export function statusColouring(rows) {
  const mark = new Map([...STATES].map(([name, { shape, line, plain }]) => [name, { colour: colourOf(name), path: new Path2D(shape), line, plain }]));
  const legend = countsOf(rows).reverse().map(([status]) => [STATES.get(status).many, mark.get(status)]);
  return { mark: (row) => mark.get(statusOf(row)), legend, ...lanesOf(legend.map(([, one]) => one), (row) => mark.get(statusOf(row))) };
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
  const mark = (row) => marks.get(column.value(row) === undefined ? "no value" : column.text(row)) || other;
  return { mark, legend, ...lanesOf(legend.map(([, one]) => one), mark) };
}

// Classes stand side by side where a text is on the axis.
function lanesOf(marks, mark) {
  const places = new Map(marks.map((one, place) => [one, place]));
  return { laneOf: (row) => places.get(mark(row)), lanes: Math.max(1, marks.length) };
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
  return { mark, legend: [], ramp: { low: column.written(low), high: column.written(high), colours: marks.map((one) => one.colour) } };
}

const parseColour = (hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));

function between(stops, share) {
  const at = Math.min(stops.length - 2, Math.floor(share * (stops.length - 1)));
  const part = share * (stops.length - 1) - at;
  const mixed = stops[at].map((channel, i) => Math.round(channel + (stops[at + 1][i] - channel) * part));
  return `rgb(${mixed.join(",")})`;
}

export function drawMark(ctx, x, y, size, mark) {
  if (mark.path) drawLight(ctx, x, y, size, mark);
  else drawShape(ctx, x, y, size, mark);
}

// The lights of the states are drawn in a square of 12.
function drawLight(ctx, x, y, size, { colour, path, line }) {
  ctx.save();
  ctx.translate(x, y);
  ctx.scale(size / 5, size / 5);
  ctx.translate(-6, -6);
  if (line) {
    ctx.lineWidth = 2.4;
    ctx.strokeStyle = colour;
    ctx.stroke(path);
  } else {
    ctx.fillStyle = colour;
    ctx.fill(path);
  }
  ctx.restore();
}

function drawShape(ctx, x, y, size, { colour, shape }) {
  ctx.beginPath();
  if (shape === "circle") ctx.arc(x, y, size, 0, 2 * Math.PI);
  else if (shape === "square") ctx.rect(x - size * 0.9, y - size * 0.9, size * 1.8, size * 1.8);
  else if (shape === "triangle") polygon(ctx, [[x, y - size * 1.2], [x + size * 1.15, y + size * 0.9], [x - size * 1.15, y + size * 0.9]]);
  else polygon(ctx, [[x, y - size * 1.3], [x + size * 1.3, y], [x, y + size * 1.3], [x - size * 1.3, y]]);
  ctx.fillStyle = colour;
  ctx.fill();
}

function polygon(ctx, points) {
  for (const [i, [x, y]] of points.entries()) {
    if (i) ctx.lineTo(x, y);
    else ctx.moveTo(x, y);
  }
  ctx.closePath();
}

export function legendList(scheme, title) {
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
