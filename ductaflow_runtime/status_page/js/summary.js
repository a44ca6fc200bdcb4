// The top of the page: steps with their lights, failure groups, active filters.

function countsOf(rows) {
  const counts = new Map();
  for (const row of rows) counts.set(statusOf(row), (counts.get(statusOf(row)) || 0) + 1);
  return STATUS_ORDER.filter((status) => counts.has(status)).map((status) => [status, counts.get(status)]);
}

function rowsByStep() {
  const groups = new Map(about("step").dictionary.map((step) => [step, []]));
  for (let row = 0; row < page.rows; row += 1) groups.get(stepOf(row)).push(row);
  return groups;
}

function renderSteps() {
  const groups = [...rowsByStep()];
  const cards = groups.map(([step, rows]) => stepCard(step, rows));
  if (groups.length > 1) cards.unshift(stepCard("", rowsOfAll()));
  fill(byId("steps"), cards);
}

const rowsOfAll = () => Array.from({ length: page.rows }, (_, row) => row);

function stepCard(step, rows) {
  const counts = countsOf(rows);
  const current = state.step === step;
  const title = el("button", {
    class: "step-name",
    type: "button",
    "aria-pressed": String(current),
    title: step ? `Show only ${step}` : "Show all steps",
    onclick: () => change({ step, sort: "" }, true),
  }, step || "All steps");
  const head = el("div", { class: "step-head" }, title, el("span", { class: "step-total" }, counted(rows.length, "instance")));
  const lights = counts.slice().reverse().map(([status, count]) => statusCount(step, status, count));
  const bar = el("div", { class: "proportions", "aria-hidden": "true" });
  for (const [status, count] of counts.slice().reverse()) {
    const part = el("span", { class: status });
    part.style.flexGrow = count;
    bar.append(part);
  }
  return el("div", { class: `step${current ? " current" : ""}` }, head, bar, el("div", { class: "lights" }, lights));
}

function statusCount(step, status, count) {
  const filter = `=${STATUS[status].word}`;
  const active = state.step === step && state.filters["about.status"] === filter;
  return el("button", {
    class: "status-count",
    type: "button",
    "aria-pressed": String(active),
    title: active ? "Show all again" : `Show only ${STATUS[status].many}`,
    onclick: () => {
      const filters = { ...state.filters, "about.status": filter };
      if (active) delete filters["about.status"];
      change({ step, filters, view: "table" }, true);
    },
  }, light(status), el("b", {}, grouped(String(count))), ` ${STATUS[status].many}`);
}

function failureGroups(rows) {
  const labels = about("failure");
  if (!labels) return [];
  const groups = new Map();
  for (const row of rows) {
    const label = labels.value(row);
    if (label !== undefined) groups.set(label, (groups.get(label) || 0) + 1);
  }
  return [...groups].sort((a, b) => b[1] - a[1]);
}

const FIRST_GROUPS = 4;
let allGroups = false;

function renderFailures(rows) {
  const groups = failureGroups(rows);
  const section = byId("failures");
  section.hidden = groups.length === 0;
  const total = groups.reduce((sum, [, count]) => sum + count, 0);
  const listed = allGroups ? groups : groups.slice(0, FIRST_GROUPS);
  const hidden = groups.length - listed.length;
  const more = hidden > 0 && el("button", {
    type: "button",
    class: "plain",
    onclick: () => {
      allGroups = true;
      renderFailures(rows);
    },
  }, `Show ${counted(hidden, "more group")}`);
  const items = listed.map(([label, count]) => el("li", {}, failureButton(label, count, total)));
  fill(section, el("h2", {}, light("failed"), "Failures by cause"), el("ul", {}, items), more);
}

function failureButton(label, count, total) {
  const filter = `=${label}`;
  const active = state.filters["about.failure"] === filter;
  return el("button", {
    class: "failure",
    type: "button",
    "aria-pressed": String(active),
    title: active ? "Show all again" : "Show only these instances",
    onclick: () => {
      const filters = { ...state.filters, "about.failure": filter };
      if (active) delete filters["about.failure"];
      change({ filters, view: "table" }, true);
    },
  }, el("b", {}, `${grouped(String(count))} of ${grouped(String(total))}`), el("bdi", {}, label));
}

const TITLES = {
  "about.step": "step", "about.name": "instance", "about.status": "status", "about.failure": "error",
  "about.warnings": "warnings", "about.duration_s": "duration", "about.started": "started", "about.reason": "reason",
  "about.worker": "worker",
};
const titleOf = (column) => TITLES[column.id] || column.name;

function renderChips() {
  const chips = Object.entries(state.filters).map(([id, text]) =>
    chip(`${titleOf(columnById.get(id))}: ${text.replace(/^=(?!\s*[-+.\d])/, "")}`, () => setFilter(id, "")));
  if (chips.length > 1 || (chips.length && state.search)) {
    chips.push(el("button", { type: "button", class: "plain", onclick: () => change({ filters: {}, search: "" }) }, "Clear all"));
  }
  fill(byId("chips"), chips);
}

function chip(text, remove) {
  return el("button", { type: "button", class: "chip", title: `${text} (click to remove)`, onclick: remove },
    el("bdi", {}, text), el("span", { "aria-hidden": "true" }, " ×"), el("span", { class: "label" }, " remove filter"));
}
