// Whether the page is being printed: then all rows are drawn, and in the colours of paper.

const listeners = [];
let printing = false;

export const isPrinting = () => printing;

export function onPrinting(listener) {
  listeners.push(listener);
}

function setPrinting(on) {
  printing = on;
  if (on) document.documentElement.dataset.print = "";
  else delete document.documentElement.dataset.print;
  for (const listener of listeners) listener();
}

addEventListener("beforeprint", () => setPrinting(true));
addEventListener("afterprint", () => setPrinting(false));
