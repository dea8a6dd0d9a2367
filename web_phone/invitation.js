// An invitation that a person has taken at the pages of management: it is exchanged here for the account of this browser.
const FORM = /^invitation=([A-Za-z0-9_-]{32})@([a-z0-9.:-]{1,260})$/;

// Read the fragment of the page; null if it is no invitation.
export function readInvitation(fragment) {
  const found = FORM.exec(fragment);
  return found && { ticket: found[1], host: found[2] };
}

// Fetch the account: its address, the user name for the login, and the password. null if the invitation is not valid.
export async function takeInvitation({ ticket, host }) {
  try {
    const answer = await fetch(`https://${host}/p/${ticket}/account`, { method: "POST", credentials: "omit", cache: "no-store" });
    return answer.ok ? await answer.json() : null;
  } catch {
    return null;
  }
}

// The user name by which this browser logs in for an address: that of its own password, which the browser may remember. No secret.
const keyOf = (address) => `login ${address}`;

export function loginOf(address) {
  return localStorage.getItem(keyOf(address)) || address.split("@")[0];
}

export function rememberLogin(address, login) {
  localStorage.setItem(keyOf(address), login);
}

export function forgetLogin(address) {
  const known = localStorage.getItem(keyOf(address)) !== null;
  localStorage.removeItem(keyOf(address));
  return known;
}
