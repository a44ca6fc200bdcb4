// While a sweep runs the page reloads itself; the fragment keeps the view, the session keeps the scroll positions.

import { byId, el, fill } from "./dom.js";
import { focusAgain, focusPlace } from "./focus.js";
import { duration, localTime } from "./format.js";
import { page } from "./page.js";
import { isPrinting } from "./printing.js";
import { activeRow, resumeAt } from "./rows.js";
import { IN_PROGRESS, light } from "./states.js";

const FIRST_RELOAD_S = 3;
const SLOWEST_RELOAD_S = 60;
const GIVE_UP_S = 15 * 60;
const QUIET_MS = 2500;
const MEMORY = `ductaflow ${location.pathname}`;
let touched = 0;
let paused = false;

function remembered() {
  try {
    return JSON.parse(sessionStorage.getItem(MEMORY)) || {};
  } catch {
    return {};
  }
}

function remember(facts) {
  try {
    sessionStorage.setItem(MEMORY, JSON.stringify({ ...remembered(), ...facts }));
  } catch {
    // A browser that refuses storage still reloads; it only loses the scroll position.
  }
}

// Measured with this browser's clock alone: the page may lie on a share, written by a machine with another one.
function secondsUnchanged() {
  const memory = remembered();
  if (memory.written === page.written) return (Date.now() - memory.since) / 1000;
  remember({ written: page.written, since: Date.now() });
  return 0;
}

export function startLive() {
  renderLive("");
  restorePlaces();
  if (!page.running) return;
  const unchanged = secondsUnchanged();
  if (unchanged > GIVE_UP_S) {
    renderLive(`No news for ${duration(unchanged)}: the sweep has probably ended without saying so.`);
    return;
  }
  const cost = performance.now() / 1000;
  const wait = Math.min(SLOWEST_RELOAD_S, Math.max(FIRST_RELOAD_S, cost * 8, unchanged / 4));
  for (const event of ["keydown", "pointerdown", "wheel", "input"]) addEventListener(event, () => (touched = Date.now()), { passive: true });
  setTimeout(reloadWhenQuiet, wait * 1000);
}

// A reload under someone's hands would take away what they are typing, selecting or dragging.
function reloadWhenQuiet() {
  const busy = paused || Date.now() - touched < QUIET_MS || String(getSelection()).length > 0 || document.hidden || isPrinting();
  if (busy) {
    setTimeout(reloadWhenQuiet, 500);
    return;
  }
  rememberPlaces();
  location.reload();
}

function rememberPlaces() {
  remember({
    again: {
      page: [scrollX, scrollY],
      table: [byId("scroller").scrollLeft, byId("scroller").scrollTop],
      detail: byId("detail").scrollTop,
      active: activeRow(),
      focus: focusPlace(),
    },
  });
}

function restorePlaces() {
  const { again } = remembered();
  if (!again) return;
  remember({ again: null });
  resumeAt(again.active);
  scrollTo(...again.page);
  byId("scroller").scrollTo(...again.table);
  byId("detail").scrollTop = again.detail;
  focusAgain(again.focus);
}

// The lights tell how an execution ended. Whether its result still holds is another question, which somebody has to ask.
function examined() {
  if (!page.examined) return "Not compared with the present code and data: ductaflow status does that.";
  return ["Compared with code and data as of ", el("time", { datetime: page.examined }, localTime(Date.parse(page.examined)).slice(11)), "."];
}

export function renderLive(news) {
  const written = Date.parse(page.written);
  const when = el("time", { datetime: page.written, title: page.written }, localTime(written));
  if (!page.running) {
    fill(byId("live"), "Written ", when, ". ", examined());
    return;
  }
  const button = el("button", {
    type: "button",
    class: "plain",
    "aria-pressed": String(paused),
    onclick: () => {
      paused = !paused;
      renderLive(news);
    },
  }, paused ? "Resume updates" : "Pause updates");
  fill(byId("live"), light(IN_PROGRESS), el("b", {}, news ? " A sweep was running" : " A sweep is running"), ", as of ", when, ". ", news || button, page.examined ? [" ", examined()] : "");
}
