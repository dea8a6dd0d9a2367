// Documents that say which calls ring at a user (RFC 4235).
import { readAddress } from "./address.js";
import { escaped, unescaped } from "./xml.js";

export const EVENT = "dialog";
export const TYPE = "application/dialog-info+xml";
const LONGEST = 16_384; // characters of a document that are looked at
const MOST = 10;
const END = /<\/(?:[\w.-]+:)?dialog>/;
const BEGIN = /<(?:[\w.-]+:)?dialog\s[^<>]*>/g;
const STATE = /<(?:[\w.-]+:)?state(?:\s[^<>]*)?>\s*(\w+)/;
const REMOTE = /<(?:[\w.-]+:)?remote\b/;
const IDENTITY = /<(?:[\w.-]+:)?identity(?:\s[^<>]*)?>([^<]*)</;
const CALL_ID = /^[^\s<>"';,]{1,200}$/;
const TAG = /^[\w.!%*+~-]{1,100}$/;

// Write a document. *ringing* has the identifiers of the call that rings at *own*, and the address of its caller; null: none does.
export function writeDialogs(own, version, ringing) {
  const document_ = `<?xml version="1.0"?><dialog-info xmlns="urn:ietf:params:xml:ns:dialog-info" version="${version}" state="full" entity="sip:${escaped(own)}">`;
  if (!ringing) return `${document_}</dialog-info>`;
  const { callId, localTag, remoteTag, address } = ringing;
  const names = `id="1" call-id="${escaped(callId)}" local-tag="${escaped(localTag)}" remote-tag="${escaped(remoteTag)}" direction="recipient"`;
  return `${document_}<dialog ${names}><state>early</state><remote><identity>sip:${escaped(address)}</identity></remote></dialog></dialog-info>`;
}

// Read the calls that ring. What cannot be written into a header field is left out.
export function readDialogs(body) {
  const parts = String(body).slice(0, LONGEST).split(END).slice(0, -1);
  return parts.map(readDialog).filter(Boolean).slice(0, MOST);
}

function readDialog(part) {
  const begin = part.match(BEGIN)?.at(-1) ?? "";
  const inside = part.slice(part.lastIndexOf(begin));
  const valueOf = (name) => unescaped(new RegExp(`\\s${name}\\s*=\\s*["']([^"'<>]*)["']`).exec(begin)?.[1] ?? "");
  const address = readAddress(unescaped(IDENTITY.exec(inside.split(REMOTE)[1] ?? "")?.[1] ?? ""));
  const [callId, localTag, remoteTag] = ["call-id", "local-tag", "remote-tag"].map(valueOf);
  const rings = valueOf("direction") === "recipient" && STATE.exec(inside)?.[1] === "early";
  return rings && address && CALL_ID.test(callId) && TAG.test(localTag) && TAG.test(remoteTag) ? { callId, localTag, remoteTag, address } : null;
}
