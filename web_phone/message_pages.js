// Pages of the message history: read, and put together with what this page has seen itself.
import { domainOf, isAddress } from "./address.js";
import { FILE_XML, readFile } from "./file_store.js";
import { legible, unshown } from "./text.js";

const WITHHELD = "anonymous@anonymous.invalid";
const MOST_OF_PAGE = 50;
const UNPROVED = "Your server has not proved who has written this.";
const LEFT = { encrypted: "(an encrypted message, which other devices cannot read)", "too large": "(a message that is too large for the history)" };
const isText = (value) => typeof value === "string";

// Read an answer of the home pool to *own*: rows, and the instant to ask with for older ones; null if there is none now.
export function readPage(body, own) {
  let found = null;
  try {
    found = JSON.parse(body);
  } catch {}
  const list = found?.messages ?? found?.conversations;
  if (!Array.isArray(list)) return null;
  const rows = list.slice(0, MOST_OF_PAGE).map((row) => readRow(row, own)).filter(Boolean);
  return { rows: rows.sort((one, other) => one.at - other.at), before: Number.isSafeInteger(found.before) ? found.before : 0 };
}

function readRow(found, own) {
  const { at, with: who, from, mine, proved, id, type, text, left, subject } = found ?? {};
  if (!Number.isSafeInteger(at) || at <= 0 || ![who, from, type].every(isText) || !isAddress(who) || who === WITHHELD) return null;
  const says = LEFT[left] ?? (isText(text) ? legible(type, text) : unshown(type));
  const wrong = !mine && proved !== true && domainOf(from) === domainOf(own) ? UNPROVED : "";
  return { id: isText(id) ? id : "", at: at / 1000, who, from, mine: mine === true, text: says, file: type === FILE_XML && isText(text) ? readFile(text) : null, subject: isText(subject) && subject ? `Subject: ${subject}` : "", wrong, isPast: true };
}

// Put the *rows* of a page into what is known of a conversation. The same message, by its id and sender, is there once.
export function merged(messages, rows) {
  const keyOf = ({ mine, from, id }) => (id ? JSON.stringify([Boolean(mine), mine ? "" : from, id]) : "");
  const known = new Map(messages.filter(keyOf).map((message) => [keyOf(message), message]));
  for (const row of rows) row.later = known.get(keyOf(row))?.later;
  const keys = new Set(rows.map(keyOf).filter(Boolean));
  const instants = new Set(rows.map((row) => row.at));
  const others = messages.filter((message) => (message.isPast ? !instants.has(message.at) : !keys.has(keyOf(message))));
  return [...others, ...rows].sort((one, other) => one.at - other.at);
}
