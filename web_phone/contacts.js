// The contacts of the user who has logged in: kept in this browser, shown with their presence.
import { by, element, isolated } from "./text.js";
import { Watch } from "./presence.js";

const MOST_CONTACTS = 100;
const WORDS = { open: "available", closed: "not available", unknown: "not known", refused: "presence is not shown to you" };

export class Contacts {
  // *chosen* gets the address of a contact that the user chooses; *changed* is called when other contacts are kept than before.
  constructor(own, chosen, changed) {
    Object.assign(this, { own, chosen, changed, agent: null, current: "" });
    this.people = new Map();
    for (const address of this.stored()) this.add(address);
  }

  get key() {
    return `sipmesh-contacts ${this.own}`;
  }

  stored() {
    try {
      const found = JSON.parse(localStorage.getItem(this.key) ?? "[]");
      return Array.isArray(found) ? found.filter((entry) => typeof entry === "string").slice(0, MOST_CONTACTS) : [];
    } catch {
      return [];
    }
  }

  store() {
    const kept = [...this.people.values()].filter((person) => person.kept).map((person) => person.address);
    localStorage.setItem(this.key, JSON.stringify(kept));
    this.changed();
  }

  // Add a contact; one who is not *kept* has written or called, and is forgotten with the page.
  add(address, { kept = true } = {}) {
    const known = this.people.get(address);
    if (known) {
      known.kept ||= kept;
      return known;
    }
    this.makeRoom();
    const person = { address, kept, state: "unknown", note: "", unread: 0, messages: [] };
    this.people.set(address, person);
    this.watch(person);
    this.show();
    return person;
  }

  keeps(address) {
    return Boolean(this.people.get(address)?.kept);
  }

  // Whether *address* is kept, or can be.
  canKeep(address) {
    const kept = [...this.people.values()].filter((person) => person.kept);
    return kept.length < MOST_CONTACTS || kept.some((person) => person.address === address);
  }

  // The oldest contact who is not kept makes room. A kept contact never does: one stranger is then shown beyond the limit.
  makeRoom() {
    if (this.people.size < MOST_CONTACTS) return;
    const oldest = [...this.people.values()].find((person) => !person.kept);
    if (oldest) this.remove(oldest.address);
  }

  remove(address) {
    const person = this.people.get(address);
    person?.watch?.end();
    this.people.delete(address);
    this.store();
    this.show();
  }

  clear() {
    for (const address of [...this.people.keys()]) this.remove(address);
    localStorage.removeItem(this.key);
  }

  // Watch all with *agent*, from each login on.
  follow(agent) {
    this.agent = agent;
    for (const person of this.people.values()) this.watch(person);
  }

  watch(person) {
    person.watch?.end();
    if (!this.agent?.isRegistered()) return;
    person.watch = new Watch(this.agent, person.address, (seen) => {
      Object.assign(person, seen);
      this.show();
    });
  }

  unknown() {
    for (const person of this.people.values()) person.state = "unknown";
    this.show();
  }

  stateOf(person) {
    return person.note ? `${WORDS[person.state]}: ${person.note}` : WORDS[person.state];
  }

  show() {
    const list = by("contacts");
    const focused = document.activeElement?.dataset?.address;
    list.replaceChildren(...[...this.people.values()].map((person) => this.row(person)));
    if (focused) [...list.querySelectorAll("button")].find((button) => button.dataset.address === focused)?.focus();
    by("no-contacts").hidden = this.people.size > 0;
    const person = this.people.get(this.current);
    if (person) by("with-state").textContent = this.stateOf(person);
  }

  row(person) {
    const unread = element("span", { class: "count" }, person.unread ? String(person.unread) : "");
    if (person.unread) unread.append(element("span", { class: "unseen" }, " new messages"));
    const dot = element("span", { class: `dot ${person.state}`, "aria-hidden": "true" });
    const state = element("span", { class: "state" }, isolated(this.stateOf(person)));
    const button = element("button", { type: "button", "data-state": person.state }, dot, isolated(person.address), unread, state);
    button.dataset.address = person.address;
    if (person.address === this.current) button.setAttribute("aria-current", "true");
    button.addEventListener("click", () => this.chosen(person.address));
    return element("li", {}, button);
  }
}
