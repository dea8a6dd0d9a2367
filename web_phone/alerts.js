// What tells a user who looks at another window: the title of the page, and a notification of the browser if the user wants some.
import { by, printable } from "./text.js";

const TITLE = document.title;

export class Alerts {
  // *isQuiet* says whether the user wants no notification.
  constructor(isQuiet) {
    Object.assign(this, { isQuiet, shown: null, missed: 0, caller: "" });
    by("notify").onclick = async () => {
      await Notification.requestPermission();
      this.show();
    };
    this.show();
  }

  // The browser remembers what the user has allowed; a page cannot ask again after a refusal.
  show() {
    const given = typeof Notification === "undefined" ? "denied" : Notification.permission;
    by("notify").hidden = given !== "default";
    by("notify-state").textContent = { granted: "This browser notifies you of calls and messages.", denied: "This browser does not let this page notify you of calls and messages." }[given] ?? "";
  }

  ringing(who) {
    this.caller = printable(who);
    this.entitle();
    this.tell(`${this.caller} calls`, "call");
  }

  missing(count) {
    this.missed = count;
    this.entitle();
  }

  entitle() {
    document.title = this.caller ? `${this.caller} calls` : this.missed ? `(${this.missed}) ${TITLE}` : TITLE;
  }

  silent() {
    this.caller = "";
    this.entitle();
    this.shown?.close();
    this.shown = null;
  }

  // A notification names who has written, and never what: others may see the screen.
  wrote(who) {
    if (document.hidden) this.tell(`Message from ${printable(who)}`, "message");
  }

  tell(text, tag) {
    if (!document.hidden || this.isQuiet() || typeof Notification === "undefined" || Notification.permission !== "granted") return;
    this.shown?.close();
    this.shown = new Notification(text, { tag: `sipmesh ${tag}` });
    this.shown.onclick = () => window.focus();
  }
}
