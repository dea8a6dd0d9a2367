// The calls that ring at users for whom this one may call: it picks them up by INVITE with Replaces (RFC 3891).
import { uriOf } from "./address.js";
import { EVENT, readDialogs, TYPE } from "./dialog_info.js";
import { stop } from "./subscription.js";
import { by, element, isolated } from "./text.js";

const EXPIRES_S = 600;
const AGAIN_MS = 60_000;

export class Pickups {
  // *take* gets the address of the caller, and how it is called. *keeps* says whether a user is a contact.
  constructor(take, keeps) {
    Object.assign(this, { take, keeps, agent: null, offered: [], users: new Map() });
    this.show();
  }

  follow(agent) {
    this.agent = agent;
    for (const user of this.users.keys()) this.subscribe(user);
  }

  // Watch the calls of *users* who are contacts, and of no others: each user may name this one as a delegate, and a subscription
  // tells its phone that this user is there.
  watch(offered) {
    this.offered = offered;
    const users = offered.filter(this.keeps);
    for (const user of this.users.keys()) if (!users.includes(user)) this.leave(user);
    for (const user of users) if (!this.users.has(user)) this.subscribe(user);
  }

  contactsChanged() {
    this.watch(this.offered);
  }

  leave(user) {
    const { subscription, timer } = this.users.get(user);
    clearTimeout(timer);
    if (subscription) stop(subscription, this.agent);
    this.users.delete(user);
    this.show();
  }

  subscribe(user) {
    if (this.users.has(user)) this.leave(user);
    const seen = { subscription: null, timer: 0, ringing: [] };
    this.users.set(user, seen);
    if (!this.agent?.isRegistered()) return;
    seen.subscription = this.agent.subscribe(uriOf(user), EVENT, TYPE, { expires: EXPIRES_S, params: {} });
    seen.subscription.on("notify", (isFinal, _request, body) => this.tell(seen, isFinal ? [] : readDialogs(body)));
    seen.subscription.on("terminated", () => {
      this.tell(seen, []);
      seen.timer = setTimeout(() => this.subscribe(user), AGAIN_MS);
    });
    seen.subscription.subscribe();
  }

  tell(seen, ringing) {
    seen.ringing = ringing;
    this.show();
  }

  show() {
    const rows = [...this.users].flatMap(([user, { ringing }]) => ringing.map((ring) => this.row(user, ring)));
    by("pickups").replaceChildren(...rows);
    by("pickups").hidden = rows.length === 0;
  }

  row(user, { callId, localTag, remoteTag, address }) {
    const button = element("button", { type: "button", class: "good" }, "Pick up");
    const replaces = `${callId};to-tag=${remoteTag};from-tag=${localTag};early-only`;
    button.addEventListener("click", () => this.take(address, { behalf: user, replaces }));
    return element("li", { class: "line" }, element("span", {}, isolated(address), " calls ", isolated(user)), button);
  }
}
