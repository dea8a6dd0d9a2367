// The web phone: log in, contacts with presence, messages, calls and their history.
import JsSIP from "jssip";
import { readAddress, readTarget, uriOf } from "./address.js";
import { Alerts } from "./alerts.js";
import { Calls } from "./calls.js";
import { Cancels } from "./cancels.js";
import { ContactStore } from "./contact_store.js";
import { confirmed } from "./confirmation.js";
import { Contacts } from "./contacts.js";
import { Conversation } from "./conversation.js";
import { Devices } from "./devices.js";
import { DialogNotifier } from "./dialog_notifier.js";
import { Dialling } from "./dialling.js";
import { History } from "./history.js";
import { MessageHistory } from "./message_history.js";
import { OwnPresence } from "./own_presence.js";
import { FileStore } from "./file_store.js";
import { forgetLogin, loginOf, readInvitation, rememberLogin, takeInvitation } from "./invitation.js";
import { Pickups } from "./pickups.js";
import { Profile } from "./profile.js";
import { isWrongPassword, reasonOfLogin, reasonOfToken } from "./reasons.js";
import { Ring } from "./ring.js";
import { RuleForm } from "./rule_form.js";
import { RuleStore } from "./rule_store.js";
import { showRules } from "./rules.js";
import { Search } from "./search.js";
import { finish, goToProvider, readProvider, takeAnswer } from "./sign_in.js";
import { by, printable } from "./text.js";
import { TokenLogin } from "./token_login.js";

const EXPIRES_S = 600;
const SAY_MS = 8_000;
const FORGOTTEN = "Your list of calls cannot be brought back, and neither can contacts that are kept in this browser only.";
const LISTS = ["contacts", "calls", "find"];

let agent = null;
let tokens = null;
let saying = 0;
let inCall = () => false;

function say(text) {
  by("status").textContent = text;
  clearTimeout(saying);
  saying = setTimeout(unsay, SAY_MS);
}

const unsay = () => (by("status").textContent = "");

function show(screen) {
  for (const id of ["login", "phone"]) by(id).hidden = id !== screen;
}

function toLogin(text) {
  tokens?.stop();
  agent?.removeAllListeners();
  agent?.stop();
  agent = tokens = null;
  inCall = () => false;
  document.title = "Web phone";
  by("log-in").disabled = false;
  by("login-error").textContent = text;
  show("login");
  by(text ? "password" : "address").focus();
}

function state(text, name) {
  by("me-state").textContent = text;
  by("me-dot").className = `dot ${name}`;
}

function agentOf(socket, address, proof) {
  return new JsSIP.UA({ sockets: [socket], uri: uriOf(address), ...proof, register_expires: EXPIRES_S, session_timers: false, user_agent: "sipmesh web phone" });
}

function logIn(address, password) {
  begin(address, { authorization_user: loginOf(address), password }, (event) => refused(event, address, password));
}

function logInByToken(session) {
  const socket = begin(session.address, { authorization_jwt: TokenLogin.header(session) }, (event) => toLogin(reasonOfToken(event)));
  tokens = new TokenLogin(agent, socket, session, () => toLogin("Your sign-in has ended. Sign in again."));
}

function begin(address, proof, failed) {
  by("login-error").textContent = "";
  by("log-in").disabled = true;
  const socket = new JsSIP.WebSocketInterface(`wss://${location.host}/`);
  const cancels = new Cancels(socket);
  agent = agentOf(socket, address, proof);
  let entered = false;
  agent.once("registered", () => {
    entered = true;
    by("password").value = "";
    enter(address, cancels);
  });
  agent.on("registrationFailed", (event) => entered || failed(event));
  agent.on("disconnected", () => entered || toLogin("The server cannot be reached."));
  agent.start();
  return socket;
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
  const presence = new OwnPresence(address, say);
  const alerts = new Alerts(() => presence.isQuiet);
  const contacts = new Contacts(address, open, () => pickups.contactsChanged(), new ContactStore(address, say));
  const conversation = new Conversation(contacts, alerts, say);
  const dialling = new Dialling(address, (target, how) => {
    conversation.open(target);
    calls.call(agent, target, how);
  });
  const past = new MessageHistory(address, contacts, conversation, confirmed, say);
  const profile = new Profile(address, ({ callsFor, rules, portal, account, historyDays }) => {
    past.use(agent, historyDays);
    if (account) {
      ruleStore.use(account);
      files.use(account);
      by("attach").hidden = !files.isOpen;
      contacts.useStore(account);
    }
    dialling.offer(callsFor);
    pickups.watch(callsFor);
    showRules(rules, portal);
    ruleForm.use(rules);
  });
  const files = new FileStore(() => profile.renew(agent));
  const ruleStore = new RuleStore(() => profile.renew(agent));
  const ruleForm = new RuleForm(ruleStore, say);
  const history = new History(address, open, (missed) => alerts.missing(missed));
  const search = new Search(address, open);
  const pickups = new Pickups((caller, how) => calls.call(agent, caller, how), (user) => contacts.keeps(user));
  const notifier = new DialogNotifier(address);
  const ring = new Ring();
  const devices = new Devices(ring, () => calls.useMicrophone());
  const calls = new Calls(address, { profile, devices, ring, presence, cancels, alerts, history, notifier }, (peer, text) => {
    if (peer) conversation.add(peer, { text, note: true });
    say(peer ? `${printable(peer)}: ${text}` : text);
  });
  inCall = () => calls.all.length > 0;
  follow(agent, { contacts, conversation, profile, calls, presence, search, pickups, notifier });
  wire(address, { contacts, conversation, calls, devices, dialling, files, history, past, presence, profile });
  by("me").textContent = address;
  state("connected", "open");
  show("phone");
  conversation.close();
  calls.show();
  for (const part of [contacts, profile, presence, search, pickups]) part.follow(agent);
  by("target").focus();
}

