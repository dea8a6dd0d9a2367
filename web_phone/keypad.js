// The keys of a telephone, for a menu at the other end.
import { by, element } from "./text.js";

const KEYS = ["1", "2", "3", "4", "5", "6", "7", "8", "9", "*", "0", "#"];
const NAMES = { "*": "star", "#": "pound" };
const LONGEST = 40; // of the digits that are shown

export class Keypad {
  // *press* gets each key.
  constructor(press) {
    this.press = press;
    by("keys").replaceChildren(...KEYS.map((key) => this.button(key)));
    by("keypad-open").onclick = () => this.open(by("keypad").hidden);
    by("keypad").onkeydown = (event) => {
      if (KEYS.includes(event.key)) this.pressed(event.key);
    };
  }

  button(key) {
    const made = element("button", { type: "button", "data-key": key, "aria-label": NAMES[key] ?? key }, key);
    made.addEventListener("click", () => this.pressed(key));
    return made;
  }

  pressed(key) {
    this.press(key);
    by("pressed").textContent = (by("pressed").textContent + key).slice(-LONGEST);
  }

  open(on) {
    by("keypad").hidden = !on;
    by("keypad-open").setAttribute("aria-expanded", String(on));
    if (on) by("keypad").focus();
    else by("pressed").textContent = "";
  }
}
