// The call that is shown, and the one on hold beside it: who is there, how far it is, and which buttons count.
import { clock } from "./call.js";
import { by, isolated } from "./text.js";

const EACH_MS = 1_000;

async function isEncrypted(connection) {
  const reports = [...(await connection.getStats()).values()];
  return reports.some((report) => report.type === "transport" && report.dtlsState === "connected" && report.srtpCipher);
}

function stateOf(call) {
  if (call.text) return call.text;
  if (call.isHeld) return "On hold";
  return call.heldByOther ? "The other side has put you on hold" : "Connected";
}

export class CallPanel {
  constructor() {
    Object.assign(this, { shown: null, timer: 0 });
  }

  // *isLinked*: the server can be reached, which each change of a call needs.
  show(shown, parked, { canCall, isLinked }) {
    const before = by("call").hidden;
    this.shown = shown;
    by("call").hidden = !shown;
    by("parked").hidden = !parked;
    by("dial").disabled = by("dial-form-button").disabled = !canCall;
    if (parked) by("parked-who").replaceChildren(parked.address ? isolated(parked.address) : "Hidden caller");
    by("heard").srcObject = shown?.stream ?? null;
    clearInterval(this.timer);
    if (!shown) return;
    if (by("call-proof").firstChild !== shown.proof) by("call-proof").replaceChildren(shown.proof);
    by("call-state").textContent = stateOf(shown);
    this.showButtons(shown, parked, isLinked);
    this.timer = setInterval(() => this.tick(shown), EACH_MS);
    void this.tick(shown);
    if (before) by("hang-up").focus();
  }

  showButtons(call, parked, isLinked) {
    const canChange = isLinked && call.isUp;
    const muted = Boolean(call.session.isMuted().audio);
    by("mute").setAttribute("aria-pressed", String(muted));
    by("mute").textContent = muted ? "Muted" : "Mute";
    by("hold").setAttribute("aria-pressed", String(call.isHeld));
    by("hold").textContent = call.isHeld ? "Resume" : "Hold";
    by("hold").disabled = !canChange || call.isChanging;
    for (const id of ["keypad-open", "transfer-open"]) by(id).disabled = !call.isUp;
    for (const id of ["swap", "connect"]) by(id).disabled = !canChange || call.isChanging || Boolean(parked?.isChanging);
  }

  async tick(call) {
    by("call-time").textContent = call.answeredAt ? clock(call.seconds) : "";
    const encrypted = call.answeredAt && (await isEncrypted(call.session.connection).catch(() => false));
    if (call !== this.shown) return;
    by("call-media").textContent = encrypted ? "Audio is encrypted to the other side (DTLS-SRTP)" : "";
  }

  // Open or close the field for the target of a transfer.
  openTransfer(on) {
    by("transfer-form").hidden = !on;
    by("transfer-open").setAttribute("aria-expanded", String(on));
    by("transfer-error").textContent = "";
    if (on) by("transfer-to").focus();
    else by("transfer-to").value = "";
  }
}
