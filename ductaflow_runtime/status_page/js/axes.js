// What an axis of the chart measures: numbers, or texts side by side.

import { bytes, duration, localTime, visible } from "./format.js";

export const MOST_TEXTS = 40;
const TICKS = { duration, time: (value) => localTime(value).slice(11), memory: bytes };
const LONGEST_TICK = 24;
const SPREAD = 0.7;

const shorten = (text) => (text.length > LONGEST_TICK ? `${text.slice(0, LONGEST_TICK - 1)}…` : text);

// `at(row)` is a place on the axis, NaN without a value; `texts` are the names of the places 0, 1, 2, ...
export function axisOf(column, rows) {
  if (column.isNumber) return { column, at: (row) => column.numbers[row], texts: null };
  const codes = [...new Set(rows.map((row) => column.codes[row]))].filter((code) => code >= 0);
  codes.sort((a, b) => column.ranks[a] - column.ranks[b]);
  const places = new Map(codes.map((code, place) => [code, place]));
  const at = (row) => (column.codes[row] < 0 ? NaN : places.get(column.codes[row]));
  return { column, at, texts: codes.map((code) => column.textOf(column.dictionary[code])) };
}

// Points of one text would hide each other: each class has a lane, and each row a place in it that stays.
export function placeInText(axis, row, lane, lanes) {
  const width = SPREAD / lanes;
  const own = ((Math.imul(row + 1, 2654435761) >>> 0) / 2 ** 32 - 0.5) * width * 0.8;
  return axis.at(row) + laneMiddle(lane, lanes) + own;
}

export const laneMiddle = (lane, lanes) => (lane - (lanes - 1) / 2) * (SPREAD / lanes);

export const labelOf = ({ column }) => column.label + (column.unit ? ` [${column.unit}]` : "");

// What uPlot is told of ticks and their room.
export function horizontal(axis) {
  const { column, texts } = axis;
  if (!texts) return { values: numberTicks(column), space: column.group === "about" ? 90 : 56 };
  const longest = texts.reduce((most, text) => Math.max(most, shorten(text).length), 0);
  const slanted = longest * texts.length > 70;
  return { ...textTicks(texts), ...(slanted && { rotate: -35, size: 26 + Math.ceil(longest * 3.6) }) };
}

export function vertical(axis, size) {
  const { column, texts } = axis;
  if (!texts) return { values: numberTicks(column), size };
  const longest = texts.reduce((most, text) => Math.max(most, shorten(text).length), 0);
  return { ...textTicks(texts), size: Math.max(size, 14 + Math.ceil(longest * 6.2)) };
}

function textTicks(texts) {
  return {
    splits: () => texts.map((_, place) => place),
    values: (_, places) => places.map((place) => (texts[place] === undefined ? "" : visible(shorten(texts[place])))),
    grid: { show: false },
  };
}

const numberTicks = ({ format }) => (TICKS[format] ? (_, values) => values.map((value) => TICKS[format](value)) : undefined);

export const extentOf = (values) => values.reduce(([low, high], value) => [Math.min(low, value), Math.max(high, value)], [Infinity, -Infinity]);

export function padded([low, high], share) {
  const pad = low === high ? Math.abs(low) * 0.1 || 1 : (high - low) * share;
  return [low - pad, high + pad];
}

// `whole` as long as all of the plot's own values are asked for, else what was zoomed to.
export function rangeOf(whole, values) {
  const [first, last] = extentOf(values);
  return (_, low, high) => (low === null || (low <= first && high >= last) ? whole : [low, high]);
}
