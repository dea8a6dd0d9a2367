// The form of the rules of the user's calls: it sends what differs from the rules with which it was opened.
import { confirmed } from "./confirmation.js";
import { by, element } from "./text.js";
import { EVERYBODY, MOST, WHEN, named, texts } from "./rules.js";

const NONE = "none";
const LATE = " Some servers follow as soon as they are reached.";
const REMOVED = "Forwarding, delegates, and blocked callers end. All your phones ring, unless your organisation has rules of its own.";
const TWICE = "The same caller is in both lists.";
const NO_TIME = "Write a number of seconds, 5 to 180, or leave this empty.";
const A_TARGET = "A name, a number or an address. Empty: no such rule.";
const SEVERAL = "Separate them with commas.";
const FIELDS = {
  always: ["Send all calls to", A_TARGET],
  busy: ["When you are busy, send calls to", "\u201cnever\u201d: calls stay here, even where your organisation forwards them."],
  no_answer: ["When you do not answer, send calls to", ""],
  ring_s: ["Seconds for which your phones ring", "5 to 180. Empty: as long as the caller waits."],
  away: ["When you are logged out, send calls to", "Logged out: no phone of yours is logged in."],
  also: ["At the same time ring", `Names, numbers or addresses. ${SEVERAL}`],
  block: ["Blocked callers", `Addresses, numbers, @domain, anonymous for hidden callers, ${EVERYBODY} for all others. ${SEVERAL}`],
  allow: ["Callers who get through", `They ring even while you do not want to be disturbed. ${SEVERAL}`],
  delegates: ["Who may call for you", `Names of users. ${SEVERAL}`],
};
const CHOICES = { do_not_disturb: "Do not disturb: no phone of mine rings", unlisted: "Do not show me in searches" };
const LISTS = ["also", "delegates"];
const CALLERS = ["block", "allow"];

const split = (typed) => [...new Set(typed.split(/[,\n]/).map((part) => part.trim()).filter(Boolean))].slice(0, MOST);
const same = (one, other) => JSON.stringify(one) === JSON.stringify(other);
const nameOf = (key) => (key === EVERYBODY ? key : named(key));

// What the fields say for these rules.
export function fieldsOf(rules) {
  const found = Object.fromEntries(Object.keys(WHEN).map((name) => [name, typeof rules[name] === "string" ? named(rules[name]) : ""]));
  for (const name of LISTS) found[name] = texts(rules[name]).map(named).join(", ");
  for (const rule of CALLERS) found[rule] = Object.entries(rules.callers ?? {}).filter(([, value]) => value === rule).map(([caller]) => nameOf(caller)).join(", ");
  found.ring_s = Number.isInteger(rules.ring_s) && rules.ring_s > 0 ? String(rules.ring_s) : "";
  for (const name of Object.keys(CHOICES)) found[name] = rules[name] === true;
  return found;
}

// What a form changes: *before* is what its fields said, and *after* what they say; or the *field* that is wrong, with an *error*.
export function changesOf(before, after) {
  const [blocked, allowed] = CALLERS.map((rule) => split(after[rule]));
  if (blocked.some((caller) => allowed.includes(caller))) return { field: "allow", error: TWICE };
  if (!/^[0-9]{0,3}$/.test(after.ring_s.trim())) return { field: "ring_s", error: NO_TIME };
  const changes = {};
  for (const name of Object.keys(WHEN)) if (after[name].trim() !== before[name]) changes[name] = after[name].trim() || NONE;
  for (const name of LISTS) if (!same(split(after[name]), split(before[name]))) changes[name] = split(after[name]);
  if (after.ring_s.trim() !== before.ring_s) changes.ring_s = Number(after.ring_s.trim());
  for (const name of Object.keys(CHOICES)) if (after[name] !== before[name]) changes[name] = after[name];
  const rules = {};
  for (const caller of CALLERS.flatMap((rule) => split(before[rule]))) rules[caller] = NONE;
  for (const rule of CALLERS) for (const caller of split(after[rule])) {
    if (split(before[rule]).includes(caller)) delete rules[caller];
    else rules[caller] = rule;
  }
  if (Object.keys(rules).length) changes.callers = rules;
  return { changes };
}

