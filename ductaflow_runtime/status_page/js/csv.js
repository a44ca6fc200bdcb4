// The rows that the filters leave, as a CSV file: exact values, under the names that load_results gives them.

import { columns, isEmpty } from "./data.js";
import { page } from "./page.js";

const BOM = "\ufeff"; // without it a spreadsheet takes the text for another encoding

function field(text) {
  return /[",\r\n]/.test(text) || text !== text.trim() ? `"${text.replaceAll('"', '""')}"` : text;
}

// Numbers keep all their digits; a list or an object is written as JSON.
function plain(column, row) {
  const value = column.value(row);
  if (value === undefined || value === null) return "";
  if (column.isTime) return new Date(value).toISOString();
  if (typeof value === "object") return value.j;
  return String(value);
}

export function csvOf(rows) {
  const saved = columns.filter((column) => column.csv && !isEmpty(column, rows));
  const lines = [saved.map((column) => field(column.csv)), ...rows.map((row) => saved.map((column) => field(plain(column, row))))];
  return `${BOM}${lines.map((line) => line.join(",")).join("\r\n")}\r\n`;
}

export function saveCsv(rows, step) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([csvOf(rows)], { type: "text/csv" }));
  link.download = `${[page.title, step].filter(Boolean).join(" ").replace(/[^\p{L}\p{N}._-]+/gu, "-")}.csv`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
