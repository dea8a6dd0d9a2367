// A phone made with SIP.js.
import { Inviter, Messager, Registerer, SessionState, UserAgent } from "sip.js";
import { happened, listen, media, until } from "./events.js";

const constraints = { sessionDescriptionHandlerOptions: { constraints: { audio: true, video: false } } };
let agent, session;

function follow(one) {
  session = one;
  session.stateChange.addListener((state) => {
    if (state === SessionState.Established) {
      listen(session.sessionDescriptionHandler.peerConnection);
      happened("confirmed");
    }
    if (state === SessionState.Terminated) happened("ended");
  });
}

window.phone = {
  until,
  async start({ server, user, password, domain }) {
    agent = new UserAgent({
      uri: UserAgent.makeURI(`sip:${user}@${domain}`),
      transportOptions: { server },
      authorizationUsername: user,
      authorizationPassword: password,
      logLevel: "error",
      sessionDescriptionHandlerFactoryOptions: { peerConnectionConfiguration: { iceServers: [] } },
      delegate: {
        onInvite: (invitation) => {
          follow(invitation);
          invitation.accept(constraints);
        },
        onMessage: (message) => {
          message.accept();
          happened("message", message.request.body);
        },
        onDisconnect: (error) => happened("disconnected", error),
      },
    });
    await agent.start();
    const registerer = new Registerer(agent, { expires: 300 });
    registerer.stateChange.addListener((state) => state === "Registered" && happened("registered"));
    await registerer.register({ requestDelegate: { onReject: (response) => happened("failed", response.message.statusCode) } });
  },
  write(uri, text) {
    const requestDelegate = {
      onAccept: (response) => happened("sent", response.message.statusCode),
      onReject: (response) => happened("failed", response.message.statusCode),
    };
    new Messager(agent, UserAgent.makeURI(uri), text).message({ requestDelegate });
  },
  call(uri) {
    follow(new Inviter(agent, UserAgent.makeURI(uri), constraints));
    session.invite({ requestDelegate: { onReject: (response) => happened("failed", response.message.statusCode) } });
  },
  hangUp: () => session.bye(),
  media: (packets) => media(session.sessionDescriptionHandler.peerConnection, packets),
  stop: () => agent.stop(),
};
