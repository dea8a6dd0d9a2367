// What the server says to the phones of the user (RFC 6080): servers for media behind NAT, with credentials that end, the users
// for whom the user may call, and the rules of the user's calls.
import { isAddress, uriOf } from "./address.js";
import { readRules } from "./rules.js";
import { stop } from "./subscription.js";

const EXPIRES_S = 600;
const AGAIN_MS = 30_000;
const EVENT = "ua-profile";
const MOST_USERS = 100;
const CONTACTS = /^https:\/\/[a-z0-9.:-]+\/contacts$/;
const PORTAL = /^https:\/\/[a-z0-9.:-]+\/portal$/;

// Read a profile; what is missing in a document is empty.
export function readProfile(body) {
  const found = parsed(body);
  const users = Array.isArray(found.callsFor) ? found.callsFor.filter((user) => typeof user === "string" && isAddress(user)) : [];
  return { servers: Array.isArray(found.iceServers) ? found.iceServers : [], callsFor: users.slice(0, MOST_USERS), rules: readRules(found.callRules), portal: PORTAL.test(found.portal) ? found.portal : "", contacts: readPlace(found.contacts) };
}

// Where the contacts of the user are, and the ticket for them; null if nothing keeps them but this browser.
function readPlace(found) {
  const { url, ticket } = found ?? {};
  return typeof ticket === "string" && CONTACTS.test(url) ? { url, ticket } : null;
}

function parsed(body) {
  try {
    return JSON.parse(body) ?? {};
  } catch {
    return {};
  }
}

export class Profile {
  // *changed* is called with the users for whom the user may call, the rules, where they are changed, and where the contacts are.
  constructor(address, changed) {
    Object.assign(this, { address, changed, servers: [], subscription: null, timer: 0 });
  }

  // Subscribe again after each registration: a subscription may end with its link.
  follow(agent) {
    clearTimeout(this.timer);
    if (this.subscription) stop(this.subscription, agent);
    this.subscription = agent.subscribe(uriOf(this.address), EVENT, "application/json", { expires: EXPIRES_S, params: {} });
    this.subscription.on("notify", (isFinal, _request, body) => {
      if (!isFinal) this.take(readProfile(body));
    });
    this.subscription.on("terminated", () => (this.timer = setTimeout(() => agent.isRegistered() && this.follow(agent), AGAIN_MS)));
    this.subscription.subscribe();
  }

  take({ servers, callsFor, rules, portal, contacts }) {
    this.servers = servers;
    this.changed(callsFor, rules, portal, contacts);
  }
}
