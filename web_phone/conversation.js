// What is written to and by one contact.
import { provedSender, uriOf } from "./address.js";
import { FILE_XML, readFile, sizeOf } from "./file_store.js";
import { reasonOf } from "./reasons.js";
import { breakable, by, element, isolated, legible, printable, whenOf } from "./text.js";

const MOST_MESSAGES = 200; // of one contact
const LONGEST = 8_000;
const LONGEST_ID = 128;
const ACCEPTED = 202;
const WITHOUT_TEXT = ["application/im-iscomposing+xml", "message/imdn+xml"];

// What the message history has as the id of a message: the same at each device.
export const idOf = (request) => `${request.cseq} ${request.call_id}`.slice(0, LONGEST_ID);

// Nothing is fetched before the user opens the link, in a tab that learns nothing of this page.
function linkOf({ url, name }) {
  return element("a", { href: url, target: "_blank", rel: "noopener noreferrer" }, isolated(name));
}

export class Conversation {
  constructor(contacts, alerts, say) {
    Object.assign(this, { contacts, alerts, say, opened: () => {} });
  }

  open(address) {
    const person = this.contacts.add(address, { kept: false });
    this.contacts.current = address;
    person.unread = 0;
    by("with").replaceChildren(breakable(address));
    by("file-state").textContent = "";
    by("nobody").hidden = true;
    by("conversation").hidden = false;
    by("rooms").classList.add("talking");
    this.contacts.showAbout(person);
    this.contacts.show();
    this.show(person);
    this.opened(person);
  }

  close() {
    this.contacts.current = "";
    by("nobody").hidden = false;
    by("conversation").hidden = true;
    by("rooms").classList.remove("talking");
    this.contacts.show();
  }

  show(person) {
    const list = by("messages");
    list.replaceChildren(...person.messages.map((message) => this.row(message, person)));
    by("log").scrollTop = by("log").scrollHeight;
  }

  row({ text, file, mine, note, at, from, subject, wrong, later }, { address }) {
    const item = element("li", { class: note ? "note" : mine ? "mine" : "theirs" });
    if (from && !mine && from !== address) item.append(element("small", {}, isolated(from)));
    if (subject) item.append(element("small", {}, isolated(subject)));
    item.append(file ? linkOf(file) : isolated(text, LONGEST));
    if (file) item.append(element("small", {}, `${sizeOf(file.size)}, at `, isolated(file.host)));
    item.append(element("small", {}, element("time", { datetime: new Date(at).toISOString() }, whenOf(at))));
    if (later) item.append(element("small", {}, "Stored: it is delivered when the other side logs in."));
    if (wrong) item.append(element("small", { class: "wrong" }, wrong));
    return item;
  }

  add(address, message) {
    const person = this.contacts.add(address, { kept: false });
    if (message.id && this.isThere(message)) return person;
    person.messages.push({ at: Date.now(), ...message });
    const seen = person.messages.filter(({ isPast }) => !isPast);
    if (seen.length > MOST_MESSAGES) person.messages.splice(person.messages.indexOf(seen[0]), 1);
    if (this.contacts.current === address) this.show(person);
    return person;
  }

  // A message that was stored for the user may be in the history before it is delivered here; of a group, in its conversation.
  isThere({ id, from }) {
    return [...this.contacts.people.values()].some(({ messages }) => messages.some((one) => one.isPast && one.id === id && one.from === from));
  }

  send(agent, address, text, xml = "") {
    const message = { text, file: readFile(xml), mine: true, wrong: "" };
    const person = this.add(address, message);
    const shown = person.messages.at(-1);
    const eventHandlers = {
      succeeded: ({ response }) => {
        shown.later = response?.status_code === ACCEPTED;
        if (this.contacts.current === address) this.show(person);
      },
      failed: (event) => {
        shown.wrong = `Not delivered. ${reasonOf(event)}`;
        if (this.contacts.current === address) this.show(person);
      },
    };
    const sent = agent.sendMessage(uriOf(address), xml || text, { contentType: xml ? FILE_XML : "text/plain;charset=utf-8", eventHandlers });
    Object.assign(shown, { id: idOf(sent._request), from: this.contacts.own });
  }

  // Send a file with *files* to the contact whose conversation is open now.
  async sendFile(agent, files, file) {
    const address = this.contacts.current;
    by("attach").disabled = true;
    by("file-state").textContent = `Sending ${printable(file.name)}\u2026`;
    const { xml, error } = await files.send(file);
    by("attach").disabled = false;
    by("file-state").textContent = error ?? "";
    if (xml) this.send(agent, address, printable(file.name), xml);
  }

  receive(request) {
    const type = (request.getHeader("Content-Type") ?? "text/plain").split(";")[0].trim().toLowerCase();
    if (WITHOUT_TEXT.includes(type)) return;
    const address = provedSender(request);
    if (!address) {
      this.say("A message without a proved sender was dropped.");
      return;
    }
    const file = type === FILE_XML ? readFile(request.body) : null;
    const subject = request.getHeader("Subject");
    const person = this.add(address, { text: legible(type, request.body), file, id: idOf(request), from: address, subject: subject ? `Subject: ${printable(subject)}` : "" });
    if (this.contacts.current !== address) person.unread += 1;
    this.alerts.wrote(address);
    this.contacts.show();
  }
}
