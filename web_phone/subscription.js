// Subscriptions of JsSIP: their end, and those that end with their one answer.
import { uriOf } from "./address.js";

// Without it, the timers of JsSIP would go on to refresh the subscription.
export function stop(subscription, agent) {
  subscription.removeAllListeners();
  if (subscription.state !== subscription.C.STATE_TERMINATED && agent.isConnected()) subscription.terminate();
}

// Text as a parameter of Event has it.
export const parameterOf = (text) => encodeURIComponent(text.trim()).replace(/[()]/g, (found) => `%${found.charCodeAt(0).toString(16)}`);

// Ask for the one document that the own user gets for *event*, "package;parameters": *heard* gets it, or *refused* the status.
// JsSIP writes no parameter of Event but "id", makes 900 of an Expires of 0, and keeps the status of an answer to itself.
export function askOnce(agent, own, event, heard, refused) {
  const asked = agent.subscribe(uriOf(own), event.split(";")[0], "application/json", { params: {} });
  let status = 0;
  asked._headers = asked._headers.map((field) => (field.startsWith("Event:") ? `Event: ${event}` : field.startsWith("Expires:") ? "Expires: 0" : field));
  const receive = asked._receiveSubscribeResponse.bind(asked);
  asked._receiveSubscribeResponse = (response) => {
    status = response.status_code;
    receive(response);
  };
  let over = false;
  const once = (act) => (...given) => {
    if (!over) act(...given);
    over = true;
  };
  asked.on("notify", once((_isFinal, _request, body) => heard(body)));
  asked.on("terminated", once(() => refused(status)));
  asked.subscribe();
}
