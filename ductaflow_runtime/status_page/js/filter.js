// Which rows are shown, in which order. A text is compared once for each distinct value of a column.

import { about, columnById, columns } from "./data.js";
import { page } from "./page.js";
import { state } from "./store.js";

const NUMBER = "[-+]?(?:\\d+\\.?\\d*|\\.\\d+)(?:e[-+]?\\d+)?";
const COMPARISON = new RegExp(`^(>=|<=|>|<|=)\\s*(${NUMBER})$`, "i");
const RANGE = new RegExp(`^(${NUMBER})\\s*\\.\\.\\s*(${NUMBER})$`, "i");
const EXACT_NUMBER = new RegExp(`^${NUMBER}$`, "i");
const DATE = "\\d{4}(?:-\\d{2}(?:-\\d{2}(?:[T ]\\d{2}(?::\\d{2}(?::\\d{2})?)?)?)?)?";
const DATE_COMPARISON = new RegExp(`^(>=|<=|>|<|=)\\s*(${DATE})$`, "i");
const DATE_RANGE = new RegExp(`^(${DATE})\\s*\\.\\.\\s*(${DATE})$`, "i");
const BEGINS_WITH_DATE = /^\d{4}-\d{2}-\d{2}/;
const COMPARE = {
  ">": (a, b) => a > b,
  "<": (a, b) => a < b,
  ">=": (a, b) => a >= b,
  "<=": (a, b) => a <= b,
  "=": (a, b) => a === b,
};

function numberTest(text) {
  const comparison = COMPARISON.exec(text);
  if (comparison) {
    const limit = Number(comparison[2]);
    return (value) => COMPARE[comparison[1]](value, limit);
  }
  const range = RANGE.exec(text);
  if (range) return (value) => value >= Number(range[1]) && value <= Number(range[2]);
  if (EXACT_NUMBER.test(text)) return (value) => value === Number(text);
  return null;
}

// A date counts as far as it is written: `<=2026-11-20` is until the end of that day.
function dateTest(text) {
  const comparison = DATE_COMPARISON.exec(text);
  const range = DATE_RANGE.exec(text);
  const limits = comparison ? [[comparison[1], comparison[2]]] : range ? [[">=", range[1]], ["<=", range[2]]] : null;
  if (!limits) return null;
  const parts = limits.map(([sign, date]) => [COMPARE[sign], date.toUpperCase().replace("T", " ")]);
  return (value) => BEGINS_WITH_DATE.test(value) && parts.every(([test, date]) => test(value.replace("T", " ").slice(0, date.length), date));
}

function textTest(text) {
  const wanted = text.toLowerCase();
  if (wanted.startsWith("!")) return (value) => !value.includes(wanted.slice(1).trim());
  if (wanted.startsWith("=")) return (value) => value === wanted.slice(1).trim();
  return (value) => value.includes(wanted);
}

// Answers for one row.
function columnTest(column, text) {
  const trimmed = text.trim();
  if (trimmed === "*") return (row) => column.value(row) !== undefined;
  const number = column.isNumber && !column.isTime ? numberTest(trimmed) : null;
  if (number) return (row) => number(column.numbers[row]);
  const date = dateTest(trimmed);
  const test = textTest(trimmed);
  if (!column.codes || column.isTime) return (row) => (date ?? test)(column.text(row).toLowerCase());
  const answers = column.dictionary.map((value) => test(column.textOf(value).toLowerCase()) || Boolean(date?.(String(value))));
  const absent = trimmed.startsWith("!");
  return (row) => (column.codes[row] < 0 ? absent : answers[column.codes[row]]);
}

function searchTest(text) {
  const wanted = text.trim().toLowerCase();
  const numeric = EXACT_NUMBER.test(wanted);
  const tests = columns
    .filter((column) => column.search)
    .filter((column) => !column.isNumber || numeric)
    .map((column) => searchColumn(column, wanted));
  return (row) => tests.some((test) => test(row));
}

function searchColumn(column, wanted) {
  if (column.codes) {
    const answers = column.dictionary.map((value) => column.textOf(value).toLowerCase().includes(wanted));
    return (row) => column.codes[row] >= 0 && answers[column.codes[row]];
  }
  const start = Number(wanted);
  return (row) => column.numbers[row] === start || String(column.numbers[row]).startsWith(wanted);
}

export function rowsOfStep() {
  const steps = about("step");
  const wanted = state().step ? steps.dictionary.indexOf(state().step) : -1;
  const rows = [];
  for (let row = 0; row < page.rows; row += 1) if (wanted < 0 || steps.codes[row] === wanted) rows.push(row);
  return rows;
}

export function shownRows(rows) {
  const tests = Object.entries(state().filters).map(([id, text]) => columnTest(columnById.get(id), text));
  if (state().search.trim()) tests.push(searchTest(state().search));
  const kept = tests.length ? rows.filter((row) => tests.every((test) => test(row))) : rows.slice();
  return sortRows(kept);
}

function sortRows(rows) {
  const [id, direction] = [state().sort.replace(/:(asc|desc)$/, ""), state().sort.endsWith(":desc") ? -1 : 1];
  const column = columnById.get(id);
  if (!column) return rows;
  const ranks = column.isNumber ? null : column.ranks;
  const keys = new Float64Array(page.rows);
  for (const row of rows) {
    const code = ranks ? column.codes[row] : 0;
    keys[row] = ranks ? (code < 0 ? NaN : ranks[code]) : column.numbers[row];
  }
  // Rows without a value stay last in both directions.
  return rows.sort((a, b) => {
    if (Number.isNaN(keys[a])) return Number.isNaN(keys[b]) ? a - b : 1;
    if (Number.isNaN(keys[b])) return -1;
    return (keys[a] - keys[b]) * direction || a - b;
  });
}
