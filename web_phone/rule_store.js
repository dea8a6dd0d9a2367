// The rules of the user's calls at management: changed over HTTPS, with the ticket that the home pool gives.
const LONGEST = 400;
const UNREACHED = "The rules cannot be changed now: your organisation's server cannot be reached. Try again later.";
const ENDED = "Your login does not count any more. Log in again.";
const REFUSED = "The rules were not changed. Try again in a minute.";
const FOR_OPERATORS = /; (?:to list the users: |to add one: |allow it first |remove them: )[^\n]*/g;

export class RuleStore {
  // *renew* asks the home pool for another ticket, and resolves once it is there.
  constructor(renew) {
    Object.assign(this, { renew, url: "", ticket: "" });
  }

  get isOpen() {
    return Boolean(this.url);
  }

  use({ rules, ticket }) {
    this.url = rules;
    this.ticket = ticket;
  }

  change(changes) {
    return this.ask("PUT", changes);
  }

  clear() {
    return this.ask("DELETE");
  }

  // Returns what went wrong, as *error* for the user and *field*, the rule that it is about; or how many servers are *missing*.
  async ask(method, changes) {
    let answer = await this.send(method, changes);
    if (answer?.status === 401) {
      await this.renew();
      answer = await this.send(method, changes);
    }
    if (!answer) return { error: UNREACHED, field: "" };
    if (answer.status === 401) return { error: ENDED, field: "" };
    try {
      return readAnswer(await answer.json());
    } catch {
      return { error: REFUSED, field: "" };
    }
  }

  async send(method, changes) {
    const headers = { Authorization: `Bearer ${this.ticket}`, ...(changes ? { "Content-Type": "application/json" } : {}) };
    const given = { method, headers, credentials: "omit", cache: "no-store", ...(changes ? { body: JSON.stringify(changes) } : {}) };
    try {
      return await fetch(this.url, given);
    } catch {
      return null;
    }
  }
}

// Read an answer: what it says to operators is not shown to a user.
export function readAnswer(found) {
  const { error, field, missing } = found ?? {};
  if (typeof error === "string") return { error: error.replace(FOR_OPERATORS, "").slice(0, LONGEST), field: typeof field === "string" ? field : "" };
  return { missing: Number.isInteger(missing) ? missing : 0 };
}
