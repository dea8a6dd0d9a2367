// The calls of the user who has logged in: kept in this browser, the last one first.
import { clock } from "./call.js";
import { confirmed } from "./confirmation.js";
import { by, element, isolated, whenOf } from "./text.js";

const MOST_CALLS = 200;
const LONGEST = 300; // characters of a stored text
const WORDS = { in: "Incoming", out: "Outgoing", missed: "Missed" };
const LAST_DATE = 8.64e15; // of JavaScript, in milliseconds
const CLEARED = "Missed calls are in it, too. The list cannot be brought back.";
const isText = (value) => typeof value === "string" && value.length <= LONGEST;

// Read one stored call; null if it is none. Another page of this origin may have written it.
export function readEntry(found) {
  const { address, kind, began, seconds, text, isNew = false } = found ?? {};
  if (!isText(address) || !isText(text) || !Object.hasOwn(WORDS, kind)) return null;
  if (!Number.isFinite(began) || !Number.isFinite(seconds) || began > LAST_DATE) return null;
  return { address, kind, began, seconds, text, isNew: isNew === true && kind === "missed" };
}

export class History {
  // *chosen* gets the address of a call that the user chooses, *counted* how many missed calls the user has not seen yet.
  constructor(own, chosen, counted) {
    Object.assign(this, { own, chosen, counted });
    this.entries = this.stored();
    by("clear-calls").onclick = async () => (await confirmed("Clear the list of calls?", CLEARED, "Clear")) && this.clear();
    this.show();
  }

  get key() {
    return `sipmesh-calls ${this.own}`;
  }

  stored() {
    try {
      const found = JSON.parse(localStorage.getItem(this.key) ?? "[]");
      return Array.isArray(found) ? found.slice(0, MOST_CALLS).map(readEntry).filter(Boolean) : [];
    } catch {
      return [];
    }
  }

  // Keep a *call* that is over, and the sentence that says why; *isMissed*: nobody has answered it here or elsewhere.
  add(call, text, isMissed) {
    const kind = call.isOurs ? "out" : isMissed ? "missed" : "in";
    this.entries.unshift({ address: call.address, kind, began: call.began, seconds: call.seconds, text, isNew: isMissed });
    this.entries.length = Math.min(this.entries.length, MOST_CALLS);
    this.store();
    this.show();
  }

  store() {
    localStorage.setItem(this.key, JSON.stringify(this.entries));
  }

  get missed() {
    return this.entries.filter((entry) => entry.isNew).length;
  }

  seen() {
    if (!this.missed) return;
    for (const entry of this.entries) entry.isNew = false;
    this.store();
    this.show();
  }

  clear() {
    this.entries = [];
    localStorage.removeItem(this.key);
    this.show();
  }

  show() {
    by("calls").replaceChildren(...this.entries.map((entry) => this.row(entry)));
    by("no-calls").hidden = this.entries.length > 0;
    by("clear-calls").hidden = this.entries.length === 0;
    const { missed } = this;
    by("missed").textContent = missed ? String(missed) : "";
    by("missed-words").textContent = missed ? " missed calls" : "";
    this.counted(missed);
  }

  row({ address, kind, began, seconds, text }) {
    const when = element("time", { datetime: new Date(began).toISOString() }, whenOf(began));
    const how = element("span", { class: "state" }, `${WORDS[kind]}, `, when, seconds ? `, ${clock(seconds)}` : text ? `. ${text}` : "");
    const button = element("button", { type: "button", class: kind }, address ? isolated(address) : "Hidden caller", how);
    button.disabled = !address;
    button.addEventListener("click", () => this.chosen(address));
    return element("li", {}, button);
  }
}
