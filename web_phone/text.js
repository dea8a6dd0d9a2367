// Text from others, as text: nothing here makes HTML.

export const MOST = 200; // characters of a name, a subject or a note

// Control characters and those that change the direction of writing could make one address look like another.
const MISLEADING = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u202a-\u202e\u2028\u2029\u2066-\u2069\ufeff]/gu;

export function printable(text, most = MOST) {
  const clean = String(text ?? "").replace(MISLEADING, "\u00b7");
  return clean.length > most ? `${clean.slice(0, most)}\u2026` : clean;
}

// Make an element; its children are elements, or text that stays text.
export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

export const by = (id) => document.getElementById(id);

export const isolated = (text, most) => element("bdi", {}, printable(text, most));

// An address that goes into the next line behind its @, where there is no room for it in one.
export const breakable = (address) => element("bdi", {}, ...printable(address).split(/(?<=@)/).flatMap((part) => [part, element("wbr")]));

// An instant in milliseconds as people write it: the time of today, else with its date; empty for none.
export function whenOf(instant) {
  if (!instant) return "";
  const date = new Date(instant);
  const isToday = date.toDateString() === new Date().toDateString();
  return date.toLocaleString([], isToday ? { timeStyle: "short" } : { dateStyle: "medium", timeStyle: "short" });
}

export const unshown = (type) => `(a message of the type ${printable(type)}, which this phone does not show)`;

// What is shown of a body of this media type.
export const legible = (type, text) => (type === "text/plain" ? text : unshown(type));
