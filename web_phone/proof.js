// The padlock: who is at the other end, as far as our server has proved it.
import { domainOf } from "./address.js";
import { element, isolated } from "./text.js";

const SVG = "http://www.w3.org/2000/svg";
const CLOSED = "M7 10V7a5 5 0 0 1 10 0v3h1a1 1 0 0 1 1 1v9a1 1 0 0 1-1 1H6a1 1 0 0 1-1-1v-9a1 1 0 0 1 1-1zm2 0h6V7a3 3 0 0 0-6 0z";
const UNKNOWN = "M12 2a10 10 0 1 0 0 20 10 10 0 0 0 0-20zm-1 14h2v2h-2zm1-10a4 4 0 0 1 4 4c0 2.5-3 2.8-3 5h-2c0-3.3 3-3.5 3-5a2 2 0 0 0-4 0H8a4 4 0 0 1 4-4z";

function icon(path, label) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("role", "img");
  svg.setAttribute("aria-label", label);
  const shape = document.createElementNS(SVG, "path");
  shape.setAttribute("d", path);
  svg.append(shape);
  return svg;
}

function organisation(address, own) {
  const domain = domainOf(address);
  return domain === domainOf(own) ? ["Your organisation, ", isolated(domain)] : ["Organisation ", isolated(domain)];
}

function lines(parent, claims) {
  for (const [label, text] of claims) {
    if (text) parent.append(element("span", { class: "claim" }, `${label}: \u201c`, isolated(text), "\u201d (not checked)"));
  }
  return parent;
}

// The sender of a request. *address* is what the server asserts, empty if the sender hides; *claims* are the sender's own words.
// *signed*: the organisation of the sender has signed who it is, and the keys of the media, and our server has verified that.
// *first* is the user or group that was called first, empty if that is the own user.
export function proofOfSender(address, own, claims = [], signed = false, first = "") {
  if (!address) {
    const parts = [element("span", { class: "who" }, "Hidden caller"), element("span", { class: "why" }, "Your server knows who this is, and was asked not to say.")];
    return lines(element("div", { class: "proof hidden-caller" }, icon(UNKNOWN, "Hidden"), ...parts, ...called(first)), claims);
  }
  const why = element("span", { class: "why" }, ...organisation(address, own), ". Proved by your server.");
  if (signed) why.append(" ", isolated(domainOf(address)), " has signed this call and the keys of its audio.");
  return lines(element("div", { class: "proof" }, icon(CLOSED, "Verified"), element("span", { class: "who" }, isolated(address)), why, ...called(first)), claims);
}

function called(first) {
  return first ? [element("span", { class: "for" }, "For ", isolated(first))] : [];
}

// The user who has answered our call, or has taken its place in a transfer, as our server has proved.
export function proofOfAnswer(address, own) {
  const why = element("span", { class: "why" }, ...organisation(address, own), ". Your server has proved that this user has answered.");
  return element("div", { class: "proof" }, icon(CLOSED, "Verified"), element("span", { class: "who" }, isolated(address)), why);
}

// A call that *address* transfers, until it is answered.
export function proofOfTransfer(address) {
  const why = element("span", { class: "why" }, isolated(address), " transfers this call. Your server will say who has answered.");
  return element("div", { class: "proof hidden-caller" }, icon(UNKNOWN, "Not known yet"), element("span", { class: "who" }, "Transfer"), why);
}

// The user whom we call: our server sends the call to devices that have logged in as this user, or to a proved partner only.
// *behalf* is the user for whom the call is made, empty for the own user.
export function proofOfCallee(address, own, behalf = "") {
  const why = element("span", { class: "why" }, ...organisation(address, own), ". Your server calls this user only.");
  const who = element("span", { class: "who" }, isolated(address));
  return element("div", { class: "proof" }, icon(CLOSED, "Verified"), who, why, ...called(behalf));
}

// What the user agrees to in a transfer: *address* asks for it, and *target* is its own word.
export function termsOfTransfer(address, target) {
  const asked = element("p", {}, isolated(address || "The hidden caller"), " asks you to leave this call, and to call ", element("strong", {}, isolated(target)), ".");
  return [asked, element("p", { class: "quiet" }, "The new call is made in your name, and at your cost.")];
}

// What the user agrees to if somebody else, whom *proof* shows, takes the place of *address*.
export function termsOfReplacement(proof, address) {
  return [proof, element("p", {}, "wants to take the place of ", isolated(address || "the hidden caller"), " in this call.")];
}
