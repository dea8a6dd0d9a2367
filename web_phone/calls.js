// The calls of the user: the one that is shown, one on hold beside it, and one that rings. Audio with DTLS-SRTP and ICE.
import RTCSession from "jssip/lib/RTCSession.js";
import { claimedName, firstCalled, isSigned, provedSender, readTarget, targetOf, uriOf } from "./address.js";
import { Call, wasAnsweredElsewhere } from "./call.js";
import { CallPanel } from "./call_panel.js";
import { Keypad } from "./keypad.js";
import { proofOfAnswer, proofOfCallee, proofOfSender, proofOfTransfer, termsOfReplacement, termsOfTransfer } from "./proof.js";
import { Question } from "./question.js";
import { LOST, reasonOf } from "./reasons.js";
import { by } from "./text.js";
import { allowsInfo, sendKey } from "./tones.js";

const BUSY = { status_code: 486 };
const CANCELLED = 487;
const ENDED = "The call has ended.";
const ELSEWHERE = { status_code: 200, reason_phrase: "Call completed elsewhere" }; // RFC 3326

export class Calls {
  // *profile* has the servers for media, *devices* the microphone, *ring* the sound, *presence* says whether the user wants to be
  // disturbed, *cancels* tells of cancelled requests, *alerts*, *history* and *notifier* are told of calls. *ended* gets the address of the
  // other side, empty if it hides, and a sentence.
  constructor(own, { profile, devices, ring, presence, cancels, alerts, history, notifier }, ended) {
    Object.assign(this, { own, profile, devices, ring, presence, cancels, alerts, history, notifier, ended });
    Object.assign(this, { shown: null, parked: null, ringing: null, panel: new CallPanel(), question: new Question() });
    Object.assign(this, { isLinked: true, unended: [] });
    this.keypad = new Keypad((key) => this.press(key));
    const buttons = { answer: "answer", decline: "decline", "hang-up": "hangUp", mute: "mute", hold: "hold", swap: "swap", connect: "connect" };
    for (const [id, act] of Object.entries(buttons)) by(id).onclick = () => this[act]();
    by("transfer-open").onclick = () => this.panel.openTransfer(by("transfer-form").hidden);
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
    return { mediaConstraints: this.devices.constraints, pcConfig: { iceServers: this.profile.servers } };
  }

  // Call *address*; *hidden*: the other side does not learn who calls (RFC 3323). *behalf* is the user for whom this one calls, as
  // a delegate: the server proves that, and shows both. *replaces* names the call that it picks up.
  call(agent, address, { hidden = false, behalf = "", replaces = "" } = {}) {
    if (!this.hasPlace || this.ringing) return;
    if (!this.isLinked) {
      this.ended(address, LOST);
      return;
    }
    this.park();
    this.dialled = { address, proof: proofOfCallee(address, this.own, behalf) };
    const extraHeaders = behalf ? [`P-Preferred-Identity: <${uriOf(behalf)}>`] : [];
    if (replaces) extraHeaders.push(`Replaces: ${replaces}`, "Require: replaces");
    agent.call(uriOf(address), { ...this.media(), anonymous: hidden, extraHeaders });
  }

  // Take a session that JsSIP has made: ours, or that of a caller. Without a place for it the caller hears that we are busy.
  begin({ session, request, originator }) {
    if (this.all.some((call) => call.session === session)) return; // a transfer has put it there
    if (originator === "local") {
      const { address, proof } = this.dialled;
      this.shown = this.follow(new Call(session, address, { isOurs: true, proof, text: "Calling\u2026" }));
      this.awaitPickUp(this.shown);
    } else {
      this.offered(session, request);
    }
    this.show();
  }

  offered(session, request) {
    const address = provedSender(request);
    const signed = isSigned(request, address);
    const first = firstCalled(request, this.own);
    const call = new Call(session, address, { isOurs: false, proof: proofOfSender(address, this.own, [], signed, first) });
    const whyNot = this.presence.isQuiet ? "You did not want to be disturbed." : this.ringing || !this.hasPlace ? "You were in a call." : "";
    if (whyNot) {
      this.history.add(call, whyNot, true);
      session.terminate(BUSY);
      return;
    }
    call.takesInfo = allowsInfo(request);
    this.ringing = this.follow(call);
    const claims = [["Calls itself", claimedName(request)], ["Subject", request.getHeader("Subject")]];
    by("incoming-proof").replaceChildren(proofOfSender(address, this.own, claims, signed, first));
    by("answer").textContent = this.shown ? "Hold and answer" : "Answer";
    by("incoming").hidden = false;
    by("incoming").focus(); // not its button: whoever is writing a message would answer with the next key
    this.alerts.ringing(address || "A hidden caller");
    this.ring.start();
    this.notifier.rings(call);
  }

  // Follow a session. *before* is the call whose place it takes in a transfer.
  follow(call, before = null) {
    const { session } = call;
    const shown = (act) => (event) => call === this.shown && act(event);
    const listen = (connection) => connection.addEventListener("track", (event) => this.heard(call, event));
    if (session.connection) listen(session.connection);
    session.on("peerconnection", ({ peerconnection }) => listen(peerconnection));
    session.on("progress", () => call.isOurs && this.say(call, "Ringing\u2026"));
    session.on("accepted", ({ response }) => response && this.accepted(call, response));
    session.on("confirmed", () => this.connected(call, before));
    for (const change of ["reinvite", "update"]) session.on(change, ({ request }) => this.prove(call, request, proofOfSender));
    for (const change of ["hold", "unhold"]) session.on(change, ({ originator }) => this.held(call, originator, change === "hold"));
    session.on("refer", shown((event) => this.transferred(call, event)));
    session.on("refer", (event) => call !== this.shown && event.reject());
    session.on("replaces", (event) => this.replaced(call, event));
    session.on("ended", () => this.over(call, ENDED));
    session.on("failed", (event) => (before?.isUp && call === this.shown ? this.goBack(before) : this.over(call, session._ua.isConnected() ? reasonOf(event) : LOST, event)));
    return call;
  }

