// The search for users and groups of the organisation: a subscription of the user to itself, which ends with its one answer.
import { isAddress } from "./address.js";
import { askOnce, parameterOf } from "./subscription.js";
import { by, element, isolated } from "./text.js";

const EVENT = "user-search";
const FORBIDDEN = 403;
const SHORTEST = 3;
const MOST_FOUND = 50;
const LONGEST_NUMBER = 40;
const BUSY = "You have searched too often, or the server has too much to do. Try again in a minute.";
const SAID = { 403: "Your organisation has no search.", 500: BUSY, 503: BUSY }; // a proxy makes 500 of 503 (RFC 3261 section 16.7)

// Read an answer; what is no user in it is left out.
export function readFound(body) {
  let found = null;
  try {
    found = JSON.parse(body);
  } catch {}
  const users = Array.isArray(found?.users) ? found.users.map(readUser).filter(Boolean) : [];
  return { users: users.slice(0, MOST_FOUND), more: found?.more === true };
}

function readUser(found) {
  const { address, numbers, group } = found ?? {};
  if (typeof address !== "string" || !isAddress(address)) return null;
  const known = Array.isArray(numbers) ? numbers.filter((number) => typeof number === "string") : [];
  return { address, numbers: known.map((number) => number.slice(0, LONGEST_NUMBER)), isGroup: group === true };
}

export class Search {
  // *chosen* gets the address of a user that was found and chosen.
  constructor(own, chosen) {
    Object.assign(this, { own, chosen, agent: null, asked: null });
    by("find-form").onsubmit = (event) => {
      event.preventDefault();
      this.ask(by("find").value);
    };
    this.show([], "");
  }

  follow(agent) {
    this.agent = agent;
  }

  ask(typed) {
    if (typed.trim().length < SHORTEST) {
      this.show([], `Write ${SHORTEST} letters or digits at least.`);
      return;
    }
    this.show([], "Searching\u2026");
    const asked = {};
    this.asked = asked;
    const answered = (act) => (given) => asked === this.asked && act(given);
    const heard = answered((body) => this.found(readFound(body)));
    askOnce(this.agent, this.own, `${EVENT};query=${parameterOf(typed)}`, heard, answered((status) => this.refused(status)));
  }

  found({ users, more }) {
    this.asked = null;
    this.show(users, more ? "There are more. Write more letters." : users.length ? "" : "There is no such user.");
  }

  refused(status) {
    this.asked = null;
    this.show([], SAID[status] ?? "The search did not work. Try again in a moment.");
    if (status === FORBIDDEN) by("find").disabled = by("find-button").disabled = true;
  }

  show(users, said) {
    by("found").replaceChildren(...users.map((user) => this.row(user)));
    by("find-state").textContent = said;
  }

  row({ address, numbers, isGroup }) {
    const more = [isGroup ? "Group" : "", ...numbers].filter(Boolean).join(", ");
    const button = element("button", { type: "button" }, isolated(address), element("span", { class: "state" }, isolated(more)));
    button.addEventListener("click", () => this.chosen(address));
    return element("li", {}, button);
  }
}
