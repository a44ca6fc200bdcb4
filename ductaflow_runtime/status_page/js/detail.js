// One instance in full: why it ran, what it was given, what came out, and what went wrong.

import { about, columns, commandOf, detailsOf, figuresLeft, figuresOf, filesOf, idOf, nameOf, ofGroup, rowOf, staleOf, statusOf, stepOf, tracebackOf } from "./data.js";
import { byId, el, encodePath, fill } from "./dom.js";
import { bytes, counted, visible } from "./format.js";
import { openNeighbour } from "./rows.js";
import { STATES, light } from "./states.js";
import { closeRow, state, toggleChosen } from "./store.js";

let returnFocus = null;

export function renderDetail() {
  const panel = byId("detail");
  const row = rowOf(state().open);
  panel.hidden = row === undefined;
  document.body.classList.toggle("with-detail", row !== undefined);
  if (row === undefined) {
    panel.replaceChildren();
    return;
  }
  const details = detailsOf(row);
  fill(panel, detailHead(row), detailFacts(row), staleSection(row), problemSection(row), errorSection(details.error), linkList(row),
    figureSection(row), pairsSection("Results", ofGroup("result"), row), pairsSection("Config", ofGroup("config"), row),
    commandSection("Take it apart, cell by cell", "debug", row), commandSection("Run it again", "command", row), logSection(row, details), outputSection(row, details), environmentSection(row));
}

export function closeDetail() {
  closeRow();
  (returnFocus || byId("scroller")).focus({ preventScroll: true });
}

export function focusDetail() {
  returnFocus = document.activeElement === document.body ? null : document.activeElement;
  byId("detail").querySelector("h2")?.focus({ preventScroll: true });
}

function detailHead(row) {
  const id = idOf(row);
  const button = (label, action, title) => el("button", { type: "button", title, onclick: action }, label);
  const chosen = state().chosen.includes(id);
  return el("header", { class: "detail-head" },
    el("div", { class: "detail-buttons" },
      button("Previous", () => openNeighbour(-1), "The row above"),
      button("Next", () => openNeighbour(1), "The row below"),
      el("button", { type: "button", "aria-pressed": String(chosen), onclick: () => toggleChosen(id) }, chosen ? "Chosen to compare" : "Compare"),
      el("span", { class: "gap" }),
      button("Close", closeDetail, "Close (Esc)")),
    el("p", { class: "detail-step" }, stepOf(row)),
    el("h2", { tabindex: "-1" }, el("bdi", {}, nameOf(row))));
}

function detailFacts(row) {
  const status = statusOf(row);
  const facts = columns.filter((column) => column.fact).map((column) => factOf(column, row)).filter(Boolean);
  return el("p", { class: "facts" }, el("span", { class: "fact-status" }, light(status, staleOf(row) !== undefined), ` ${STATES.get(status).many}`), facts.map((text) => el("span", {}, text)));
}

function factOf(column, row) {
  const value = column.value(row);
  if (value === undefined) return null;
  if (column.format === "count") return value > 0 ? counted(value, column.fact) : null;
  return `${column.fact} ${column.text(row)}`;
}

function section(title, ...content) {
  return el("section", {}, el("h3", {}, title), content);
}

function staleSection(row) {
  const stale = staleOf(row);
  return stale && el("p", { class: "problem stale" }, "No longer up to date: ", el("bdi", {}, stale));
}

function problemSection(row) {
  const problem = about("problem").value(row);
  return problem && el("p", { class: "problem" }, el("bdi", {}, problem));
}

function errorSection(error) {
  if (!error) return null;
  const traceback = tracebackOf(error);
  const where = error.cell === null ? "" : ` in cell ${error.cell}`;
  return el("section", { class: "error" }, el("h3", {}, "Error", where),
    el("p", { class: "message" }, el("b", {}, error.type), error.message ? ": " : "", el("bdi", {}, error.message)),
    error.place && el("p", {}, el("code", {}, error.place)),
    traceback ? el("pre", { tabindex: "0", "aria-label": "Traceback" }, traceback)
      : el("p", { class: "note" }, "The traceback is in the notebook."));
}

