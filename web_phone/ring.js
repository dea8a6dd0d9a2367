// The sound of an incoming call, made here: no file is fetched.
const LOUD = 0.08;
const AGAIN_MS = 2_000;

export class Ring {
  start() {
    this.stop();
    this.context ??= new AudioContext();
    this.tone();
    this.timer = setInterval(() => this.tone(), AGAIN_MS);
  }

  tone() {
    const { context } = this;
    const sound = context.createOscillator();
    const gain = context.createGain();
    gain.gain.value = LOUD;
    sound.frequency.value = 440;
    sound.connect(gain).connect(context.destination);
    sound.start();
    sound.stop(context.currentTime + 0.8);
  }

  stop() {
    clearInterval(this.timer);
  }
}
