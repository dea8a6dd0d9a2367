// The end of an INVITE that waits for the user: its sender cancels it. For an INVITE with Replaces JsSIP has no session until the
// user has agreed, so it answers the CANCEL, and tells nobody.

const CANCEL = /^CANCEL [^]*?\r\n(?:via|v)[ \t]*:[^\r\n]*?;[ \t]*branch[ \t]*=[ \t]*([^\s;,]+)/i;

// Read the branch of a CANCEL; it is empty for any other message.
export function cancelledBranch(data) {
  const text = typeof data === "string" ? data : new TextDecoder().decode(data);
  return CANCEL.exec(text)?.[1] ?? "";
}

export class Cancels {
  // Read what the *socket* of JsSIP receives, after JsSIP.
  constructor(socket) {
    let read = () => {};
    const both = (data) => {
      read(data);
      this.receive(data);
    };
    Object.defineProperty(socket, "ondata", { get: () => both, set: (next) => (read = next) });
  }

  // Call *act* if *request* is cancelled. One request is waited for, the last.
  wait(request, act) {
    this.waiting = { branch: request.via_branch, act };
  }

  receive(data) {
    const branch = cancelledBranch(data);
    if (!branch || branch !== this.waiting?.branch) return;
    const { act } = this.waiting;
    this.waiting = null;
    act();
  }
}
