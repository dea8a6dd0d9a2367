// A question to the user inside a call: the other side wants to change who talks to whom.
import { by } from "./text.js";

const PATIENCE_MS = 60_000;
const PAUSE_MS = 2_000;
const NOBODY = { agreed() {}, refused() {} };

export class Question {
  constructor() {
    this.answers = null;
    by("agree").onclick = () => this.settle("agreed");
    by("refuse").onclick = () => this.settle("refused");
  }

  // Show *content*, and call *agreed* or *refused* once. Without an answer for a minute it is refused. A second question is
  // refused at once: nothing changes under the finger of the user. Returns a function that takes the question back, and says
  // whether it was open; null if it was refused at once.
  ask(content, agreed, refused) {
    if (this.answers) {
      refused();
      return null;
    }
    const answers = { agreed, refused };
    this.answers = answers;
    by("question-text").replaceChildren(...content);
    by("question").hidden = false;
    by("question").focus(); // not its button: whoever is writing a message would agree with the next key
    this.timer = setTimeout(() => this.settle("refused"), PATIENCE_MS);
    return () => this.withdraw(answers);
  }

  // For a moment no other question is asked: a finger that is on its way to a button does not meet another question there.
  withdraw(answers) {
    if (this.answers !== answers) return false;
    clearTimeout(this.timer);
    by("question").hidden = true;
    this.answers = NOBODY;
    this.timer = setTimeout(() => (this.answers = null), PAUSE_MS);
    return true;
  }

  settle(answer) {
    clearTimeout(this.timer);
    by("question").hidden = true;
    const { answers } = this;
    this.answers = null;
    answers?.[answer]();
  }
}
