// A phone made with JsSIP.
import JsSIP from "jssip";
import { candidates, happened, listen, media, trace, until } from "./events.js";

const audio = { mediaConstraints: { audio: true, video: false }, pcConfig: { iceServers: [] } };
let agent, session;
const sessions = [];

function follow(one) {
  session = one;
  sessions.push(one);
  if (session.connection) listen(session.connection);
  session.on("peerconnection", (event) => listen(event.peerconnection));
  session.on("refer", (event) => event.accept(follow, audio)); // without audio, its offer has no media
  session.on("replaces", (event) =>
    event.accept((replacing) => {
      follow(replacing);
      replacing.answer(audio);
    }),
  );
  session.on("confirmed", () => happened("confirmed"));
  session.on("ended", (event) => happened("ended", event.cause));
  session.on("failed", (event) => happened("failed", event.cause));
}

window.phone = {
  until,
  trace: () => trace.join("\n"),
  start({ server, user, password, domain, answers = true, expires = 300 }) {
    const sockets = [new JsSIP.WebSocketInterface(server)];
    agent = new JsSIP.UA({ sockets, uri: `sip:${user}@${domain}`, password, register_expires: expires, session_timers: false });
    agent.on("registered", () => happened("registered"));
    agent.on("registrationFailed", (event) => happened("failed", event.cause));
    agent.on("disconnected", (event) => happened("disconnected", event.code));
    agent.on("newMessage", (event) => event.originator === "remote" && happened("message", event.request.body));
    agent.on("newRTCSession", (event) => {
      follow(event.session);
      if (event.originator === "remote" && answers) event.session.answer(audio);
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
  callHidden: (uri) => void agent.call(uri, { ...audio, anonymous: true }),
  hangUp: () => session.terminate(),
  relay: (iceServers) => (audio.pcConfig = { iceServers, iceTransportPolicy: "relay" }),
  candidates: () => candidates(audio.pcConfig),
  media: (packets) => media(session.connection, packets),
  hold: () => session.hold(),
  resume: () => session.unhold(),
  dtmf: (digit) => session.sendDTMF(digit),
  transfer: (uri) => void session.refer(uri),
  connectCalls: () => void sessions[0].refer(sessions[1].remote_identity.uri, { replaces: sessions[1] }),
  register: () => agent.register(),
  unregister: () => agent.unregister(),
  subscribe(event, uri, type) {
    const one = agent.subscribe(uri, event, type, {});
    one.subscribe();
  },
  options: (uri) => void agent.sendOptions(uri),
  stop: () => agent.stop(),
};
