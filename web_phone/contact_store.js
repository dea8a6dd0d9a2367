// The contacts of the user at management: read and changed over HTTPS, with the ticket that the home pool gives.
import { isAddress, readTarget } from "./address.js";

const MOST_CONTACTS = 500;
const LONGEST = 255;
const isText = (value) => typeof value === "string" && value.length <= LONGEST;
const texts = (value) => (Array.isArray(value) ? value.filter(isText).slice(0, 8) : []);
const ID = /^[A-Za-z0-9_][A-Za-z0-9._~@+-]{0,99}$/;

// Read one contact as management has it; null for what is none, and for one that cannot be called. *own* is the address of the user.
export function readContact(found, own) {
  const { id, name, address, numbers, groups } = found ?? {};
  if (!isText(id) || !ID.test(id) || !isText(name) || !isText(address)) return null;
  const target = isAddress(address) ? address : readTarget(texts(numbers)[0] ?? "", own);
  return target ? { id, name, address, target, numbers: texts(numbers), groups: texts(groups) } : null;
}

// What the user typed as groups: names with commas between.
export const readGroups = (typed) => [...new Set(typed.split(",").map((group) => group.trim()).filter(Boolean))].slice(0, 8);

export class ContactStore {
  // *failed* gets a sentence for the user.
  constructor(own, failed) {
    Object.assign(this, { own, failed, url: "", ticket: "", last: Promise.resolve() });
  }

  get isOpen() {
    return Boolean(this.url);
  }

  use({ contacts, ticket }) {
    this.url = contacts;
    this.ticket = ticket;
  }

  async read() {
    const answer = await this.ask("GET", "");
    if (!answer?.ok) return null;
    const found = JSON.parse(answer.text);
    const contacts = Array.isArray(found.contacts) ? found.contacts.slice(0, MOST_CONTACTS) : [];
    return contacts.map((contact) => readContact(contact, this.own)).filter(Boolean);
  }

  async write({ id, name, address, numbers, groups }) {
    const answer = await this.ask("PUT", `/${id}`, { name, address, numbers, groups });
    if (answer && !answer.ok) this.failed(`This contact was not kept. ${answer.text.slice(0, LONGEST)}`);
    return answer?.ok ?? false;
  }

  async remove(id) {
    await this.ask("DELETE", `/${id}`);
  }

  // One request after the other, so that the last change of a contact is the one that stays.
  ask(method, path, body) {
    this.last = this.last.then(() => this.send(method, path, body));
    return this.last;
  }

  async send(method, path, body) {
    const headers = { Authorization: `Bearer ${this.ticket}`, ...(body ? { "Content-Type": "application/json" } : {}) };
    const given = { method, headers, credentials: "omit", cache: "no-store", ...(body ? { body: JSON.stringify(body) } : {}) };
    try {
      const answer = await fetch(`${this.url}/list${path}`, given);
      return { ok: answer.ok, text: await answer.text() };
    } catch {
      this.failed("Your contacts cannot be reached now: changes stay in this browser alone.");
      return null;
    }
  }
}
