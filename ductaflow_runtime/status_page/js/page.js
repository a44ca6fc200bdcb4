// The data that the page carries, as JSON in script elements that never run.

export function readBlock(id) {
  return JSON.parse(document.getElementById(id).textContent);
}

export const page = { ...readBlock("page-about"), ...readBlock("page-data") };
