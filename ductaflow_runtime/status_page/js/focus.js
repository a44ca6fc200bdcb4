// Where the keyboard is, told so that the place can be found again when it was drawn anew.

// Counts change while a sweep runs; what is counted does not.
const labelOf = (node) => node.dataset.id || node.getAttribute("aria-label") || node.textContent.replace(/[\d\s]+/g, " ").trim();

const alike = (home, tag, label) => [...home.querySelectorAll(tag)].filter((node) => labelOf(node) === label);

// Plain JSON, or null when nothing has the focus.
export function focusPlace() {
  const node = document.activeElement;
  if (!node || node === document.body) return null;
  if (node.id) return { id: node.id };
  const home = node.parentElement.closest("[id]");
  return home && { home: home.id, tag: node.tagName, label: labelOf(node), at: alike(home, node.tagName, labelOf(node)).indexOf(node) };
}

export function focusAgain(place) {
  if (!place) return;
  const node = place.id ? document.getElementById(place.id) : sameThere(place);
  if (!node || node === document.activeElement) return;
  node.focus({ preventScroll: true });
  if (node.setSelectionRange && node.value) node.setSelectionRange(node.value.length, node.value.length);
}

function sameThere({ home, tag, label, at }) {
  const inside = document.getElementById(home);
  return inside && alike(inside, tag, label)[at];
}

export function keepingFocus(draw) {
  const place = focusPlace();
  draw();
  if (document.activeElement === document.body) focusAgain(place);
}
