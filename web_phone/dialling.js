// What the user types to call, and as whom: openly, hidden, or for another user who has named this one as a delegate.
import { readTarget } from "./address.js";
import { by, element, printable } from "./text.js";

const MYSELF = "";

export class Dialling {
  // *call* gets the address, and how it is called.
  constructor(own, call) {
    Object.assign(this, { own, call });
    by("dial-form").onsubmit = (event) => {
      event.preventDefault();
      this.dial();
    };
    by("call-for").onchange = () => this.showHide();
    this.offer([]);
  }

  // The users for whom this one may call, as the server says. One that was chosen stays chosen.
  offer(users) {
    const chosen = by("call-for").value;
    const options = users.map((user) => element("option", { value: user }, printable(user)));
    by("call-for").replaceChildren(element("option", { value: MYSELF }, "Myself"), ...options);
    by("call-for").value = users.includes(chosen) ? chosen : MYSELF;
    by("on-behalf").hidden = users.length === 0;
    this.showHide();
  }

  // A call for another user shows both: it cannot be hidden.
  showHide() {
    by("hide").disabled = by("call-for").value !== MYSELF;
    if (by("hide").disabled) by("hide").checked = false;
  }

  get how() {
    return { hidden: by("hide").checked, behalf: by("call-for").value };
  }

  dial() {
    const address = readTarget(by("target").value, this.own);
    by("target-error").textContent = address ? "" : "Write a name, a number or an address such as bob@example.com.";
    if (!address) return;
    by("target").value = "";
    this.call(address, this.how);
  }
}