  // The link to the server is lost. A caller who was not answered yet gets no answer any more, and JsSIP ends what we were
  // calling. A call that is up goes on: its audio needs no server.
  linkLost() {
    this.isLinked = false;
    this.question.settle("refused");
    for (const { isOurs, isUp, session } of this.all) if (!isOurs && !isUp) session.terminate();
    this.show();
  }

  // There is a link again. Send the BYE of each call that the user has ended meanwhile. Ask for each other call whether it still
  // exists: the other side may have ended it, and its BYE did not arrive.
  linkBack() {
    this.isLinked = true;
    for (const session of this.unended.splice(0)) if (!session.isEnded()) session.terminate();
    for (const call of this.all) if (call.isUp) call.check();
    this.show();
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

  accepted(call, response) {
    call.takesInfo = allowsInfo(response);
    this.prove(call, response, proofOfAnswer);
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

  // While our call rings, a delegate of the other side may pick it up: INVITE with Replaces, for which JsSIP has no answer then.
  awaitPickUp(call) {
    const { session } = call;
    const receive = session.receiveRequest.bind(session);
    session.receiveRequest = (request) => (request.method === "INVITE" && !call.isUp ? this.pickedUp(call, request) : receive(request));
  }

  // Only who speaks for the user whom we have called gets the call: the server proves that. Our first call ends.
  pickedUp(call, request) {
    const { session, address } = call;
    if (call !== this.shown || provedSender(request) !== address) {
      request.reply(BUSY.status_code);
      return;
    }
    new RTCSession(session._ua).init_incoming(request, (taken) => {
      call.isOver = true;
      this.shown = this.follow(new Call(taken, address, { isOurs: false, proof: proofOfAnswer(address, this.own) }));
      taken.answer(this.media());
      session.terminate(ELSEWHERE);
    });
    this.show();
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
    const call = this.shown;
    if (!call) return;
    if (this.isLinked || !call.isUp) {
      call.session.terminate();
      return;
    }
    const { connection } = call.session;
    for (const { track } of connection.getSenders()) track?.stop();
    connection.close();
    this.unended.push(call.session);
    this.over(call, ENDED);
  }

  hold() {
    if (this.shown) this.change(this.shown, !this.shown.isHeld);
  }

  // Put the call that is shown on hold beside the one that follows.
  park() {
    if (!this.shown) return;
    this.change(this.shown, true);
    this.turnTo(null, this.shown);
  }

  change(call, toHold) {
    call.hold(toHold, () => this.show());
    this.show();
  }

  // Show another call: what was open for the one before is closed.
  turnTo(shown, parked) {
    if (shown !== this.shown) {
      this.keypad.open(false);
      this.panel.openTransfer(false);
    }
    Object.assign(this, { shown, parked });
  }

  swap() {
    if (!this.parked || !this.shown?.isUp) return;
    this.turnTo(this.parked, this.shown);
    this.change(this.parked, true);
    this.change(this.shown, false);
  }

  mute() {
    if (!this.shown) return;
    const { session } = this.shown;
    if (session.isMuted().audio) session.unmute({ audio: true });
    else session.mute({ audio: true });
    this.show();
  }

  press(key) {
    const wrong = this.shown?.isUp ? sendKey(this.shown, key, this.isLinked) : "";
    if (wrong) this.ended(this.shown.address, wrong);
  }

  // Send the other side of the call that is shown to *address*.
  transfer(address) {
    by("transfer-error").textContent = !this.isLinked ? LOST : address ? "" : "Write a name, a number or an address.";
    if (address && this.isLinked && this.shown?.isUp) this.refer(this.shown, address, {}, [this.shown]);
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
    this.notifier.rings(null);
    this.alerts.silent();
    by("incoming").hidden = true;
  }

  over(call, why, event = null) {
    if (call.isOver) return;
    call.isOver = true;
    const text = call.isDeclined ? "You have declined the call." : why;
    const isMissed = call === this.ringing && !call.isDeclined && !wasAnsweredElsewhere(event);
    this.history.add(call, isMissed || call.answeredAt ? "" : text, isMissed);
    if (call === this.ringing) this.stopRinging();
    else if (call === this.parked) this.parked = null;
    else if (call === this.shown) this.left();
    else return; // another call has taken its place in a transfer
    this.show();
    this.ended(call.address, isMissed ? "You have missed a call." : text);
    if (!this.all.length) (by("conversation").hidden ? by("target") : by("text")).focus();
  }

  // The call that was shown is over: the one on hold is shown, and stays on hold until the user goes on.
  left() {
    this.question.settle("refused");
    by("call-media").textContent = "";
    this.turnTo(this.parked, null);
  }

  show() {
    this.panel.show(this.shown, this.parked, { canCall: !this.ringing && this.hasPlace, isLinked: this.isLinked });
  }
}
