// Presence of contacts (RFC 3856), by one subscription for each.
import { uriOf } from "./address.js";
import { stop } from "./subscription.js";
import { printable } from "./text.js";
import { unescaped } from "./xml.js";

const EXPIRES_S = 600;
const AGAIN_MS = 30_000;
const LONGEST = 65_536; // characters of a document that are looked at
const BASIC = /<(?:[\w.-]+:)?basic>\s*(open|closed)\s*<\//g;
const NOTE = /<(?:[\w.-]+:)?note(?:\s[^<>]*)?>([^<]*)<\//;

// Read a PIDF document (RFC 3863).
export function readPidf(body) {
  const document_ = String(body).slice(0, LONGEST);
  const states = [...document_.matchAll(BASIC)].map((found) => found[1]);
  const note = unescaped(NOTE.exec(document_)?.[1] ?? "");
  return { state: states.includes("open") ? "open" : "closed", note: printable(note.trim()) };
}

export class Watch {
  // *changed* gets {state, note}; state is "open", "closed", "unknown", or "refused".
  constructor(agent, address, changed) {
    Object.assign(this, { agent, address, changed, over: false });
    this.begin();
  }

  begin() {
    if (this.over) return;
    const options = { expires: EXPIRES_S, params: {} };
    this.subscription = this.agent.subscribe(uriOf(this.address), "presence", "application/pidf+xml", options);
    this.subscription.on("notify", (_final, _request, body) => this.changed(readPidf(body)));
    this.subscription.on("terminated", (_code, reason) => this.ended(reason));
    try {
      this.subscription.subscribe();
    } catch {
      this.changed({ state: "unknown", note: "" }); // an address that JsSIP cannot write into a request
    }
  }

  // JsSIP does not tell the status of a refused SUBSCRIBE: so only a subscription that ends later is known to be refused.
  ended(reason) {
    this.changed({ state: reason === "rejected" ? "refused" : "unknown", note: "" });
    this.timer = setTimeout(() => this.begin(), AGAIN_MS);
  }

  end() {
    this.over = true;
    clearTimeout(this.timer);
    stop(this.subscription, this.agent);
  }
}
