// The sound of an incoming call, made here: no file is fetched.
const LOUD = 0.08;
const AGAIN_MS = 2_000;

export class Ring {
  constructor() {
    Object.assign(this, { context: null, device: "", timer: 0 });
  }

  start() {
    this.stop();
    this.once();
    this.timer = setInterval(() => this.once(), AGAIN_MS);
  }

  // Ring by the loudspeaker *device*, "" for that of the system. It may be gone: then the system's is used.
  async use(device) {
    this.device = device;
    await this.context?.setSinkId?.(device).catch(() => {});
  }

  once() {
    if (!this.context) {
      this.context = new AudioContext();
      void this.use(this.device);
    }
    const { context } = this;
    void context.resume();
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
