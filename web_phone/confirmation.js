// A question of the page itself, before it does what cannot be taken back.
import { by, isolated } from "./text.js";

let settle = () => {};

// Ask *title*, and explain it in *text*; resolves with true if the user presses the button *verb*.
export function confirmed(title, text, verb) {
  const box = by("confirm");
  settle(); // a browser tells of the end of a question in its next frame: another question may be first
  by("confirm-title").replaceChildren(isolated(title, 300));
  by("confirm-text").textContent = text;
  by("confirm-yes").textContent = verb;
  box.returnValue = "";
  box.showModal();
  by("confirm-no").focus();
  return new Promise((done) => {
    settle = () => done(box.returnValue === "yes");
    box.onclose = () => box.open || settle();
  });
}
