// Keeps a phone made with SIP.js registered: SIP.js itself connects once, and registers once.
import { UserAgentState } from "sip.js";

const FIRST_S = 1, LONGEST_S = 30, AFTER_503_S = 5;

// Registers on each connection of `agent`, and connects again when the connection is lost. `refused` gets other refusals
// of a REGISTER than 5xx, such as 403. Call it before `agent.start()`.
export function stayRegistered(agent, registerer, refused) {
  // Half a pause more or less, so that the pages of a server that has restarted do not come at the same time.
  const later = (action, seconds) =>
    setTimeout(() => agent.state === UserAgentState.Started && action(), 1000 * seconds * (0.5 + Math.random()));
  const register = () =>
    registerer
      .register({
        requestDelegate: {
          onReject: ({ message }) => (message.statusCode >= 500 ? later(register, AFTER_503_S) : refused(message)),
        },
      })
      .catch(() => later(register, AFTER_503_S)); // the REGISTER before this one has no answer yet
  const connect = (seconds) =>
    agent.reconnect().catch(() => later(() => connect(Math.min(2 * seconds, LONGEST_S)), seconds));
  agent.delegate.onConnect = register;
  agent.delegate.onDisconnect = (error) => error && connect(FIRST_S); // without an error, the page has disconnected
}
