// What the server says to the phones of the user (RFC 6080): servers for media behind NAT, with credentials that end, the users
// for whom the user may call, and the rules of the user's calls.
import { isAddress, uriOf } from "./address.js";
import { readRules } from "./rules.js";
import { stop } from "./subscription.js";

const EXPIRES_S = 600;
const AGAIN_MS = 30_000;
const EVENT = "ua-profile";
const MOST_USERS = 100;
const PLACES = { contacts: /^https:\/\/[a-z0-9.:-]+\/contacts$/, rules: /^https:\/\/[a-z0-9.:-]+\/rules$/, files: /^https:\/\/[a-z0-9.:-]+\/files$/ };
const RENEWAL_MS = 10_000;
const TICKET_MS = 900_000;
const MOST_LINKS = 16;
const PORTAL = /^https:\/\/[a-z0-9.:-]+\/portal$/;

// Read a profile; what is missing in a document is empty.
export function readProfile(body) {
  const found = parsed(body);
  const users = Array.isArray(found.callsFor) ? found.callsFor.filter((user) => typeof user === "string" && isAddress(user)) : [];
  return { servers: Array.isArray(found.iceServers) ? found.iceServers : [], callsFor: users.slice(0, MOST_USERS), rules: readRules(found.callRules), portal: PORTAL.test(found.portal) ? found.portal : "", account: readAccount(found.account), historyDays: Number.isInteger(found.historyDays) ? Math.max(found.historyDays, 0) : 0 };
}

// Where the user's contacts and rules are changed and files are sent, and the ticket for that; null if no management server has them.
function readAccount(found) {
  const { contacts, rules, ticket, files, largest } = found ?? {};
  const sends = PLACES.files.test(files) && Number.isSafeInteger(largest);
  const has = typeof ticket === "string" && PLACES.contacts.test(contacts) && PLACES.rules.test(rules);
  return has ? { contacts, rules, ticket, files: sends ? files : "", largest: sends ? largest : 0 } : null;
}

function parsed(body) {
  try {
    return JSON.parse(body) ?? {};
  } catch {
    return {};
  }
}

// The tickets of the logins of this page that may count still: the last ticket of each link, which has a login of its own.
export class Tickets {
  constructor(now = Date.now) {
    Object.assign(this, { now, held: new Map() });
  }

  take(account) {
    const link = linkOf(account.ticket);
    this.held.delete(link);
    this.held.set(link, { ...account, at: this.now() });
    if (this.held.size > MOST_LINKS) this.held.delete(this.held.keys().next().value);
  }

  get fresh() {
    return [...this.held.values()].filter(({ at }) => this.now() - at < TICKET_MS);
  }

  // End these logins at management, where a copy of a ticket would count for some minutes more. The requests outlive the page.
  end() {
    for (const { contacts, ticket } of this.fresh) {
      const given = { method: "POST", headers: { Authorization: `Bearer ${ticket}` }, credentials: "omit", keepalive: true };
      fetch(new URL("/logout", contacts), given).catch(() => {});
    }
    this.held.clear();
  }
}

// A ticket is a JWS (RFC 7515), whose payload names the link.
function linkOf(ticket) {
  try {
    return JSON.parse(atob(ticket.split(".")[1].replaceAll("-", "+").replaceAll("_", "/"))).link;
  } catch {
    return ticket;
  }
}

export class Profile {
  // *changed* is called with what `readProfile` gives.
  constructor(address, changed) {
    Object.assign(this, { address, changed, servers: [], subscription: null, timer: 0, taken: () => {}, tickets: new Tickets() });
  }

  // Ask for the profile again, which has a fresh ticket; resolves once it is there, or is given up.
  renew(agent) {
    return new Promise((done) => {
      this.taken = done;
      setTimeout(done, RENEWAL_MS);
      this.follow(agent);
    });
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

  take(profile) {
    this.servers = profile.servers;
    if (profile.account) this.tickets.take(profile.account);
    this.changed(profile);
    this.taken();
  }
}
