// What the user says of itself: PUBLISH (RFC 3903), beside what the server knows from the registration.
import { publish } from "./publication.js";
import { by } from "./text.js";
import { escaped } from "./xml.js";

const EXPIRES_S = 600;
const REFRESH_MS = 480_000;
const GONE = 412; // the server has forgotten the publication (RFC 3903 section 4.1)
const SAYS = { available: ["open", ""], busy: ["open", "Busy"], away: ["closed", "Away"], quiet: ["closed", "Do not disturb"] };

// Read a choice that was stored: another page of this origin may have written it.
export const readChoice = (text) => (Object.hasOwn(SAYS, text ?? "") ? text : "available");

// Write a PIDF document (RFC 3863).
export function pidf(address, basic, note) {
  const noted = note ? `<note>${escaped(note)}</note>` : "";
  return `<?xml version="1.0" encoding="UTF-8"?><presence xmlns="urn:ietf:params:xml:ns:pidf" entity="sip:${escaped(address)}"><tuple id="web"><status><basic>${basic}</basic></status>${noted}</tuple></presence>`;
}

export class OwnPresence {
  constructor(address, say) {
    Object.assign(this, { address, say, agent: null, tag: "", timer: 0 });
    this.choice = readChoice(localStorage.getItem(this.key));
    by("presence").value = this.choice;
    by("presence").onchange = () => this.choose(by("presence").value);
  }

  get key() {
    return `sipmesh-presence ${this.address}`;
  }

  // Whether no call may ring here, and no message show a notification.
  get isQuiet() {
    return this.choice === "quiet";
  }

  // Publish again after each login.
  follow(agent) {
    this.agent = agent;
    this.tag = "";
    if (this.choice !== "available") this.publish();
  }

  choose(choice) {
    this.choice = readChoice(choice);
    by("presence").value = this.choice;
    if (this.choice === "available") localStorage.removeItem(this.key);
    else localStorage.setItem(this.key, this.choice);
    if (this.choice !== "available" || this.tag) this.publish();
  }

  // Available is what the registration says: then a publication is taken back.
  publish() {
    clearTimeout(this.timer);
    if (!this.agent?.isRegistered()) return;
    const isPlain = this.choice === "available";
    const headers = ["Event: presence", `Expires: ${isPlain ? 0 : EXPIRES_S}`];
    if (this.tag) headers.push(`SIP-If-Match: ${this.tag}`);
    const body = isPlain ? null : pidf(this.address, ...SAYS[this.choice]);
    publish(this.agent, this.address, headers, "application/pidf+xml", body, (response) => this.answered(response));
  }

  answered(response) {
    if (!response) return;
    if (response.status_code === GONE && this.tag) {
      this.tag = "";
      this.choose(this.choice);
    } else if (response.status_code >= 300) {
      this.say("The server did not take what you say of yourself.");
    } else {
      this.tag = this.choice === "available" ? "" : (response.getHeader("SIP-ETag") ?? "");
      if (this.tag) this.timer = setTimeout(() => this.publish(), REFRESH_MS);
    }
  }

  end() {
    clearTimeout(this.timer);
    this.agent = null;
  }
}
