// A question of the page itself, before it does what cannot be taken back.
import { by, isolated } from "./text.js";

// Ask *title*, and explain it in *text*; resolves with true if the user presses the button *verb*.
export function confirmed(title, text, verb) {
  const box = by("confirm");
  by("confirm-title").replaceChildren(isolated(title, 300));
  by("confirm-text").textContent = text;
  by("confirm-yes").textContent = verb;
  box.returnValue = "";
  box.showModal();
  by("confirm-no").focus();
  return new Promise((done) => (box.onclose = () => done(box.returnValue === "yes")));
}
