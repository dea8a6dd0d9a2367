// The rules of the user's calls, as its home pool applies them, in sentences.
import { by, element, isolated } from "./text.js";

const NEVER = "never";
export const EVERYBODY = "*";
export const MOST = 200;
export const WHEN = {
  always: "All your calls go to ",
  busy: "When you are busy, your calls go to ",
  no_answer: "When you do not answer, your calls go to ",
  away: "While no phone of yours is logged in, your calls go to ",
};

const isText = (value) => typeof value === "string" && value.length > 0;
export const texts = (value) => (Array.isArray(value) ? value.filter(isText).slice(0, MOST) : []);
export const named = (target) => target.replace(/^(?:sip|tel):/, "");
const nameOf = (caller) => (caller === EVERYBODY ? "everybody else" : caller === "anonymous" ? "hidden callers" : named(caller));

// Say rules as sentences: each is what it says, and whom it names.
export function sentencesOf(rules) {
  const said = [];
  if (rules.do_not_disturb === true) said.push(["You do not want to be disturbed: no phone of yours rings.", []]);
  for (const [name, text] of Object.entries(WHEN)) if (isText(rules[name]) && rules[name] !== NEVER) said.push([text, [named(rules[name])]]);
  if (Number.isInteger(rules.ring_s) && rules.ring_s > 0) said.push([`Your phones ring for ${rules.ring_s} seconds.`, []]);
  if (texts(rules.also).length) said.push(["At the same time ring: ", texts(rules.also).map(named)]);
  const callers = Object.entries(rules.callers ?? {}).slice(0, MOST);
  for (const [rule, text] of [["block", "Blocked: "], ["allow", "Let through: "]]) {
    const those = callers.filter(([, value]) => value === rule).map(([caller]) => nameOf(caller));
    if (those.length) said.push([text, those]);
  }
  if (rules.unlisted === true) said.push(["Searches do not show you.", []]);
  if (texts(rules.delegates).length) said.push(["These call for you: ", texts(rules.delegates).map(named)]);
  return said;
}

// Read rules from a profile: what is no object has none.
export const readRules = (found) => (typeof found === "object" && found !== null && !Array.isArray(found) ? found : {});

// Show rules; *portal* is the page of the user's account, empty if there is none.
export function showRules(rules, portal) {
  const rows = sentencesOf(rules).map(([text, names]) => element("li", {}, text, ...names.flatMap((name, number) => (number ? [", ", isolated(name)] : [isolated(name)]))));
  by("rules").replaceChildren(...rows);
  by("no-rules").hidden = rows.length > 0;
  by("portal").hidden = !portal;
  if (portal) by("portal").href = portal;
}
