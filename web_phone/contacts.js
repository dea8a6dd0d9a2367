// The contacts of the user who has logged in, shown with their presence: kept at management if it keeps contacts, and in this browser.
import { readGroups } from "./contact_store.js";
import { by, element, isolated, whenOf } from "./text.js";
import { Watch } from "./presence.js";

const MOST_CONTACTS = 500;
const MOST_WATCHED = 100;
const WORDS = { open: "available", closed: "not available", unknown: "presence not known", refused: "presence is not shown to you" };

export class Contacts {
  // *chosen* gets the address of a contact that the user chooses; *changed* is called when other contacts are kept than before.
  // *place* is the `ContactStore` of the user.
  constructor(own, chosen, changed, place) {
    Object.assign(this, { own, chosen, changed, place, agent: null, current: "", isRead: false });
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

  get moved() {
    return `sipmesh-contacts-moved ${this.own}`;
  }

  // Read the contacts that management keeps. Those of this browser go there once: later, one that is missing there was removed.
  async useStore(given) {
    this.place.use(given);
    if (this.isRead) return;
    this.isRead = true;
    const found = await this.place.read();
    this.isRead = found !== null;
    if (found === null) return;
    const targets = new Set(found.map((contact) => contact.target));
    const own = [...this.people.values()].filter((person) => person.kept && !targets.has(person.address));
    const isFirst = localStorage.getItem(this.moved) === null;
    for (const person of own) if (isFirst) await this.write(person);
      else this.drop(person.address);
    for (const { target, ...about } of found) Object.assign(this.add(target), { about });
    localStorage.setItem(this.moved, "1");
    this.store();
    this.show();
  }

  // Keep a contact at management, with what is known of it.
  async write(person, { name = person.about?.name ?? "", groups = person.about?.groups ?? [] } = {}) {
    const known = person.about ?? { id: crypto.randomUUID(), address: person.address, numbers: [] };
    if (!this.place.isOpen) return;
    person.about = { ...known, name, groups };
    await this.place.write(person.about);
    this.show();
  }

  // The name and the groups that the user has typed for the contact whose conversation is open.
  async describe(name, groups) {
    const person = this.people.get(this.current);
    if (person?.kept) await this.write(person, { name: name.trim(), groups: readGroups(groups) });
  }

  // Add a contact; one who is not *kept* has written or called, and is forgotten with the page. One who is *past* was found in the
  // message history, and is not watched until the next message or call.
  add(address, { kept = true, past = false } = {}) {
    const known = this.people.get(address);
    if (known) {
      known.kept ||= kept;
      if (known.past && !past) {
        known.past = false;
        this.watch(known);
      }
      return known;
    }
    this.makeRoom();
    const person = { address, kept, past, state: "unknown", note: "", unread: 0, messages: [] };
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
    if (oldest) this.drop(oldest.address);
  }

  // What the user is told before a contact is removed.
  get removal() {
    return this.place.isOpen ? "Your organisation keeps your contacts: it is removed on your other devices, too." : "Messages that only this page has are removed, too.";
  }

  remove(address) {
    const about = this.people.get(address)?.about;
    if (about && this.place.isOpen) this.place.remove(about.id);
    this.drop(address);
    this.store();
    this.show();
  }

  drop(address) {
    this.people.get(address)?.watch?.end();
    this.people.delete(address);
  }

  // Forget all contacts in this browser; those at management stay.
  clear() {
    for (const address of [...this.people.keys()]) this.drop(address);
    localStorage.removeItem(this.key);
    localStorage.removeItem(this.moved);
    this.changed();
    this.show();
  }

  // Watch all with *agent*, from each login on.
  follow(agent) {
    this.agent = agent;
    for (const person of this.people.values()) this.watch(person);
  }

  watch(person) {
    person.watch?.end();
    if (person.past || !this.agent?.isRegistered() || this.watched(person) >= MOST_WATCHED) return;
    person.watch = new Watch(this.agent, person.address, (seen) => {
      Object.assign(person, seen);
      this.show();
    });
  }

  // How many others are watched: a server has subscriptions for some hundred contacts.
  watched(person) {
    return [...this.people.values()].filter((other) => other !== person && other.watch).length;
  }

  unknown() {
    for (const person of this.people.values()) person.state = "unknown";
    this.show();
  }

  stateOf(person) {
    if (person.past) return `last message: ${whenOf(person.messages.at(-1)?.at)}`;
    return person.note ? `${WORDS[person.state]}: ${person.note}` : WORDS[person.state];
  }

  show() {
    const list = by("contacts");
    const focused = document.activeElement?.dataset?.address;
    list.replaceChildren(...this.rows());
    if (focused) [...list.querySelectorAll("button")].find((button) => button.dataset.address === focused)?.focus();
    by("no-contacts").hidden = this.people.size > 0;
    const person = this.people.get(this.current);
    if (person) by("with-state").textContent = this.stateOf(person);
    by("about").hidden = !person?.kept || !this.place.isOpen;
  }

  // Those without a group first, then each group under its name.
  rows() {
    const people = [...this.people.values()];
    const groups = [...new Set(people.flatMap((person) => person.about?.groups ?? []))].sort((a, b) => a.localeCompare(b));
    const rows = people.filter((person) => !person.about?.groups.length).map((person) => this.row(person));
    for (const group of groups) {
      rows.push(element("li", { class: "group" }, isolated(group)));
      rows.push(...people.filter((person) => person.about?.groups.includes(group)).map((person) => this.row(person)));
    }
    return rows;
  }

  // Show what the user has written down about the contact whose conversation is opened.
  showAbout(person) {
    by("about-name").value = person.about?.name ?? "";
    by("about-groups").value = (person.about?.groups ?? []).join(", ");
  }

  row(person) {
    const unread = element("span", { class: "count" }, person.unread ? String(person.unread) : "");
    if (person.unread) unread.append(element("span", { class: "unseen" }, " new messages"));
    const dot = element("span", { class: `dot ${person.state}`, "aria-hidden": "true" });
    const state = element("span", { class: "state" }, isolated(this.stateOf(person)));
    const name = person.about?.name;
    if (name) state.prepend(isolated(person.address), ", ");
    const button = element("button", { type: "button", "data-state": person.state }, dot, isolated(name || person.address), unread, state);
    button.dataset.address = person.address;
    if (person.address === this.current) button.setAttribute("aria-current", "true");
    button.addEventListener("click", () => this.chosen(person.address));
    return element("li", {}, button);
  }
}
