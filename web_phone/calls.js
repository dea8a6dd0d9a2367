// The calls of the user: the one that is shown, one on hold beside it, and one that rings. Audio with DTLS-SRTP and ICE.
import { claimedName, isSigned, provedSender, readTarget, targetOf, uriOf } from "./address.js";
import { Call, clock, wasAnsweredElsewhere } from "./call.js";
import { Keypad } from "./keypad.js";
import { proofOfAnswer, proofOfCallee, proofOfSender, proofOfTransfer, termsOfReplacement, termsOfTransfer } from "./proof.js";
import { Question } from "./question.js";
import { reasonOf } from "./reasons.js";
import { Ring } from "./ring.js";
import { by, isolated } from "./text.js";

const BUSY = { status_code: 486 };
const CANCELLED = 487;
const EACH_MS = 1_000;
const AS_AUDIO = { transportType: "RFC2833" };

async function isEncrypted(connection) {
  const reports = [...(await connection.getStats()).values()];
  return reports.some((report) => report.type === "transport" && report.dtlsState === "connected" && report.srtpCipher);
}

export class Calls {
  // *relays* has the servers for media, *devices* the microphone, *cancels* tells of cancelled requests, *alerts* and *history* are
  // told of calls. *ended* gets the address of the other side, empty if it hides, and a sentence.
  constructor(own, { relays, devices, cancels, alerts, history }, ended) {
    Object.assign(this, { own, relays, devices, cancels, alerts, history, ended, ring: new Ring(), question: new Question() });
    Object.assign(this, { shown: null, parked: null, ringing: null, timer: 0 });
    this.keypad = new Keypad((key) => this.shown?.isUp && this.shown.session.sendDTMF(key, AS_AUDIO));
    const buttons = { answer: "answer", decline: "decline", "hang-up": "hangUp", mute: "mute", hold: "hold", swap: "swap", "transfer-open": "openTransfer", connect: "connect" };
    for (const [id, act] of Object.entries(buttons)) by(id).onclick = () => this[act]();
    by("transfer-form").onsubmit = (event) => {
      event.preventDefault();
      this.transfer(readTarget(by("transfer-to").value, this.own));
    };
  }

  get all() {
    return [this.shown, this.parked, this.ringing].filter(Boolean);
  }

  // One call is shown and one is on hold: there is no place for a third.
  get hasPlace() {
    return !this.shown || (this.shown.isUp && !this.parked);
  }

  media() {
    return { mediaConstraints: this.devices.constraints, pcConfig: { iceServers: this.relays.servers } };
  }

  // Call *address*; *hidden*: the other side does not learn who calls (RFC 3323).
  call(agent, address, hidden = false) {
    if (!this.hasPlace || this.ringing) return;
    this.park();
    this.dialled = { address, proof: proofOfCallee(address, this.own) };
    agent.call(uriOf(address), { ...this.media(), anonymous: hidden });
  }

  // Take a session that JsSIP has made: ours, or that of a caller. Without a place for it the caller hears that we are busy.
  begin({ session, request, originator }) {
    if (this.all.some((call) => call.session === session)) return; // a transfer has put it there
    if (originator === "local") {
      const { address, proof } = this.dialled;
      this.shown = this.follow(new Call(session, address, { isOurs: true, proof, text: "Calling\u2026" }));
    } else {
      this.offered(session, request);
    }
    this.show();
  }

  offered(session, request) {
    const address = provedSender(request);
    const signed = isSigned(request, address);
    const call = new Call(session, address, { isOurs: false, proof: proofOfSender(address, this.own, [], signed) });
    if (this.ringing || !this.hasPlace) {
      this.history.add(call, "You were in a call.", true);
      session.terminate(BUSY);
      return;
    }
    this.ringing = this.follow(call);
    const claims = [["Calls itself", claimedName(request)], ["Subject", request.getHeader("Subject")]];
    by("incoming-proof").replaceChildren(proofOfSender(address, this.own, claims, signed));
    by("answer").textContent = this.shown ? "Hold and answer" : "Answer";
    by("incoming").hidden = false;
    by("incoming").focus(); // not its button: whoever is writing a message would answer with the next key
    this.alerts.ringing(address || "A hidden caller");
    this.ring.start();
  }

