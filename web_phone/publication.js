// One PUBLISH of the user for itself (RFC 3903), which JsSIP does not have.
import OutgoingRequests from "jssip/lib/SIPMessage.js";
import RequestSender from "jssip/lib/RequestSender.js";
import { uriOf } from "./address.js";

// Send *body* of the media *type*, or no body if it is null; *answered* gets the final response, null if there is none.
export function publish(agent, own, fields, type, body, answered) {
  const headers = body === null ? fields : [...fields, `Content-Type: ${type}`];
  const request = new OutgoingRequests.OutgoingRequest("PUBLISH", agent.normalizeTarget(uriOf(own)), agent, null, headers, body);
  const none = () => answered(null);
  const heard = (response) => response.status_code >= 200 && answered(response);
  new RequestSender(agent, request, { onReceiveResponse: heard, onRequestTimeout: none, onTransportError: none }).send();
}