const idOf = (name) => `rule-${name}`;

export class RuleForm {
  // *store* is the `RuleStore`; *said* gets a sentence for the user.
  constructor(store, said) {
    Object.assign(this, { store, said, rules: {}, before: null });
    by("rule-fields").replaceChildren(...Object.entries(CHOICES).map(choice), ...Object.entries(FIELDS).map(field));
    by("rules-change").onclick = () => this.open();
    by("rules-cancel").onclick = () => this.close();
    by("rules-clear").onclick = async () => (await confirmed("Remove all rules of your calls?", REMOVED, "Remove")) && this.send(() => this.store.clear());
    by("rules-form").onsubmit = (event) => {
      event.preventDefault();
      this.save();
    };
    this.close();
  }

  // The rules in force, from the home pool. An open form keeps what is typed there.
  use(rules) {
    this.rules = rules;
    by("rules-change").hidden = !this.store.isOpen || this.before !== null;
  }

  open() {
    this.before = fieldsOf(this.rules);
    for (const [name, value] of Object.entries(this.before)) {
      if (typeof value === "boolean") by(idOf(name)).checked = value;
      else by(idOf(name)).value = value;
    }
    this.blame("", "");
    by("rules-form").hidden = false;
    by("rules-change").hidden = true;
    by(idOf("do_not_disturb")).focus();
  }

  close() {
    const hadFocus = by("rules-form").contains(document.activeElement);
    this.before = null;
    by("rules-form").hidden = true;
    this.use(this.rules);
    if (hadFocus) by("rules-change").focus();
  }

  // Say what is wrong, at its field: a rule about callers is at the blocked callers.
  blame(rule, error) {
    const name = rule === "callers" ? "block" : rule;
    for (const one of Object.keys(FIELDS)) {
      by(`${idOf(one)}-error`).textContent = one === name ? error : "";
      by(idOf(one)).setAttribute("aria-invalid", String(one === name && Boolean(error)));
    }
    by("rules-error").textContent = name in FIELDS ? "" : error;
    if (error && name in FIELDS) by(idOf(name)).focus();
  }

  async save() {
    const after = Object.fromEntries(Object.keys(this.before).map((name) => [name, name in CHOICES ? by(idOf(name)).checked : by(idOf(name)).value]));
    const { changes, field: wrong, error } = changesOf(this.before, after);
    if (error) this.blame(wrong, error);
    else if (Object.keys(changes).length) await this.send(() => this.store.change(changes));
    else this.close();
  }

  async send(ask) {
    for (const id of ["rules-save", "rules-clear"]) by(id).disabled = true;
    const { error, field: wrong, missing } = await ask();
    for (const id of ["rules-save", "rules-clear"]) by(id).disabled = false;
    if (error) {
      this.blame(wrong, error);
      return;
    }
    this.said(`The rules of your calls are changed.${missing ? LATE : ""}`);
    this.close();
  }
}

function choice([name, label]) {
  const box = element("input", { id: idOf(name), type: "checkbox" });
  return element("label", { class: "choice", for: idOf(name) }, box, ` ${label}`);
}

function field([name, [label, hint]]) {
  const id = idOf(name);
  const lasts = { id, maxlength: "2000", spellcheck: "false", autocapitalize: "none", autocomplete: "off", "aria-describedby": `${id}-hint ${id}-error` };
  const input = element("input", name === "ring_s" ? { ...lasts, inputmode: "numeric" } : lasts);
  const parts = [element("label", { for: id }, label), input, element("p", { id: `${id}-hint`, class: "quiet" }, hint), element("p", { id: `${id}-error`, class: "wrong", role: "alert" })];
  return element("div", {}, ...parts);
}
