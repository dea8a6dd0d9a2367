// A phone made with SIP.js.
import { Inviter, Messager, Publisher, Registerer, SessionState, SIPExtension, Subscriber, UserAgent, Web } from "sip.js";
import { happened, listen, media, trace, until } from "./events.js";
import { stayRegistered } from "./sipjs_connection.js";

const constraints = { sessionDescriptionHandlerOptions: { constraints: { audio: true, video: false } } };
let agent, registerer, session;
const sessions = [];

function follow(one) {
  session = one;
  sessions.push(one);
  // By default SIP.js calls with the options of the first call again, which have its Contact by then: two Contacts.
  session.delegate = {
    onRefer: async (referral) => {
      await referral.accept();
      follow(referral.makeInviter({ ...constraints }));
      session.invite();
    },
  };
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
  trace: () => trace.join("\n"),
  async start({ server, user, password, domain, answers = true, expires = 300 }) {
    agent = new UserAgent({
      uri: UserAgent.makeURI(`sip:${user}@${domain}`),
      transportOptions: { server },
      authorizationUsername: user,
      contactName: user, // else it is random, and nobody can be transferred to this phone
      authorizationPassword: password,
      sipExtensionReplaces: SIPExtension.Supported, // else it takes an INVITE with Replaces as a second call
      logLevel: "error",
      sessionDescriptionHandlerFactoryOptions: { peerConnectionConfiguration: { iceServers: [] } },
      delegate: {
        onInvite: (invitation) => {
          follow(invitation);
          if (answers) invitation.accept(constraints);
          else invitation.progress();
        },
        onMessage: (message) => {
          message.accept();
          happened("message", message.request.body);
        },
      },
    });
    registerer = new Registerer(agent, { expires });
    registerer.stateChange.addListener((state) => state === "Registered" && happened("registered"));
    stayRegistered(agent, registerer, ({ statusCode }) => happened("failed", statusCode));
    await agent.start();
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
  callHidden(uri) {
    const sender = { fromUri: UserAgent.makeURI("sip:anonymous@anonymous.invalid"), fromDisplayName: "Anonymous" };
    follow(new Inviter(agent, UserAgent.makeURI(uri), { ...constraints, params: sender, extraHeaders: ["Privacy: id"] }));
    session.invite();
  },
  hold: () => session.invite({ sessionDescriptionHandlerModifiers: [Web.holdModifier] }),
  resume: () => session.invite({ sessionDescriptionHandlerModifiers: [] }),
  dtmf(digit) {
    const body = { contentDisposition: "render", contentType: "application/dtmf-relay", content: `Signal=${digit}\r\nDuration=160` };
    session.info({ requestOptions: { body } });
  },
  transfer: (uri) => void session.refer(UserAgent.makeURI(uri)),
  connectCalls: () => void sessions[0].refer(sessions[1]),
  register: () => void registerer.register(),
  unregister: () => void registerer.unregister(),
  subscribe(event, uri, type) {
    const one = new Subscriber(agent, UserAgent.makeURI(uri), event, { extraHeaders: [`Accept: ${type}`] });
    one.subscribe();
  },
  publish(uri, body) {
    new Publisher(agent, UserAgent.makeURI(uri), "presence", { body, contentType: "application/pidf+xml" }).publish(body);
  },
  // BYE, or CANCEL before there is an answer.
  hangUp: () => (session.state === SessionState.Established ? session.bye() : session.cancel()),
  relay(iceServers) {
    const options = agent.configuration.sessionDescriptionHandlerFactoryOptions;
    options.peerConnectionConfiguration = { iceServers, iceTransportPolicy: "relay" };
  },
  media: (packets) => media(session.sessionDescriptionHandler.peerConnection, packets),
  stop: () => agent.stop(),
};
