// The web phone: log in, contacts with presence, messages, calls and their history.
import JsSIP from "jssip";
import { readAddress, readTarget, uriOf } from "./address.js";
import { Alerts } from "./alerts.js";
import { Calls } from "./calls.js";
import { Cancels } from "./cancels.js";
import { Contacts } from "./contacts.js";
import { Conversation } from "./conversation.js";
import { Devices } from "./devices.js";
import { History } from "./history.js";
import { OwnPresence } from "./own_presence.js";
import { forgetLogin, loginOf, readInvitation, rememberLogin, takeInvitation } from "./invitation.js";
import { Relays } from "./relays.js";
import { isWrongPassword, reasonOfLogin } from "./reasons.js";
import { by } from "./text.js";

const EXPIRES_S = 600;
const SAY_MS = 8_000;

let agent = null;
let saying = 0;
let inCall = () => false;

function say(text) {
  by("status").textContent = text;
  clearTimeout(saying);
  saying = setTimeout(() => (by("status").textContent = ""), SAY_MS);
}

function show(screen) {
  for (const id of ["login", "phone"]) by(id).hidden = id !== screen;
}

function toLogin(text) {
  agent?.removeAllListeners();
  agent?.stop();
  agent = null;
  inCall = () => false;
  by("log-in").disabled = false;
  by("login-error").textContent = text;
  show("login");
  by(text ? "password" : "address").focus();
}

function state(text, name) {
  by("me-state").textContent = text;
  by("me-dot").className = `dot ${name}`;
}

function agentOf(socket, address, password) {
  return new JsSIP.UA({ sockets: [socket], uri: uriOf(address), authorization_user: loginOf(address), password, register_expires: EXPIRES_S, session_timers: false, user_agent: "sipmesh web phone" });
}

function logIn(address, password) {
  by("login-error").textContent = "";
  by("log-in").disabled = true;
  const socket = new JsSIP.WebSocketInterface(`wss://${location.host}/`);
  const cancels = new Cancels(socket);
  agent = agentOf(socket, address, password);
  let entered = false;
  agent.once("registered", () => {
    entered = true;
    by("password").value = "";
    enter(address, cancels);
  });
  agent.on("registrationFailed", (event) => entered || refused(event, address, password));
  agent.on("disconnected", () => entered || toLogin("The server cannot be reached."));
  agent.start();
}

// A browser with a password of its own may be given that of the user: it is tried once with the name of the user.
function refused(event, address, password) {
  toLogin(reasonOfLogin(event));
  if (isWrongPassword(event) && forgetLogin(address)) logIn(address, password);
}

function enter(address, cancels) {
  const open = (chosen) => {
    conversation.open(chosen);
    by("text").focus();
  };
  const alerts = new Alerts();
  const contacts = new Contacts(address, open);
  const conversation = new Conversation(contacts, alerts, say);
  const relays = new Relays(address);
  const history = new History(address, open);
  const devices = new Devices(() => calls.useMicrophone());
  const presence = new OwnPresence(address, say);
  const calls = new Calls(address, { relays, devices, cancels, alerts, history }, (peer, text) => {
    if (peer) conversation.add(peer, { text, note: true });
    say(text);
  });
  inCall = () => calls.all.length > 0;
  follow(agent, { contacts, conversation, relays, calls, presence });
  wire(address, { contacts, conversation, calls, history, presence });
  by("me").textContent = address;
  state("connected", "open");
  show("phone");
  conversation.close();
  calls.show();
  for (const part of [contacts, relays, presence]) part.follow(agent);
  by("target").focus();
}

function follow(own, { contacts, conversation, relays, calls, presence }) {
  own.on("registered", () => {
    state("connected", "open");
    for (const part of [contacts, relays, presence]) part.follow(own);
  });
  const lost = () => {
    state("connecting\u2026", "wait");
    contacts.unknown();
  };
  own.on("disconnected", lost);
  own.on("unregistered", lost);
  own.on("registrationFailed", (event) => toLogin(reasonOfLogin(event)));
  own.on("newMessage", ({ originator, request }) => originator === "remote" && conversation.receive(request));
  own.on("newRTCSession", (event) => calls.begin(event));
}

function onSubmit(form, act) {
  by(form).onsubmit = (event) => {
    event.preventDefault();
    act();
  };
}

function showList(name, history) {
  for (const list of ["contacts", "calls"]) {
    by(`list-${list}`).hidden = list !== name;
    by(`tab-${list}`).setAttribute("aria-pressed", String(list === name));
  }
  if (name === "calls") history.seen();
}

function wire(own, { contacts, conversation, calls, history, presence }) {
  onSubmit("dial-form", () => {
    const address = readTarget(by("target").value, own);
    by("target-error").textContent = address ? "" : "Write a name, a number or an address such as bob@example.com.";
    if (!address) return;
    by("target").value = "";
    conversation.open(address);
    calls.call(agent, address, by("hide").checked);
  });
  for (const list of ["contacts", "calls"]) by(`tab-${list}`).onclick = () => showList(list, history);
  showList("contacts", history);
  by("settings-open").onclick = () => {
    by("settings").hidden = !by("settings").hidden;
    by("settings-open").setAttribute("aria-expanded", String(!by("settings").hidden));
  };
  by("forget").onclick = () => {
    history.clear();
    conversation.close();
    contacts.clear();
    localStorage.removeItem("sipmesh-devices");
    say("This browser keeps nothing of you now.");
  };
  onSubmit("add-form", () => {
    const address = readTarget(by("add").value, own);
    by("add-error").textContent = address ? "" : "Write an address such as bob@example.com.";
    if (!address) return;
    if (!contacts.canKeep(address)) {
      by("add-error").textContent = "The list is full: remove a contact first.";
      return;
    }
    by("add").value = "";
    contacts.add(address);
    contacts.store();
  });
  onSubmit("write-form", () => {
    conversation.send(agent, contacts.current, by("text").value);
    by("text").value = "";
  });
  by("dial").onclick = () => calls.call(agent, contacts.current, by("hide").checked);
  by("remove").onclick = () => {
    const address = contacts.current;
    conversation.close();
    contacts.remove(address);
  };
  by("back").onclick = () => conversation.close();
  by("log-out").onclick = () => {
    calls.endAll();
    presence.end();
    toLogin("");
  };
}

onSubmit("login-form", () => {
  const address = readAddress(by("address").value);
  if (address) logIn(address, by("password").value);
  else by("login-error").textContent = "Write your address, such as alice@example.com.";
});
window.addEventListener("beforeunload", (event) => inCall() && event.preventDefault());
window.addEventListener("pagehide", () => agent?.stop());
toLogin("");

// The form is sent with the account, so that the browser offers to remember it.
async function take(invitation) {
  history.replaceState(null, "", location.pathname);
  const account = await takeInvitation(invitation);
  if (account === null) {
    toLogin("This invitation is not valid: it was used, or it has expired. Ask your administrator for a new one.");
    return;
  }
  rememberLogin(account.address, account.login);
  by("address").value = account.address;
  by("password").value = account.password;
  by("login-form").requestSubmit();
}

// A link may name the user, /phone#alice@example.com, or an invitation of this browser.
const invitation = readInvitation(location.hash.slice(1));
if (invitation) take(invitation);
else by("address").value = readAddress(location.hash.slice(1));
if (by("address").value) by("password").focus();
