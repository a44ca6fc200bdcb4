// Two instances' figures in one place: a slider uncovers one over the other, or they take turns.

import { figuresOf, idOf, nameOf, stepOf } from "./data.js";
import { byId, el, fill } from "./dom.js";

const BLINK_MS = 700;
const MODES = { slider: "Slider", blink: "Blink" };
let mode = "slider";
let share = 50;
let other = null;
let timer = 0;

// The step too where two of them meet.
const titleOf = (row, base) => (stepOf(other) === stepOf(base) ? nameOf(row) : idOf(row));

const source = ([media, data]) => `data:${media};base64,${data}`;

export function pairSection(rows) {
  clearInterval(timer);
  const [base, ...rest] = rows;
  const candidates = rest.filter((row) => figuresOf(row).length && figuresOf(base).length);
  if (!candidates.length) return null;
  if (!candidates.includes(other)) [other] = candidates;
  const redraw = () => fill(byId("pair"), pairContent(base, candidates, redraw));
  const box = el("section", { id: "pair", class: "pair-box", "aria-label": "Two figures in one place" });
  return fill(box, pairContent(base, candidates, redraw));
}

function pairContent(base, candidates, redraw) {
  clearInterval(timer);
  const count = Math.min(figuresOf(base).length, figuresOf(other).length);
  const panes = Array.from({ length: count }, (_, i) => pane(base, i));
  const swap = () => panes.forEach(swapper(base));
  if (mode === "blink" && !matchMedia("(prefers-reduced-motion: reduce)").matches) timer = setInterval(swap, BLINK_MS);
  return [pairControls(candidates, panes, swap, redraw), el("div", { class: "pair-panes" }, panes)];
}

function pairControls(candidates, panes, swap, redraw) {
  const buttons = Object.entries(MODES).map(([name, label]) => el("button", {
    type: "button",
    "aria-pressed": String(mode === name),
    onclick: () => {
      mode = name;
      redraw();
    },
  }, label));
  const slider = mode === "slider" && el("input", {
    type: "range",
    id: "pair-share",
    min: "0",
    max: "100",
    value: String(share),
    "aria-label": `Share of ${nameOf(other)}`,
    oninput: (event) => {
      share = Number(event.target.value);
      for (const one of panes) uncover(one);
    },
  });
  const still = mode === "blink" && el("button", {
    type: "button",
    onclick: () => {
      clearInterval(timer);
      swap();
    },
  }, "Swap by hand");
  return el("div", { class: "controls" }, el("span", {}, "Baseline against "), chooser(candidates, redraw), buttons, slider, still);
}

function chooser(candidates, redraw) {
  const node = el("select", {
    id: "pair-other",
    "aria-label": "Instance to lay over the baseline",
    onchange: (event) => {
      other = Number(event.target.value);
      redraw();
    },
  }, candidates.map((row) => el("option", { value: String(row) }, idOf(row))));
  node.value = String(other);
  return node;
}

function pane(base, i) {
  const below = el("img", { class: "pair-below", src: source(figuresOf(base)[i]), alt: `Figure ${i + 1} of ${nameOf(base)}` });
  const above = el("img", { class: "pair-above", src: source(figuresOf(other)[i]), alt: `Figure ${i + 1} of ${nameOf(other)}` });
  const box = el("figure", { class: "pair-pane", }, el("div", { class: "pair-stack" }, below, above), el("figcaption", {}, captionOf(base)));
  uncover(box);
  if (mode === "blink") above.hidden = true;
  return box;
}

const named = (row, base) => el("bdi", {}, titleOf(row, base));
const captionOf = (base) => (mode === "slider" ? [named(other, base), " to the left of the line, ", named(base, base), " to the right"] : named(base, base));

function uncover(box) {
  const above = box.querySelector(".pair-above");
  above.style.clipPath = mode === "slider" ? `inset(0 ${100 - share}% 0 0)` : "";
  box.querySelector(".pair-stack").style.setProperty("--line-at", mode === "slider" ? `${share}%` : "-1%");
}

function swapper(base) {
  return (box) => {
    const above = box.querySelector(".pair-above");
    above.hidden = !above.hidden;
    fill(box.querySelector("figcaption"), named(above.hidden ? base : other, base));
  };
}
