// Servers for media behind NAT, with credentials that end: the profile of the user (RFC 6080), as the front end sends it.
import { uriOf } from "./address.js";
import { stop } from "./subscription.js";

const EXPIRES_S = 600;
const AGAIN_MS = 30_000;
const EVENT = "ua-profile";

// Read the list of a profile; it is empty for a document that has none.
export function readServers(body) {
  try {
    const { iceServers } = JSON.parse(body);
    return Array.isArray(iceServers) ? iceServers : [];
  } catch {
    return [];
  }
}

export class Relays {
  constructor(address) {
    Object.assign(this, { address, servers: [], subscription: null, timer: 0 });
  }

  // Subscribe again after each registration: a subscription may end with its link.
  follow(agent) {
    clearTimeout(this.timer);
    if (this.subscription) stop(this.subscription, agent);
    this.subscription = agent.subscribe(uriOf(this.address), EVENT, "application/json", { expires: EXPIRES_S, params: {} });
    this.subscription.on("notify", (isFinal, _request, body) => {
      if (!isFinal) this.servers = readServers(body);
    });
    this.subscription.on("terminated", () => (this.timer = setTimeout(() => agent.isRegistered() && this.follow(agent), AGAIN_MS)));
    this.subscription.subscribe();
  }
}
