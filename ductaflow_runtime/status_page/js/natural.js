// Names in natural order: numbers by value, 0.05 before 0.3, versions such as 1.10.2 part by part; as row.py has it.

const NUMBER = /(\d+(?:\.\d+)*(?:e[-+]\d+)?)/i;
const collator = new Intl.Collator(undefined, { sensitivity: "base" });

export function partsOf(text) {
  return text.split(NUMBER).flatMap((part, place) => {
    if (place % 2 === 0) return part === "" ? [] : [part];
    const numbers = part.split(".");
    return (numbers.length > 2 ? numbers : [part]).map(Number);
  });
}

// Of what `partsOf` has made of two texts. A number comes before a letter.
export function compareParts(a, b) {
  for (let i = 0; i < Math.min(a.length, b.length); i += 1) {
    const numbers = (typeof a[i] === "number") + (typeof b[i] === "number");
    if (numbers === 1) return typeof a[i] === "number" ? -1 : 1;
    const order = numbers ? a[i] - b[i] : collator.compare(a[i], b[i]);
    if (order) return order;
  }
  return a.length - b.length;
}
