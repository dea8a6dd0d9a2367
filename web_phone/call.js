// One call: its session of JsSIP, who is at the other end, and how far it is.

const LONGEST_REASON = 200;
const UNREACHED = [430, 480, 500, 503, 504];
const AGAIN_MS = 5_000;

export class Call {
  // *isOurs*: the user has called. *proof* is the element that says who is at the other end.
  constructor(session, address, { isOurs, proof, text = "" }) {
    Object.assign(this, { session, address, isOurs, proof, text, stream: null, answeredAt: 0, heldByOther: false, isOver: false, takesInfo: false, isChanging: false });
    this.began = Date.now();
    this.isDeclined = false;
  }

  get isUp() {
    return this.session.isEstablished();
  }

  get isHeld() {
    return this.session.isOnHold().local;
  }

  get seconds() {
    return this.answeredAt ? Math.floor((Date.now() - this.answeredAt) / 1_000) : 0;
  }

  // Ask the other side to hold, or to go on, and call *done* once it has agreed. JsSIP does nothing while another change is under way.
  hold(on, done) {
    const agreed = () => {
      this.isChanging = false;
      done();
    };
    const begins = on ? this.session.hold({}, agreed) : this.session.unhold({}, agreed);
    if (begins) this.isChanging = true;
  }

  // Ask the other side whether this call is still there (UPDATE, RFC 3311). If it says that there is none, the call ends; while
  // it cannot be reached, it is asked again.
  check() {
    const { session } = this;
    const again = ({ status_code }) => UNREACHED.includes(status_code) && setTimeout(() => this.isUp && this.check(), AGAIN_MS);
    session.sendRequest("UPDATE", { eventHandlers: { onDialogError: () => session.onDialogError(), onErrorResponse: again } });
  }

  // The parameters of Replaces (RFC 3891): to-tag is the tag of the side that will read them. JsSIP would exchange the two tags
  // of a call that we have answered.
  get replaces() {
    const { session } = this;
    const [ours, theirs] = this.isOurs ? [session._from_tag, session._to_tag] : [session._to_tag, session._from_tag];
    return { _request: { call_id: session._request.call_id }, _to_tag: theirs, _from_tag: ours };
  }
}

// Whether the CANCEL of a call says that another device of the user has answered it (RFC 3326).
export function wasAnsweredElsewhere(event) {
  const reason = String(event?.message?.getHeader?.("Reason") ?? "").slice(0, LONGEST_REASON);
  return /^\s*SIP\s*;(?:.*;)?\s*cause\s*=\s*200\b/i.test(reason);
}

export const clock = (seconds) => `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
