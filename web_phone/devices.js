// The microphone and the loudspeakers that the user has chosen, kept in this browser. One that is not there any more is replaced
// by that of the system.
import { by, element, printable } from "./text.js";

const KEY = "sipmesh-devices";
const SYSTEM = "";
const KINDS = { microphone: "audioinput", speaker: "audiooutput", ringer: "audiooutput" };

// Read what was stored: another page of this origin may have written it.
export function readChosen(text) {
  let found = null;
  try {
    found = JSON.parse(text ?? "{}");
  } catch {}
  return Object.fromEntries(Object.keys(KINDS).map((id) => [id, typeof found?.[id] === "string" ? found[id] : SYSTEM]));
}

export class Devices {
  // *ring* is the sound of incoming calls; *changed* is called when the user has chosen another microphone.
  constructor(ring, changed) {
    Object.assign(this, { ring, changed, chosen: readChosen(localStorage.getItem(KEY)) });
    for (const id of Object.keys(KINDS)) by(id).onchange = () => this.choose(id);
    by("ring-once").onclick = () => ring.once();
    if (navigator.mediaDevices) navigator.mediaDevices.ondevicechange = () => void this.show();
    void this.show();
  }

  choose(id) {
    this.chosen[id] = by(id).value;
    localStorage.setItem(KEY, JSON.stringify(this.chosen));
    if (id === "microphone") this.changed();
    else void this.useSpeakers();
  }

  forget() {
    localStorage.removeItem(KEY);
    this.chosen = readChosen(null);
    void this.show();
  }

  // What the browser is asked for: the microphone that was chosen, if it is there. A browser may pass over one that it only should use.
  get constraints() {
    const chosen = by("microphone").value;
    return { audio: chosen ? { deviceId: { exact: chosen } } : true, video: false };
  }

  // The browser names devices only after the user has allowed the microphone once.
  async show() {
    const found = (await navigator.mediaDevices?.enumerateDevices()) ?? [];
    for (const [id, kind] of Object.entries(KINDS)) {
      const those = found.filter((device) => device.kind === kind && device.deviceId && device.deviceId !== "default");
      const options = those.map(({ deviceId, label }) => element("option", { value: deviceId }, printable(label || "Unnamed device")));
      by(id).replaceChildren(element("option", { value: SYSTEM }, "System default"), ...options);
      by(id).value = those.some(({ deviceId }) => deviceId === this.chosen[id]) ? this.chosen[id] : SYSTEM;
    }
    await this.useSpeakers();
  }

  async useSpeakers() {
    await this.ring.use(by("ringer").value);
    try {
      await by("heard").setSinkId?.(by("speaker").value);
    } catch {
      by("speaker").value = SYSTEM;
    }
  }

  // Send the audio of the chosen microphone on this connection from now on.
  async useMicrophone(connection) {
    const [track] = (await navigator.mediaDevices.getUserMedia(this.constraints)).getAudioTracks();
    for (const sender of connection.getSenders()) {
      if (sender.track?.kind !== "audio") continue;
      track.enabled = sender.track.enabled;
      sender.track.stop();
      await sender.replaceTrack(track);
    }
  }
}
