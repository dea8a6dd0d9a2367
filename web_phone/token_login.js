// A login by the tokens of a session: a token counts on one link, until it ends.
const SCHEME = "Bearer";

export class TokenLogin {
  constructor(agent, socket, session, failed) {
    this.agent = agent;
    this.socket = socket;
    this.session = session;
    this.failed = failed;
    this.timer = 0;
    this.hasRetried = false;
    agent.on("registered", () => this.wait());
    agent.on("disconnected", () => this.renew(false));
  }

  static header(session) {
    return `${SCHEME} ${session.token}`;
  }

  wait() {
    this.hasRetried = false;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.renew(true), this.session.lasts);
  }

  // A new link may have come up before its token: try once more.
  retries(event) {
    if (this.hasRetried || event.response?.status_code !== 401) return false;
    this.hasRetried = true;
    this.renew(true);
    return true;
  }

  stop() {
    clearTimeout(this.timer);
  }

  // The link ends before the page leaves: a browser may keep a page, with its link, for the way back.
  signOut() {
    this.stop();
    this.socket.disconnect();
    this.session.signOut();
  }

  // Renew the token, and log in with it on the link that is up; a link that comes up later logs in by itself.
  async renew(isUp) {
    clearTimeout(this.timer);
    try {
      await this.session.renew();
    } catch {
      this.failed();
      return;
    }
    this.agent.set("authorization_jwt", TokenLogin.header(this.session));
    if (isUp && this.agent.isConnected()) this.agent.register();
  }
}
