// How numbers, times and texts are written. Nothing here touches the page.

const THIN_SPACE = "\u2009";
const SAMPLE = 1000;

// Characters that reorder or hide text could make a name look like another one.
const DECEPTIVE =
  /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u00ad\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff\ud800-\udfff]/gu;

export function visible(text) {
  return String(text).replace(DECEPTIVE, (char) => {
    const code = char.codePointAt(0).toString(16).toUpperCase().padStart(4, "0");
    return `\u27e8U+${code}\u27e9`;
  });
}

// Years and four-digit counts stay as people write them.
export function grouped(digits) {
  const [whole, fraction] = digits.split(".");
  const size = whole.replace("-", "").length;
  const spaced = size > 4 ? whole.replace(/\B(?=(\d{3})+(?!\d))/g, THIN_SPACE) : whole;
  return (fraction === undefined ? spaced : `${spaced}.${fraction}`).replace("-", "\u2212");
}

function decimalsOf(value) {
  const [mantissa, exponent] = String(value).split("e");
  const places = (mantissa.split(".")[1] || "").length;
  return Math.max(0, places - Number(exponent || 0));
}

// One format for a whole column, so that its decimal points line up.
export function numberFormat(values) {
  const finite = values.filter((value) => Number.isFinite(value));
  let largest = 0;
  let smallest = Infinity;
  for (const value of finite) {
    const size = Math.abs(value);
    if (size > largest) largest = size;
    if (size > 0 && size < smallest) smallest = size;
  }
  if (largest === 0) return () => "0";
  const sample = finite.filter((_, i) => i % Math.ceil(finite.length / SAMPLE) === 0);
  const places = sample.reduce((most, value) => Math.max(most, decimalsOf(value)), 0);
  const tiny = places > 0 && (largest < 1e-3 || smallest < largest * 1e-5);
  if (largest >= 1e15 || tiny) return exponential(sample);
  const whole = Math.max(1, Math.floor(Math.log10(largest)) + 1);
  const decimals = Math.min(places, Math.max(0, 6 - whole), largest < 0.1 ? 6 : 4);
  return (value) => grouped(value.toFixed(decimals));
}

// As people write it, beside others that are too large or too small for that.
const isPlain = (size) => size === 0 || (size >= 1e-4 && size < 1e15);

function plainNumber(value, kept) {
  if (value === 0) return "0";
  const decimals = Math.max(0, kept - Math.floor(Math.log10(Math.abs(value))));
  return grouped(String(Number(value.toFixed(Math.min(decimals, 20)))));
}

function exponential(sample) {
  const digits = sample.map((value) => (value.toExponential().split("e")[0].split(".")[1] || "").length);
  const kept = Math.min(3, digits.reduce((most, count) => Math.max(most, count), 0));
  return (value) => (isPlain(Math.abs(value)) ? plainNumber(value, kept) : value.toExponential(kept).replace("e+", "e").replace(/-/g, "\u2212"));
}

const UNITS = {
  s: "s", sec: "s", seconds: "s", ms: "ms", minutes: "min", h: "h", hours: "h", km: "km", kmh: "km/h",
  kg: "kg", mb: "MB", gb: "GB", pct: "%", percent: "%", eur: "EUR", usd: "USD", kwh: "kWh", mwh: "MWh",
  veh_min: "veh min", veh_h: "veh h", veh_km: "veh km",
};
const TIME_WORDS = /time|duration|delay|wait|travel|elapsed|headway/;

// `_min` says minutes in `travel_time_min` and minimum in `speed_min`.
export function unitOf(name) {
  const parts = name.toLowerCase().split(/[._]/);
  const last = parts[parts.length - 1];
  const pair = parts.slice(-2).join("_");
  if (parts.length > 2 && UNITS[pair]) return UNITS[pair];
  if (parts.length < 2) return "";
  if (last === "min") return TIME_WORDS.test(name.toLowerCase()) ? "min" : "";
  return UNITS[last] || "";
}

export function duration(seconds) {
  if (seconds < 1) return `${Number(seconds.toPrecision(2))} s`;
  if (seconds < 59.95) return `${seconds.toFixed(1)} s`;
  const total = Math.round(seconds);
  const two = (n) => String(n).padStart(2, "0");
  if (total < 3600) return `${Math.floor(total / 60)} min ${two(total % 60)} s`;
  const minutes = Math.round(total / 60);
  if (minutes < 1440) return `${Math.floor(minutes / 60)} h ${two(minutes % 60)} min`;
  const hours = Math.round(minutes / 60);
  return `${Math.floor(hours / 24)} d ${two(hours % 24)} h`;
}

// For the ticks of an axis that reaches to `last` seconds, which names the unit.
export function clock(seconds, last) {
  if (last < 60) return String(Number(seconds.toPrecision(6)));
  const two = (n) => String(n).padStart(2, "0");
  const total = Math.round(seconds);
  const rest = `${two(Math.floor(total / 60) % 60)}:${two(total % 60)}`;
  return last < 3600 ? rest.replace(/^0/, "") : `${Math.floor(total / 3600)}:${rest}`;
}

export function localTime(milliseconds) {
  const at = new Date(milliseconds);
  const two = (n) => String(n).padStart(2, "0");
  const day = `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
  return `${day} ${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
}

export function bytes(size) {
  if (size < 1000) return `${size} B`;
  const units = ["KB", "MB", "GB", "TB"];
  let value = size / 1000;
  let at = 0;
  while (value >= 999.5 && at < units.length - 1) {
    value /= 1000;
    at += 1;
  }
  return `${value < 10 ? value.toFixed(1) : Math.round(value)} ${units[at]}`;
}

// A text that reads like another type is quoted, for "5" and 5 are different configs.
export function scalar(value) {
  if (value === null) return "null";
  if (typeof value === "object") return value.j;
  if (typeof value !== "string") return String(value);
  return value === "" || /^(true|false|null|-?\d+(\.\d*)?([eE][-+]?\d+)?)$/.test(value) ? JSON.stringify(value) : value;
}

export function counted(count, one, many = `${one}s`) {
  return `${grouped(String(count))} ${count === 1 ? one : many}`;
}
