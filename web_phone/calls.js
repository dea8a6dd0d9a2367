// One call at a time: audio with DTLS-SRTP and ICE.
import { claimedName, isSigned, provedSender, targetOf, uriOf } from "./address.js";
import { proofOfAnswer, proofOfCallee, proofOfSender, proofOfTransfer, termsOfReplacement, termsOfTransfer } from "./proof.js";
import { Question } from "./question.js";
import { reasonOf } from "./reasons.js";
import { Ring } from "./ring.js";
import { by } from "./text.js";

const AUDIO = { audio: true, video: false };
const BUSY = { status_code: 486 };
const CANCELLED = 487;
const EACH_MS = 1_000;

function listen(connection) {
  connection.addEventListener("track", (event) => {
    by("heard").srcObject = event.streams[0] ?? new MediaStream([event.track]);
  });
}

async function isEncrypted(connection) {
  const reports = [...(await connection.getStats()).values()];
  return reports.some((report) => report.type === "transport" && report.dtlsState === "connected" && report.srtpCipher);
}

export class Calls {
  // *relays* has the servers for media, *cancels* tells of cancelled requests. *ended* gets the address of the other side, empty
  // if it hides, and a sentence.
  constructor(own, relays, cancels, ended) {
    Object.assign(this, { own, relays, cancels, ended, session: null, address: "", ring: new Ring(), question: new Question() });
    by("answer").onclick = () => this.answer();
    by("decline").onclick = () => this.session?.terminate(BUSY);
    by("hang-up").onclick = () => this.session?.terminate();
    by("mute").onclick = () => this.mute();
  }

  call(agent, address) {
    if (this.session) return;
    this.address = address;
    by("call-proof").replaceChildren(proofOfCallee(address, this.own));
    this.state("Calling\u2026");
    agent.call(uriOf(address), this.media());
  }

  media() {
    return { mediaConstraints: AUDIO, pcConfig: { iceServers: this.relays.servers } };
  }

  // Take a session that JsSIP has made: ours, or that of a caller. A second caller hears that we are busy.
  begin({ session, request, originator }) {
    if (session === this.session) return; // a transfer has put it there
    if (this.session) {
      session.terminate(BUSY);
      return;
    }
    this.session = session;
    this.follow(session, originator);
    if (originator === "remote") this.offer(request);
  }

  // *before* is the session whose place this one takes in a transfer.
  follow(session, originator, before = null) {
    const current = (act) => (event) => session === this.session && act(event);
    if (session.connection) listen(session.connection);
    session.on("peerconnection", ({ peerconnection }) => listen(peerconnection));
    session.on("progress", current(() => originator === "local" && this.state("Ringing\u2026")));
    session.on("accepted", current(({ response }) => response && this.prove(response, proofOfAnswer)));
    session.on("confirmed", current(() => this.connected(before)));
    for (const change of ["reinvite", "update"]) session.on(change, current(({ request }) => this.prove(request, proofOfSender)));
    session.on("refer", (event) => this.transferred(session, event));
    session.on("replaces", (event) => this.replaced(session, event));
    session.on("ended", current(() => this.end("The call has ended.")));
    session.on("failed", current((event) => (before?.isEstablished() ? this.goBack(before) : this.end(reasonOf(event)))));
  }

  // Show whom our server names in a message of the other side; a message without a name changes nothing.
  prove(message, proof) {
    const address = provedSender(message);
    if (!address) return;
    this.address = address;
    by("call-proof").replaceChildren(proof(address, this.own));
  }

  // The other side sends us to a third one: REFER. The new call is ours, so the user is asked. If it fails, this one goes on.
  transferred(session, { request, accept, reject }) {
    if (session !== this.session) {
      reject();
      return;
    }
    const follow = (next) => {
      by("call-proof").replaceChildren(proofOfTransfer(this.address));
      this.session = next;
      this.follow(next, "local", session);
    };
    this.question.ask(termsOfTransfer(this.address, targetOf(request)), () => accept(follow, this.media()), reject);
  }

  // A third one wants the place of the other side: INVITE with Replaces. The user is asked: it hears what is said next. If the
  // third one gives up first, there is nothing to ask any more.
  replaced(session, { request, accept, reject }) {
    if (session !== this.session) {
      reject();
      return;
    }
    const follow = (next) => {
      this.session = next;
      this.follow(next, "remote", session);
      this.address = provedSender(request);
      by("call-proof").replaceChildren(proofOfSender(this.address, this.own, [], isSigned(request, this.address)));
      next.answer(this.media());
    };
    const address = provedSender(request);
    const terms = termsOfReplacement(proofOfSender(address, this.own, [], isSigned(request, address)), this.address);
    const withdraw = this.question.ask(terms, () => accept(follow), reject);
    if (withdraw) this.cancels.wait(request, () => withdraw() && request.reply(CANCELLED));
  }

  goBack(before) {
    this.session = before;
    by("call-proof").replaceChildren(proofOfSender(this.address, this.own));
    this.state("Connected");
  }

  offer(request) {
    this.address = provedSender(request);
    const claims = [["Calls itself", claimedName(request)], ["Subject", request.getHeader("Subject")]];
    const signed = isSigned(request, this.address);
    by("incoming-proof").replaceChildren(proofOfSender(this.address, this.own, claims, signed));
    by("call-proof").replaceChildren(proofOfSender(this.address, this.own, [], signed));
    by("incoming").hidden = false;
    by("incoming").focus(); // not its button: whoever is writing a message would answer with the next key
    by("dial").disabled = true;
    this.ring.start();
  }

  answer() {
    this.ring.stop();
    by("incoming").hidden = true;
    this.state("Connecting\u2026");
    this.session.answer(this.media());
  }

  state(text) {
    by("call-state").textContent = text;
    by("dial").disabled = true;
    if (!by("call").hidden) return;
    by("call").hidden = false;
    by("hang-up").focus();
  }

  connected(before) {
    if (before?.isEstablished()) before.terminate();
    clearInterval(this.timer);
    this.state("Connected");
    const began = Date.now();
    const { connection } = this.session;
    const tick = async () => {
      const seconds = Math.floor((Date.now() - began) / EACH_MS);
      by("call-time").textContent = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
      if (await isEncrypted(connection)) by("call-media").textContent = "Audio is encrypted to the other side (DTLS-SRTP)";
    };
    this.timer = setInterval(tick, EACH_MS);
    void tick();
  }

  mute() {
    const muted = !this.session?.isMuted().audio;
    if (!this.session) return;
    if (muted) this.session.mute({ audio: true });
    else this.session.unmute({ audio: true });
    by("mute").setAttribute("aria-pressed", String(muted));
    by("mute").textContent = muted ? "Muted" : "Mute";
  }

  end(text) {
    clearInterval(this.timer);
    this.ring.stop();
    this.question.settle("refused");
    for (const id of ["incoming", "call"]) by(id).hidden = true;
    for (const id of ["call-time", "call-media"]) by(id).textContent = "";
    by("mute").setAttribute("aria-pressed", "false");
    by("mute").textContent = "Mute";
    by("heard").srcObject = null;
    by("dial").disabled = false;
    const { address } = this;
    this.session = null;
    this.address = "";
    this.ended(address, text);
    (by("conversation").hidden ? by("add") : by("text")).focus();
  }
}
