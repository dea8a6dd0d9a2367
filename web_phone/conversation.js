// What is written to and by one contact.
import { provedSender, uriOf } from "./address.js";
import { reasonOf } from "./reasons.js";
import { by, element, isolated, printable } from "./text.js";

const MOST_MESSAGES = 200; // of one contact
const LONGEST = 8_000;
const ACCEPTED = 202;
const WITHOUT_TEXT = ["application/im-iscomposing+xml", "message/imdn+xml"];

const now = () => new Date().toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });

export class Conversation {
  constructor(contacts, alerts, say) {
    Object.assign(this, { contacts, alerts, say });
  }

  open(address) {
    const person = this.contacts.add(address, { kept: false });
    this.contacts.current = address;
    person.unread = 0;
    by("with").replaceChildren(isolated(address));
    by("nobody").hidden = true;
    by("conversation").hidden = false;
    by("rooms").classList.add("talking");
    this.contacts.showAbout(person);
    this.contacts.show();
    this.show(person);
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
    list.replaceChildren(...person.messages.map((message) => this.row(message)));
    by("log").scrollTop = by("log").scrollHeight;
  }

  row({ text, mine, note, when, subject, wrong, later }) {
    const item = element("li", { class: note ? "note" : mine ? "mine" : "theirs" });
    if (subject) item.append(element("small", {}, isolated(subject)));
    item.append(isolated(text, LONGEST));
    if (when) item.append(element("small", {}, when));
    if (later) item.append(element("small", {}, "Stored: it is delivered when the other side logs in."));
    if (wrong) item.append(element("small", { class: "wrong" }, wrong));
    return item;
  }

  add(address, message) {
    const person = this.contacts.add(address, { kept: false });
    person.messages.push({ when: now(), ...message });
    if (person.messages.length > MOST_MESSAGES) person.messages.shift();
    if (this.contacts.current === address) this.show(person);
    return person;
  }

  send(agent, address, text) {
    const message = { text, mine: true, wrong: "" };
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
    agent.sendMessage(uriOf(address), text, { contentType: "text/plain;charset=utf-8", eventHandlers });
  }

  receive(request) {
    const type = (request.getHeader("Content-Type") ?? "text/plain").split(";")[0].trim().toLowerCase();
    if (WITHOUT_TEXT.includes(type)) return;
    const address = provedSender(request);
    if (!address) {
      this.say("A message without a proved sender was dropped.");
      return;
    }
    const text = type === "text/plain" ? request.body : `(a message of the type ${printable(type)}, which this phone does not show)`;
    const subject = request.getHeader("Subject");
    const person = this.add(address, { text, subject: subject ? `Subject: ${printable(subject)}` : "" });
    if (this.contacts.current !== address) person.unread += 1;
    this.alerts.wrote(address);
    this.contacts.show();
  }
}