  // Follow a session. *before* is the call whose place it takes in a transfer.
  follow(call, before = null) {
    const { session } = call;
    const shown = (act) => (event) => call === this.shown && act(event);
    const listen = (connection) => connection.addEventListener("track", (event) => this.heard(call, event));
    if (session.connection) listen(session.connection);
    session.on("peerconnection", ({ peerconnection }) => listen(peerconnection));
    session.on("progress", () => call.isOurs && this.say(call, "Ringing\u2026"));
    session.on("accepted", ({ response }) => response && this.prove(call, response, proofOfAnswer));
    session.on("confirmed", () => this.connected(call, before));
    for (const change of ["reinvite", "update"]) session.on(change, ({ request }) => this.prove(call, request, proofOfSender));
    for (const change of ["hold", "unhold"]) session.on(change, ({ originator }) => this.held(call, originator, change === "hold"));
    session.on("refer", shown((event) => this.transferred(call, event)));
    session.on("refer", (event) => call !== this.shown && event.reject());
    session.on("replaces", (event) => this.replaced(call, event));
    session.on("ended", () => this.over(call, "The call has ended."));
    session.on("failed", (event) => (before?.isUp && call === this.shown ? this.goBack(before) : this.over(call, reasonOf(event), event)));
    return call;
  }

  heard(call, event) {
    call.stream = event.streams[0] ?? new MediaStream([event.track]);
    this.show();
  }

  say(call, text) {
    call.text = text;
    this.show();
  }

  // Show whom our server names in a message of the other side; a message without a name changes nothing.
  prove(call, message, proof) {
    const address = provedSender(message);
    if (!address) return;
    call.address = address;
    call.proof = proof(address, this.own);
    this.show();
  }

  held(call, originator, on) {
    if (originator === "remote") call.heldByOther = on;
    this.show();
  }

  // The other side sends us to a third one: REFER. The new call is ours, so the user is asked. If it fails, this one goes on.
  transferred(call, { request, accept, reject }) {
    const follow = (session) => {
      this.shown = this.follow(new Call(session, call.address, { isOurs: true, proof: proofOfTransfer(call.address), text: "Calling\u2026" }), call);
      this.show();
    };
    this.question.ask(termsOfTransfer(call.address, targetOf(request)), () => accept(follow, this.media()), reject);
  }

  // A third one wants the place of the other side: INVITE with Replaces. The user is asked: it hears what is said next. If the
  // third one gives up first, there is nothing to ask any more.
  replaced(call, { request, accept, reject }) {
    if (call !== this.shown) {
      reject();
      return;
    }
    const address = provedSender(request);
    const proof = () => proofOfSender(address, this.own, [], isSigned(request, address));
    const follow = (session) => {
      this.shown = this.follow(new Call(session, address, { isOurs: false, proof: proof() }), call);
      session.answer(this.media());
      this.show();
    };
    const withdraw = this.question.ask(termsOfReplacement(proof(), call.address), () => accept(follow), reject);
    if (withdraw) this.cancels.wait(request, () => withdraw() && request.reply(CANCELLED));
  }

  goBack(before) {
    before.proof = proofOfSender(before.address, this.own);
    this.shown = before;
    this.show();
  }

  // Buttons

  answer() {
    const call = this.ringing;
    if (!call) return;
    this.park();
    this.shown = call;
    this.stopRinging();
    this.say(call, "Connecting\u2026");
    call.session.answer(this.media());
  }

  decline() {
    if (!this.ringing) return;
    this.ringing.isDeclined = true;
    this.ringing.session.terminate(BUSY);
  }

  hangUp() {
    this.shown?.session.terminate();
  }

  hold() {
    this.shown?.hold(!this.shown.isHeld);
  }

  // Put the call that is shown on hold beside the one that follows.
  park() {
    if (!this.shown) return;
    this.shown.hold(true);
    [this.shown, this.parked] = [null, this.shown];
  }

  swap() {
    if (!this.parked || !this.shown?.isUp) return;
    this.shown.hold(true);
    [this.shown, this.parked] = [this.parked, this.shown];
    this.shown.hold(false);
    this.show();
  }

  mute() {
    if (!this.shown) return;
    const { session } = this.shown;
    if (session.isMuted().audio) session.unmute({ audio: true });
    else session.mute({ audio: true });
    this.show();
  }

  openTransfer() {
    by("transfer-form").hidden = !by("transfer-form").hidden;
    by("transfer-open").setAttribute("aria-expanded", String(!by("transfer-form").hidden));
    if (!by("transfer-form").hidden) by("transfer-to").focus();
  }

