// Addresses of users: what is typed, and what the server has proved.

// As front ends write it: a name-addr (RFC 3325 section 9.1). Escapes stay as they are, so that no user can look like another.
const ASSERTED = /^(?:"(?:[^"\\]|\\.)*"\s*|[^"<>]*)<sips?:([^@<>"\s]+)@([^@<>:;?"\s]+)[^@<>]*>$/i;
const PLAIN = /^[^\s@<>"';:?&/\\]+@[a-z0-9.-]+$/i;

export const isAddress = (text) => PLAIN.test(text);

// Return "user@domain" of what somebody typed; empty if it is no address.
export function readAddress(typed) {
  const text = typed.trim().replace(/^sips?:/i, "");
  return isAddress(text) ? text.replace(/@.*$/, (host) => host.toLowerCase()) : "";
}

// Of a number, only what is dialled: people write it with spaces, brackets, dashes and strokes.
const NUMBER = /^\+?[\d*#][\d*#\s()./-]*$/;
const NAME = /^[^\s@<>"';:?&/\\]+$/;

// Return "user@domain" of what somebody typed to call: an address, a number, or the name of a user of the own domain.
export function readTarget(typed, own) {
  const text = typed.trim();
  if (text.includes("@")) return readAddress(text);
  const user = NUMBER.test(text) ? text.replace(/[^\d*#+]/g, "") : text;
  return NAME.test(user) ? `${user}@${domainOf(own)}` : "";
}

// A "#" is escaped in a URI (RFC 3261 section 25.1).
export const uriOf = (address) => `sip:${address.replace(/#/g, "%23")}`;
export const domainOf = (address) => address.slice(address.lastIndexOf("@") + 1);

// The address that our server asserts for the sender (RFC 3325). The server removes what a sender asserts of itself, and
// writes this field from what it has proved. From and Contact are never asked: they are the sender's own words.
export function provedSender(request) {
  for (const value of request.getHeaders("P-Asserted-Identity")) {
    const found = ASSERTED.exec(value.trim());
    if (found) return `${found[1]}@${found[2].toLowerCase()}`;
  }
  return "";
}

// The user or group that was called first, if the call was led from there to *own*, empty otherwise (RFC 7044). Our server writes
// this field, and removes it where its sender has named an address that is not its own to use.
const FIRST = /^<sips?:([^@<>"\s;]+)@([^@<>:;?"\s]+)(?:[;?][^@<>]*)?>/i;

export function firstCalled(request, own) {
  const found = FIRST.exec((request.getHeader("History-Info") ?? "").trim());
  const address = found ? `${found[1]}@${found[2].toLowerCase()}` : "";
  return address === own ? "" : address;
}

// Whether our server has verified that the organisation of *address* has signed this call (RFC 8224). The server removes this
// field where anybody else has written it.
export function isSigned(request, address) {
  const found = ASSERTED.exec((request.getHeader("Verified-Identity") ?? "").trim());
  return found !== null && `${found[1]}@${found[2].toLowerCase()}` === address;
}

// The address to which a REFER sends us. It is the sender's own word.
export function targetOf(request) {
  const { user, host } = request.refer_to.uri;
  return user ? `${user}@${host}` : host;
}

export const claimedName = (request) => request.from?.display_name ?? "";
