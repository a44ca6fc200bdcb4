// The states of instances and how they look, as the page's data tell them, in order of importance.

import { page } from "./page.js";
import { theme } from "./dom.js";

export const STATES = new Map(page.states.map((state) => [state.name, state]));
export const STATE_ORDER = [...STATES.keys()];
export const FIRST_FAILURE = page.states.find((state) => state.failure).name;
const PLAIN = page.states.find((state) => state.plain).name;
export const IN_PROGRESS = page.states.find((state) => !state.final).name;

const variable = (status) => `state-${STATE_ORDER.indexOf(status)}`;

// For styles, which follow the colour scheme by themselves; a canvas has to be told the colour of the moment.
export const colourStyle = (status) => `var(--${variable(status)})`;
export const colourOf = (status) => theme(variable(status));

// Of several results that are no longer up to date, however their executions ended.
export function outdatedLight() {
  const sign = light(PLAIN, true);
  sign.style.color = "var(--outdated)";
  return sign;
}

// A light differs in shape as well as in colour. That of a result that is no longer up to date is hollow.
export function light(status, hollow = false) {
  const space = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(space, "svg");
  const { shape, line } = STATES.get(status);
  svg.setAttribute("viewBox", "0 0 12 12");
  svg.setAttribute("class", `light${line ? " line" : ""}${hollow ? " hollow" : ""}`);
  svg.setAttribute("aria-hidden", "true");
  svg.style.color = colourStyle(status);
  const path = document.createElementNS(space, "path");
  path.setAttribute("d", shape);
  svg.append(path);
  return svg;
}
