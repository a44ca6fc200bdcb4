// Decodes the column-oriented data of the page: typed arrays, so that 100,000 rows filter on integers.

import { bytes, duration, localTime, numberFormat, scalar, unitOf } from "./format.js";
import { compareParts, partsOf } from "./natural.js";
import { page, readBlock } from "./page.js";
import { STATE_ORDER } from "./states.js";

const FORMATS = { duration, time: localTime, memory: bytes };

class Column {
  constructor({ values: encoded, ...told }, rows) {
    Object.assign(this, told); // name, label, format and where it is shown: see columns.py
    this.id = `${this.group}.${this.name}`;
    this.isNumber = Boolean(encoded.number);
    this.isTime = this.format === "time";
    this.nulls = new Set(encoded.z || []);
    this.odd = new Map((encoded.x || []).map(([row, word]) => [row, { j: word }])); // NaN and the infinities: shown, not drawn
    const start = encoded.at || 0;
    if (encoded.d) this.#decodeDictionary(encoded, start, rows);
    else this.#decodeNumbers(encoded.n, start, rows);
  }

  #decodeDictionary(encoded, start, rows) {
    this.dictionary = encoded.d;
    this.codes = new Int32Array(rows).fill(-1);
    this.codes.set(encoded.c, start);
    if (!this.isNumber) return;
    this.numbers = new Float64Array(rows).fill(NaN);
    encoded.c.forEach((code, i) => {
      const value = code < 0 ? undefined : encoded.d[code];
      if (value === null) this.nulls.add(start + i);
      else if (typeof value === "number") this.numbers[start + i] = value;
    });
  }

  #decodeNumbers(values, start, rows) {
    this.numbers = new Float64Array(rows).fill(NaN);
    values.forEach((value, i) => {
      if (value !== null) this.numbers[start + i] = value;
    });
  }

  value(row) {
    if (this.codes) return this.codes[row] < 0 ? undefined : this.dictionary[this.codes[row]];
    const number = this.numbers[row];
    if (!Number.isNaN(number)) return number;
    return this.odd.get(row) ?? (this.nulls.has(row) ? null : undefined);
  }

  // Equal keys mean equal values, also where a long text was cut for the page.
  key(row) {
    if (this.codes) return this.codes[row];
    return this.odd.get(row)?.j ?? String(this.value(row));
  }

  text(row) {
    const value = this.value(row);
    if (value === undefined) return "";
    if (this.isNumber && typeof value === "number") return this.written(value);
    return this.textOf(value);
  }

  // Of a value in the dictionary. A config value that reads like another type is quoted.
  textOf(value) {
    return this.format === "value" ? scalar(value) : String(value);
  }

  get unit() {
    return this.isNumber && this.format === "value" ? unitOf(this.name) : "";
  }

  // With the unit that the name carries, for places without a column heading.
  measured(row) {
    return this.text(row) + (this.unit && this.value(row) !== null ? `\u00a0${this.unit}` : "");
  }

  // A number of this column as text.
  get written() {
    this.ownFormat ??= FORMATS[this.format] || numberFormat(this.numbers);
    return this.ownFormat;
  }

  // Texts sort by rank: comparing strings once for each distinct value, not for each pair of rows.
  get ranks() {
    if (this.ownRanks) return this.ownRanks;
    const texts = this.dictionary.map((value) => this.textOf(value));
    const order = texts.map((_, code) => code);
    if (this.format === "status") order.sort((a, b) => STATE_ORDER.indexOf(texts[a]) - STATE_ORDER.indexOf(texts[b]));
    else {
      const parts = texts.map(partsOf);
      order.sort((a, b) => compareParts(parts[a], parts[b]));
    }
    this.ownRanks = new Int32Array(order.length);
    for (const [rank, code] of order.entries()) this.ownRanks[code] = rank;
    return this.ownRanks;
  }
}

export const columns = page.columns.map((told) => new Column(told, page.rows));
export const columnById = new Map(columns.map((column) => [column.id, column]));
page.columns = null; // the typed arrays have taken their place
export const about = (name) => columnById.get(`about.${name}`);
export const ofGroup = (group) => columns.filter((column) => column.group === group);

export const stepOf = (row) => about("step").value(row);
export const nameOf = (row) => about("name").value(row);
export const statusOf = (row) => about("status").value(row);
export const idOf = (row) => `${stepOf(row)}/${nameOf(row)}`;

let rowsById = null;
export function rowOf(id) {
  if (!rowsById) {
    rowsById = new Map();
    for (let row = 0; row < page.rows; row += 1) rowsById.set(idOf(row), row);
  }
  return rowsById.get(id);
}

// Opened rows need these; a page of 10,000 instances loads faster without parsing them first.
let parsedDetails = null;
let parsedFigures = null;
export function detailsOf(row) {
  parsedDetails ??= readBlock("page-details");
  return parsedDetails.rows[row] || {};
}
export function tracebackOf(error) {
  return error.traceback === undefined ? undefined : parsedDetails.texts[error.traceback];
}
export function figuresOf(row) {
  parsedFigures ??= readBlock("page-figures");
  return parsedFigures.shown[row] || [];
}
// How many figures of its notebook an instance does not show here; undefined when nobody has counted them.
export function figuresLeft(row) {
  parsedFigures ??= readBlock("page-figures");
  if (parsedFigures.left[row]) return parsedFigures.left[row];
  return parsedFigures.shown[row] || !parsedFigures.unread ? 0 : undefined;
}

export function filesOf(row) {
  const text = about("files").value(row);
  const colon = text.indexOf(":");
  return { has: text.slice(0, colon), stem: text.slice(colon + 1) };
}

// The name is `command` or `debug`.
export const commandOf = (name, row) => (about(name)?.value(row) || "").split("\u0000").join(idOf(row));

export const staleOf = (row) => about("stale").value(row);

// A column varies among rows when two of them hold different values, or one of a step that has it lacks it.
export function isConstant(column, rows) {
  let first;
  const lacking = new Set();
  const having = new Set();
  const steps = about("step").codes;
  for (const row of rows) {
    const value = column.value(row);
    if (value === undefined) {
      lacking.add(steps[row]);
      continue;
    }
    having.add(steps[row]);
    const key = column.key(row);
    if (first === undefined) first = key;
    else if (first !== key) return false;
  }
  for (const step of having) if (lacking.has(step)) return false;
  return true;
}

export const isEmpty = (column, rows) => rows.every((row) => column.value(row) === undefined);

const WHEN = {
  always: () => true,
  filled: (column, rows) => !isEmpty(column, rows),
  varied: (column, rows) => !isEmpty(column, rows) && !isConstant(column, rows),
  several: (column, rows) => rows.some((row) => column.key(row) !== column.key(rows[0])),
  nonzero: (column, rows) => rows.some((row) => column.numbers?.[row] > 0),
};

// Whether the table shows a column for these rows.
export const isInTable = (column, rows) => Boolean(WHEN[column.table]?.(column, rows));