  // Send the other side of the call that is shown to *address*.
  transfer(address) {
    by("transfer-error").textContent = address ? "" : "Write a name, a number or an address.";
    if (address && this.shown?.isUp) this.refer(this.shown, address, {}, [this.shown]);
  }

  // Connect both other sides with each other: the one on hold calls the one that is shown, in our place.
  connect() {
    if (this.parked && this.shown?.isUp) this.refer(this.parked, this.shown.address, { replaces: this.shown.replaces }, [this.parked, this.shown]);
  }

  // Our calls end once the other side has reached the new one; until then they go on.
  refer(call, address, options, ending) {
    this.say(call, "Transferring\u2026");
    const failed = () => {
      this.say(call, "");
      this.ended(call.address, "The transfer did not work. The call goes on.");
    };
    const accepted = () => {
      for (const each of ending) if (!each.isOver) each.session.terminate();
    };
    call.session.refer(uriOf(address), { ...options, eventHandlers: { requestFailed: failed, failed, accepted } });
  }

  useMicrophone() {
    for (const { session } of this.all) if (session.connection && !session.isEnded()) void this.devices.useMicrophone(session.connection);
  }

  endAll() {
    for (const { session } of this.all) session.terminate();
  }

  // What changes

  connected(call, before) {
    if (before?.isUp) before.session.terminate();
    call.answeredAt = Date.now();
    void this.devices.show(); // the browser names them now
    this.say(call, "");
  }

  stopRinging() {
    this.ringing = null;
    this.ring.stop();
    this.alerts.silent();
    by("incoming").hidden = true;
  }

  over(call, text, event = null) {
    if (call.isOver) return;
    call.isOver = true;
    const isMissed = call === this.ringing && !call.isDeclined && !wasAnsweredElsewhere(event);
    this.history.add(call, text, isMissed);
    if (call === this.ringing) this.stopRinging();
    else if (call === this.parked) this.parked = null;
    else if (call === this.shown) this.left();
    else return; // another call has taken its place in a transfer
    this.show();
    this.ended(call.address, text);
    if (!this.all.length) (by("conversation").hidden ? by("target") : by("text")).focus();
  }

  // The call that was shown is over: the one on hold is shown, and stays on hold until the user goes on.
  left() {
    this.question.settle("refused");
    this.keypad.open(false);
    by("transfer-form").hidden = true;
    by("transfer-error").textContent = by("transfer-to").value = by("call-media").textContent = "";
    [this.shown, this.parked] = [this.parked, null];
  }

  stateOf(call) {
    if (call.text) return call.text;
    if (call.isHeld) return "On hold";
    return call.heldByOther ? "The other side has put you on hold" : "Connected";
  }

  show() {
    const { shown, parked } = this;
    const before = by("call").hidden;
    by("call").hidden = !shown;
    by("parked").hidden = !parked;
    by("dial").disabled = by("dial-form-button").disabled = Boolean(this.ringing) || !this.hasPlace;
    if (parked) by("parked-who").replaceChildren(parked.address ? isolated(parked.address) : "Hidden caller");
    by("heard").srcObject = shown?.stream ?? null;
    clearInterval(this.timer);
    if (!shown) return;
    if (by("call-proof").firstChild !== shown.proof) by("call-proof").replaceChildren(shown.proof);
    by("call-state").textContent = this.stateOf(shown);
    this.showButtons(shown);
    this.timer = setInterval(() => this.tick(shown), EACH_MS);
    void this.tick(shown);
    if (before) by("hang-up").focus();
  }

  showButtons(call) {
    const muted = Boolean(call.session.isMuted().audio);
    by("mute").setAttribute("aria-pressed", String(muted));
    by("mute").textContent = muted ? "Muted" : "Mute";
    by("hold").setAttribute("aria-pressed", String(call.isHeld));
    by("hold").textContent = call.isHeld ? "Go on" : "Hold";
    for (const id of ["hold", "keypad-open", "transfer-open"]) by(id).disabled = !call.isUp;
    for (const id of ["swap", "connect"]) by(id).disabled = !call.isUp;
  }

  async tick(call) {
    by("call-time").textContent = call.answeredAt ? clock(call.seconds) : "";
    const encrypted = call.answeredAt && (await isEncrypted(call.session.connection).catch(() => false));
    if (call !== this.shown) return;
    by("call-media").textContent = encrypted ? "Audio is encrypted to the other side (DTLS-SRTP)" : "";
  }
}
