// How the keys of the keypad reach the other side.
import { LOST } from "./reasons.js";

const EVENTS = { transportType: "RFC2833" };
const REQUEST = { transportType: "INFO" };
const EVENTS_IN_AUDIO = /^a=rtpmap:\d+ telephone-event\//im;

// Whether the other side of a call allows INFO: *message* is its INVITE or its answer.
export function allowsInfo(message) {
  const methods = String(message?.getHeader?.("Allow") ?? "").split(",");
  return methods.some((method) => method.trim().toUpperCase() === "INFO");
}

// Whether the other side takes events in the audio: *connection* is the RTCPeerConnection of the call.
export const takesEvents = (connection) => EVENTS_IN_AUDIO.test(connection?.remoteDescription?.sdp ?? "");

// Send *key* in *call* as an event in the audio (RFC 4733), if the other side has them; else in an INFO, if it allows that.
// *isLinked*: the server can be reached. Returns a sentence if the key was not sent, empty if it was.
export function sendKey({ session, takesInfo }, key, isLinked) {
  const isInAudio = takesEvents(session.connection);
  if (!isInAudio && !takesInfo) return "The other side takes no keys.";
  if (!isInAudio && !isLinked) return LOST;
  try {
    session.sendDTMF(key, isInAudio ? EVENTS : REQUEST);
    return "";
  } catch {
    return "The audio is not connected yet: press the key again.";
  }
}
