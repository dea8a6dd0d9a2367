// The message history, which the home pool keeps for all devices of the user: read in pages, and erased. What is read and what this
// page has seen itself are shown as one.
import { merged, readPage } from "./message_pages.js";
import { publish } from "./publication.js";
import { askOnce, parameterOf } from "./subscription.js";
import { by } from "./text.js";

const EVENT = "message-history";
const NEAR = 40; // pixels from the end of the log
const BUSY = "Older messages cannot be read now. Try again in a minute.";
const ERASED = "They are erased for all your devices, and cannot be brought back. The other side keeps its own.";

export class MessageHistory {
  // *confirm* asks the user a question, and resolves with whether it agrees.
  constructor(own, contacts, conversation, confirm, say) {
    Object.assign(this, { own, contacts, conversation, confirm, say, agent: null, days: 0, before: 0 });
    conversation.opened = (person) => this.open(person);
    by("older").onclick = () => this.older(contacts.people.get(contacts.current));
    by("older-people").onclick = () => this.ask("", this.before, (page) => this.list(page));
    by("erase").onclick = () => this.erase(contacts.current);
    by("erase-all").onclick = () => this.erase("");
    document.onvisibilitychange = () => !document.hidden && this.refresh();
    this.show();
  }

  // The home pool keeps messages for so many *days*; 0: it keeps none.
  use(agent, days) {
    Object.assign(this, { agent, days });
    this.show();
    this.refresh();
  }

  end() {
    this.days = 0;
    document.onvisibilitychange = null;
    this.show();
  }

  refresh() {
    if (!this.days || !this.agent.isRegistered()) return;
    this.ask("", 0, (page) => this.list(page, true));
    const person = this.contacts.people.get(this.contacts.current);
    if (person) this.open(person);
  }

  // *failed* gets a sentence for the user if there is no page.
  ask(who, before, taken, failed = this.say) {
    const parameters = (who ? `;with=${parameterOf(who)}` : "") + (before ? `;before=${before}` : "");
    const heard = (body) => {
      const page = readPage(body, this.own);
      if (page) taken(page);
      else failed(BUSY);
    };
    askOnce(this.agent, this.own, EVENT + parameters, heard, () => failed(BUSY));
  }

  // The last message of each conversation. Those that are missing in the *whole* list were erased by another device.
  list({ rows, before }, isNewest = false) {
    if (isNewest && !before) for (const person of this.contacts.people.values()) if (!rows.some((row) => row.who === person.address)) person.messages = person.messages.filter((message) => !message.isPast);
    for (const row of rows.reverse()) this.put(this.contacts.add(row.who, { kept: false, past: true }), [row]);
    this.before = before;
    this.contacts.show();
    this.show();
  }

  put(person, rows) {
    for (const other of this.contacts.people.values()) if (other !== person) other.messages = other.messages.filter((message) => message.isPast || !rows.some((row) => row.id && row.id === message.id && row.from === message.from));
    person.messages = merged(person.messages, rows);
  }

  open(person) {
    if (!this.days || !this.agent.isRegistered()) return;
    this.ask(person.address, 0, (page) => this.newest(person, page), (text) => this.note(person, text));
  }

  // What another device has erased meanwhile goes. Older pages stay if there is no gap before them.
  newest(person, { rows, before }) {
    const oldest = before ? (rows[0]?.at ?? 0) : 0;
    const isWhole = before && person.newest >= oldest;
    person.messages = person.messages.filter((message) => !message.isPast || (isWhole && message.at < oldest));
    if (!isWhole) person.before = before;
    person.newest = rows.at(-1)?.at ?? 0;
    this.put(person, rows);
    this.note(person, "");
  }

  older(person) {
    if (!person?.before) return;
    by("older").disabled = true;
    const taken = ({ rows, before }) => {
      person.before = before;
      this.put(person, rows);
      this.note(person, "");
    };
    this.ask(person.address, person.before, taken, (text) => this.note(person, text));
  }

  // Show what has changed, with what could not be read. Who reads older messages stays there.
  note(person, text) {
    if (this.contacts.current !== person.address) return;
    const log = by("log");
    const below = log.scrollHeight - log.scrollTop;
    const isAtEnd = below <= log.clientHeight + NEAR;
    this.conversation.show(person);
    if (!isAtEnd) log.scrollTop = log.scrollHeight - below;
    by("past-state").textContent = text;
    by("older").disabled = false;
    this.show();
  }

  async erase(address) {
    const title = address ? `Erase all messages with ${address}?` : "Erase all your messages?";
    if (!(await this.confirm(title, ERASED, "Erase"))) return;
    const body = JSON.stringify({ erase: address || "*" });
    publish(this.agent, this.own, [`Event: ${EVENT}`], "application/json", body, (response) => this.erased(address, response));
  }

  erased(address, response) {
    if (response?.status_code !== 200) {
      this.say("Nothing was erased: the server cannot do that now. Try again in a minute.");
      return;
    }
    for (const person of this.contacts.people.values()) if (!address || person.address === address) Object.assign(person, { messages: [], before: 0, newest: 0 });
    const person = this.contacts.people.get(this.contacts.current);
    if (person) this.note(person, "");
    for (const other of [...this.contacts.people.values()]) if (other.past && !other.messages.length) this.contacts.drop(other.address);
    this.contacts.show();
    this.say(address ? `The messages with ${address} are erased.` : "All your messages are erased.");
  }

  show() {
    const person = this.contacts.people.get(this.contacts.current);
    by("older").hidden = !(this.days && person?.before);
    by("older-people").hidden = !(this.days && this.before);
    by("erase").hidden = by("kept").hidden = !this.days;
    by("kept-days").textContent = `Your organisation keeps your messages for ${this.days === 1 ? "one day" : `${this.days} days`}. You alone read them, on each of your devices.`;
  }
}
