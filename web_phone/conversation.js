// What is written to and by one contact.
import { provedSender, uriOf } from "./address.js";
import { FILE_XML, readFile, sizeOf } from "./file_store.js";
import { reasonOf } from "./reasons.js";
import { by, element, isolated, printable } from "./text.js";

const MOST_MESSAGES = 200; // of one contact
const LONGEST = 8_000;
const ACCEPTED = 202;
const WITHOUT_TEXT = ["application/im-iscomposing+xml", "message/imdn+xml"];

const now = () => new Date().toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });

// Nothing is fetched before the user opens the link, in a tab that learns nothing of this page.
function linkOf({ url, name }) {
  return element("a", { href: url, target: "_blank", rel: "noopener noreferrer" }, isolated(name));
}

export class Conversation {
  constructor(contacts, alerts, say) {
    Object.assign(this, { contacts, alerts, say });
  }

  open(address) {
    const person = this.contacts.add(address, { kept: false });
    this.contacts.current = address;
    person.unread = 0;
    by("with").replaceChildren(isolated(address));
    by("file-state").textContent = "";
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

  row({ text, file, mine, note, when, subject, wrong, later }) {
    const item = element("li", { class: note ? "note" : mine ? "mine" : "theirs" });
    if (subject) item.append(element("small", {}, isolated(subject)));
    item.append(file ? linkOf(file) : isolated(text, LONGEST));
    if (file) item.append(element("small", {}, `${sizeOf(file.size)}, at `, isolated(file.host)));
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
    agent.sendMessage(uriOf(address), xml || text, { contentType: xml ? FILE_XML : "text/plain;charset=utf-8", eventHandlers });
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
    const text = type === "text/plain" ? request.body : `(a message of the type ${printable(type)}, which this phone does not show)`;
    const file = type === FILE_XML ? readFile(request.body) : null;
    const subject = request.getHeader("Subject");
    const person = this.add(address, { text, file, subject: subject ? `Subject: ${printable(subject)}` : "" });
    if (this.contacts.current !== address) person.unread += 1;
    this.alerts.wrote(address);
    this.contacts.show();
  }
}
