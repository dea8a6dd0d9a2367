// What the pages of both libraries share: the events of a phone, for which a test can wait, and the figures of its media.
export const events = [];
const waiting = [];

export function happened(name, detail = "") {
  events.push({ name, detail: String(detail) });
  for (const wake of waiting.splice(0)) wake();
}

// Take the oldest event of that name; wait until there is one. "failed" and "disconnected" end each wait for another event.
export async function until(name) {
  for (;;) {
    const at = events.findIndex((one) => one.name === name);
    if (at >= 0) return events.splice(at, 1)[0].detail;
    const wrong = events.find((one) => one.name === "failed" || one.name === "disconnected");
    if (wrong) throw new Error(`${wrong.name}: ${wrong.detail}`);
    await new Promise((wake) => waiting.push(wake));
  }
}

export function listen(connection) {
  connection.addEventListener("track", (event) => {
    document.getElementById("heard").srcObject = event.streams[0];
  });
}

// Wait until so many packets of audio have come in and gone out; return the figures of the WebRTC statistics.
export async function media(connection, packets) {
  for (;;) {
    const found = { sent: 0, received: 0, packetsSent: 0, packetsReceived: 0 };
    for (const report of (await connection.getStats()).values()) {
      if (report.type === "outbound-rtp") [found.sent, found.packetsSent] = [report.bytesSent, report.packetsSent];
      if (report.type === "inbound-rtp") [found.received, found.packetsReceived] = [report.bytesReceived, report.packetsReceived];
      if (report.type === "local-candidate" && report.candidateType === "relay") found.relay = report.url;
      if (report.type === "transport") [found.dtls, found.srtp] = [report.dtlsState, report.srtpCipher];
    }
    if (found.packetsSent >= packets && found.packetsReceived >= packets) return found;
    await new Promise((wake) => setTimeout(wake, 50));
  }
}

// Count the addresses that a connection with this configuration offers.
export async function candidates(config) {
  const connection = new RTCPeerConnection(config);
  connection.addTransceiver("audio");
  let count = 0;
  const gathered = new Promise((done) => {
    connection.onicecandidate = ({ candidate }) => (candidate ? (count += 1) : done());
  });
  await connection.setLocalDescription(await connection.createOffer());
  await gathered;
  connection.close();
  return count;
}

// The SIP messages of the page, oldest first.
export const trace = [];
const Socket = window.WebSocket;
window.WebSocket = class extends Socket {
  constructor(...given) {
    super(...given);
    this.addEventListener("message", (event) => trace.push(event.data));
  }
  send(data) {
    trace.push(data);
    super.send(data);
  }
};
