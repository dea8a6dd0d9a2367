// A question to the user inside a call: the other side wants to change who talks to whom.
import { by } from "./text.js";

const PATIENCE_MS = 60_000;

export class Question {
  constructor() {
    this.answers = null;
    by("agree").onclick = () => this.settle("agreed");
    by("refuse").onclick = () => this.settle("refused");
  }

  // Show *content*, and call *agreed* or *refused* once. Without an answer for a minute it is refused. A second question is
  // refused at once: nothing changes under the finger of the user.
  ask(content, agreed, refused) {
    if (this.answers) {
      refused();
      return;
    }
    this.answers = { agreed, refused };
    by("question-text").replaceChildren(...content);
    by("question").hidden = false;
    by("question").focus(); // not its button: whoever is writing a message would agree with the next key
    this.timer = setTimeout(() => this.settle("refused"), PATIENCE_MS);
  }

  settle(answer) {
    clearTimeout(this.timer);
    by("question").hidden = true;
    const { answers } = this;
    this.answers = null;
    answers?.[answer]();
  }
}