function follow(own, { contacts, conversation, profile, calls, presence, search, pickups, notifier }) {
  own.on("registered", () => {
    state("connected", "open");
    calls.linkBack();
    for (const part of [contacts, profile, presence, search, pickups]) part.follow(own);
  });
  const lost = () => {
    state("connecting\u2026", "wait");
    contacts.unknown();
  };
  own.on("disconnected", () => {
    lost();
    calls.linkLost();
  });
  own.on("unregistered", lost);
  own.on("registrationFailed", (event) => {
    if (event.cause === JsSIP.C.causes.CONNECTION_ERROR || tokens?.retries(event)) lost(); // the next link logs in by itself
    else toLogin(tokens ? reasonOfToken(event) : reasonOfLogin(event));
  });
  own.on("newMessage", ({ originator, request }) => originator === "remote" && conversation.receive(request));
  own.on("newSubscribe", ({ request }) => notifier.take(own, request));
  own.on("newRTCSession", (event) => calls.begin(event));
}

function onSubmit(form, act) {
  by(form).onsubmit = (event) => {
    event.preventDefault();
    act();
  };
}

function showList(name, history) {
  for (const list of LISTS) {
    by(`list-${list}`).hidden = list !== name;
    by(`tab-${list}`).setAttribute("aria-pressed", String(list === name));
  }
  if (name === "calls") history.seen();
}

function wire(own, { contacts, conversation, calls, devices, dialling, files, history, past, presence, profile }) {
  for (const list of LISTS) by(`tab-${list}`).onclick = () => showList(list, history);
  showList("contacts", history);
  by("settings-open").onclick = () => {
    by("settings").hidden = !by("settings").hidden;
    by("settings-open").setAttribute("aria-expanded", String(!by("settings").hidden));
  };
  by("forget").onclick = async () => {
    if (!(await confirmed("Forget what this browser keeps?", FORGOTTEN, "Forget"))) return;
    history.clear();
    conversation.close();
    contacts.clear();
    devices.forget();
    presence.choose("available");
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
    contacts.write(contacts.add(address));
    contacts.store();
  });
  onSubmit("about-form", () => contacts.describe(by("about-name").value, by("about-groups").value));
  onSubmit("write-form", () => {
    conversation.send(agent, contacts.current, by("text").value);
    by("text").value = "";
  });
  by("attach").onclick = () => by("file").click();
  by("file").onchange = () => {
    const [file] = by("file").files;
    by("file").value = "";
    if (file) conversation.sendFile(agent, files, file);
  };
  by("dial").onclick = () => calls.call(agent, contacts.current, dialling.how);
  by("remove").onclick = async () => {
    const address = contacts.current;
    if (!(await confirmed(`Remove ${address} from your contacts?`, contacts.removal, "Remove"))) return;
    conversation.close();
    contacts.remove(address);
  };
  by("back").onclick = () => conversation.close();
  by("log-out").onclick = () => {
    calls.endAll();
    presence.end();
    past.end();
    profile.tickets.end();
    const own = tokens;
    toLogin("");
    own?.signOut();
  };
}

onSubmit("login-form", () => {
  const address = readAddress(by("address").value);
  if (address) logIn(address, by("password").value);
  else by("login-error").textContent = "Write your address, such as alice@example.com.";
});
by("status").onclick = unsay;
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

// The provider of the organisation, if the server names one; or its answer, if this page comes back from there.
async function offerSignIn(came) {
  const provider = await readProvider();
  if (provider === null) return;
  by("sign-in").hidden = false;
  by("sign-in").onclick = () => goToProvider(provider).catch(() => toLogin("Your organisation's provider cannot be reached."));
  if (came === null) return;
  try {
    logInByToken(await finish(provider, came));
  } catch {
    toLogin("The sign-in has failed. Try again.");
  }
}

offerSignIn(takeAnswer());

// A link may name the user, /phone#alice@example.com, or an invitation of this browser.
const invitation = readInvitation(location.hash.slice(1));
if (invitation) take(invitation);
else by("address").value = readAddress(location.hash.slice(1));
if (by("address").value) by("password").focus();
