// Addresses of users: what is typed, and what the server has proved.
import JsSIP from "jssip";

const PLAIN = /^[^\s@<>"';:?&/\\]+@[a-z0-9.-]+$/i;

// Return "user@domain" of what somebody typed; empty if it is no address.
export function readAddress(typed) {
  const text = typed.trim().replace(/^sips?:/i, "");
  return PLAIN.test(text) ? text.replace(/@.*$/, (host) => host.toLowerCase()) : "";
}

export const uriOf = (address) => `sip:${address}`;
export const domainOf = (address) => address.slice(address.lastIndexOf("@") + 1);

// The address that our server asserts for the sender (RFC 3325). The server removes what a sender asserts of itself, and
// writes this field from what it has proved. From and Contact are never asked: they are the sender's own words.
export function provedSender(request) {
  for (const value of request.getHeaders("P-Asserted-Identity")) {
    const parsed = JsSIP.NameAddrHeader.parse(value);
    if (parsed?.uri?.scheme === "sip" && parsed.uri.user) return `${decodeURIComponent(parsed.uri.user)}@${parsed.uri.host.toLowerCase()}`;
  }
  return "";
}

export const claimedName = (request) => request.from?.display_name ?? "";