function linkList(row) {
  const { has, stem } = filesOf(row);
  const files = [["n", "Notebook", `${stem}.ipynb`], ["h", "HTML report", `${stem}.html`], ["l", "Log", "run.log"],
    ["c", "Config", "config.json"], ["r", "Record", "run.json"]];
  const links = files.filter(([letter]) => has.includes(letter)).map(([, label, name]) => fileLink(row, name, label));
  return el("nav", { class: "links", "aria-label": "Files" }, links, fileLink(row, "", "Folder"));
}

export function fileLink(row, path, label) {
  return el("a", { href: encodePath(stepOf(row), nameOf(row), path), target: "_blank", rel: "noopener", title: path || "The instance's folder" }, el("bdi", {}, label));
}

export function figure(row, [media, data, cell]) {
  const caption = `${nameOf(row)}, cell ${cell}`;
  return el("figure", {}, el("img", { src: `data:${media};base64,${data}`, alt: `Figure of ${visible(caption)}`, loading: "lazy" }), el("figcaption", {}, `cell ${cell}`));
}

function figureSection(row) {
  const figures = figuresOf(row);
  const note = figureNote(row);
  return figures.length || note ? section(figures.length === 1 ? "Figure" : "Figures", figures.map((one) => figure(row, one)), note) : null;
}

// What does not fit into the page is one click away.
export function figureNote(row) {
  const { has, stem } = filesOf(row);
  const left = figuresLeft(row);
  if (left === 0 || !has.includes("n")) return null;
  const what = left === undefined ? "Figures, if there are any, are" : `${counted(left, figuresOf(row).length ? "more figure" : "figure")} ${left === 1 ? "is" : "are"}`;
  const report = has.includes("h") && [" or the ", fileLink(row, `${stem}.html`, "HTML report")];
  return el("p", { class: "note" }, `${what} in the `, fileLink(row, `${stem}.ipynb`, "notebook"), report, ": this page had no room left.");
}

function pairsSection(title, group, row) {
  const present = group.filter((column) => column.value(row) !== undefined);
  if (!present.length) return null;
  const unit = (column) => (column.value(row) === null ? "" : column.unit);
  const units = present.some(unit);
  const lines = present.map((column) => el("tr", {},
    el("th", { scope: "row", title: column.name }, el("bdi", {}, column.name)),
    el("td", { class: column.isNumber ? "num" : "" }, el("bdi", {}, column.text(row))),
    units && el("td", { class: "unit" }, unit(column))));
  return section(title, el("table", { class: "pairs" }, el("tbody", {}, lines)));
}

function commandSection(title, name, row) {
  const command = commandOf(name, row);
  if (!command) return null;
  const copy = el("button", {
    type: "button",
    class: "plain",
    onclick: async (event) => {
      const button = event.currentTarget;
      try {
        await navigator.clipboard.writeText(command);
        fill(button, "Copied");
      } catch {
        getSelection().selectAllChildren(byId(name));
        fill(button, "Selected: press Ctrl+C");
      }
    },
  }, "Copy");
  return el("section", {}, el("h3", {}, `${title} `, copy), el("pre", { id: name, class: "wrap", tabindex: "0" }, command));
}

function logSection(row, details) {
  if (details.log) return section("End of the log", el("pre", { class: "log", tabindex: "0", "aria-label": "Log" }, details.log));
  return filesOf(row).has.includes("l") && section("Log", el("p", { class: "note" }, fileLink(row, "run.log", "run.log"), " is empty, or not part of this page."));
}

function outputSection(row, details) {
  if (!details.outputs) return null;
  const items = details.outputs.map(([path, size]) => el("li", {}, fileLink(row, path, path), " ",
    el("span", { class: "note" }, size === null ? "" : bytes(size))));
  const more = details.more_outputs && el("li", { class: "note" }, `and ${counted(details.more_outputs, "more file")}`);
  return section("Outputs", el("ul", { class: "outputs" }, items, more));
}

function environmentSection(row) {
  const where = about("where").value(row);
  return where ? section("Where", el("p", { class: "note" }, where)) : null;
}
