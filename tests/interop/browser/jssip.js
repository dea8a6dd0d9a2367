// A phone made with JsSIP.
import JsSIP from "jssip";
import { happened, listen, media, until } from "./events.js";

const audio = { mediaConstraints: { audio: true, video: false }, pcConfig: { iceServers: [] } };
let agent, session;

function follow(one) {
  session = one;
  if (session.connection) listen(session.connection);
  session.on("peerconnection", (event) => listen(event.peerconnection));
  session.on("confirmed", () => happened("confirmed"));
  session.on("ended", (event) => happened("ended", event.cause));
  session.on("failed", (event) => happened("failed", event.cause));
}

window.phone = {
  until,
  start({ server, user, password, domain }) {
    const sockets = [new JsSIP.WebSocketInterface(server)];
    agent = new JsSIP.UA({ sockets, uri: `sip:${user}@${domain}`, password, register_expires: 300, session_timers: false });
    agent.on("registered", () => happened("registered"));
    agent.on("registrationFailed", (event) => happened("failed", event.cause));
    agent.on("disconnected", (event) => happened("disconnected", event.code));
    agent.on("newMessage", (event) => event.originator === "remote" && happened("message", event.request.body));
    agent.on("newRTCSession", (event) => {
      follow(event.session);
      if (event.originator === "remote") event.session.answer(audio);
    });
    agent.start();
  },
  write(uri, text) {
    const eventHandlers = {
      succeeded: (event) => happened("sent", event.response.status_code),
      failed: (event) => happened("failed", event.cause),
    };
    agent.sendMessage(uri, text, { eventHandlers });
  },
  call: (uri) => void agent.call(uri, audio),
  hangUp: () => session.terminate(),
  media: (packets) => media(session.connection, packets),
  stop: () => agent.stop(),
};
