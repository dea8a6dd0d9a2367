// Tells delegates of the user which call rings here (RFC 4235). Our server lets others subscribe only if a rule of the user allows it.
import { EVENT, TYPE, writeDialogs } from "./dialog_info.js";

const MOST = 20; // subscriptions
const BAD_EVENT = 489;
const BUSY = 503;

export class DialogNotifier {
  constructor(own) {
    Object.assign(this, { own, notifiers: new Set(), ringing: null, version: 0 });
  }

  // Take a SUBSCRIBE that JsSIP has received.
  take(agent, request) {
    if (request.event?.event !== EVENT) return request.reply(BAD_EVENT);
    if (this.notifiers.size >= MOST) return request.reply(BUSY);
    const notifier = agent.notify(request, TYPE, {});
    this.notifiers.add(notifier);
    notifier.on("terminated", () => this.notifiers.delete(notifier));
    notifier.on("subscribe", (isEnd) => (isEnd ? notifier.terminate(this.document(), "timeout") : notifier.notify(this.document())));
    notifier.start();
  }

  // *call* rings now; null: none does. The call of a caller who hides is told to no one.
  rings(call) {
    const request = call?.session._request;
    const ringing = call?.address ? { callId: request.call_id, localTag: request.to_tag, remoteTag: request.from_tag, address: call.address } : null;
    if (!ringing && !this.ringing) return;
    this.ringing = ringing;
    for (const notifier of this.notifiers) notifier.notify(this.document());
  }

  document() {
    return writeDialogs(this.own, this.version++, this.ringing);
  }
}
