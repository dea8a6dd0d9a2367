// Sign in with the OpenID provider of the organisation: the authorization code flow with PKCE (RFC 7636). Tokens stay in memory.
const PENDING = "sipmesh-sign-in";
const RENEW_MS = 30_000;

function base64url(octets) {
  return btoa(String.fromCharCode(...octets)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

const random = () => base64url(crypto.getRandomValues(new Uint8Array(32)));
const back = () => `${location.origin}/phone`;
const withQuery = (url, asked) => `${url}${url.includes("?") ? "&" : "?"}${asked}`;

// How one signs in here: what the server says of the provider; null if there is none.
export async function readProvider() {
  try {
    const answer = await fetch("/phone/sign-in.json", { cache: "no-cache" });
    return answer.ok ? await answer.json() : null;
  } catch {
    return null;
  }
}

async function metadataOf({ issuer }) {
  const answer = await fetch(`${issuer.replace(/\/$/, "")}/.well-known/openid-configuration`, { credentials: "omit" });
  const found = await answer.json();
  if (found.issuer !== issuer) throw new Error("the metadata is of another provider");
  return found;
}

export async function goToProvider(provider) {
  const metadata = await metadataOf(provider);
  const pending = { state: random(), verifier: random() };
  sessionStorage.setItem(PENDING, JSON.stringify(pending));
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(pending.verifier));
  const asked = new URLSearchParams({
    response_type: "code",
    client_id: provider.client_id,
    redirect_uri: back(),
    scope: ["openid", ...provider.scopes].join(" "),
    state: pending.state,
    code_challenge: base64url(new Uint8Array(digest)),
    code_challenge_method: "S256",
    ...(provider.resource ? { resource: provider.resource } : {}),
    ...(provider.scopes.includes("offline_access") ? { prompt: "consent" } : {}),
  });
  location.assign(withQuery(metadata.authorization_endpoint, asked));
}

// The answer of the provider in the address of this page, which is removed; null if there is none.
export function takeAnswer() {
  const answer = new URLSearchParams(location.search);
  const pending = JSON.parse(sessionStorage.getItem(PENDING) ?? "null");
  sessionStorage.removeItem(PENDING);
  if (!answer.has("state")) return null;
  history.replaceState(null, "", location.pathname);
  return { answer, pending };
}

// Exchange the answer for tokens. Raises an error for an answer that belongs to no sign-in of this tab, or of another provider.
export async function finish(provider, { answer, pending }) {
  const issuer = answer.get("iss") ?? provider.issuer;
  if (pending === null || answer.get("state") !== pending.state || issuer !== provider.issuer || !answer.has("code")) throw new Error("no sign-in of this tab");
  const session = new Session(provider, await metadataOf(provider));
  await session.ask({ grant_type: "authorization_code", code: answer.get("code"), redirect_uri: back(), code_verifier: pending.verifier });
  return session;
}

// What the access token says of its user and its end; the server checks it, and nothing here depends on it.
function claimsOf(token) {
  const text = atob(token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/"));
  return JSON.parse(new TextDecoder().decode(Uint8Array.from(text, (one) => one.charCodeAt(0))));
}

export class Session {
  constructor(provider, metadata) {
    this.provider = provider;
    this.metadata = metadata;
    this.token = this.refreshToken = this.idToken = "";
    this.asking = null;
  }

  get address() {
    const name = String(claimsOf(this.token)[this.provider.claim] ?? "");
    return name.includes("@") ? name : `${name}@${this.provider.domain}`;
  }

  // Milliseconds until the token has to be renewed.
  get lasts() {
    return Math.max(1_000, claimsOf(this.token).exp * 1_000 - Date.now() - RENEW_MS);
  }

  async ask(form) {
    const { client_id, resource } = this.provider;
    const body = new URLSearchParams({ client_id, ...form, ...(resource ? { resource } : {}) });
    const answer = await fetch(this.metadata.token_endpoint, { method: "POST", body, credentials: "omit", cache: "no-store" });
    const found = await answer.json();
    if (!answer.ok || typeof found.access_token !== "string") throw new Error("the provider gives no token");
    this.token = found.access_token;
    this.refreshToken = found.refresh_token ?? this.refreshToken;
    this.idToken = found.id_token ?? this.idToken;
  }

  // Sign out at the provider too (RFC 7009, OpenID Connect RP-Initiated Logout 1.0), so that the next person here has to sign in.
  signOut() {
    const { client_id } = this.provider;
    const { revocation_endpoint, end_session_endpoint } = this.metadata;
    const body = new URLSearchParams({ client_id, token: this.refreshToken, token_type_hint: "refresh_token" });
    if (revocation_endpoint && this.refreshToken) fetch(revocation_endpoint, { method: "POST", body, credentials: "omit", keepalive: true }).catch(() => {});
    if (!end_session_endpoint) return;
    const asked = new URLSearchParams({ client_id, id_token_hint: this.idToken, post_logout_redirect_uri: back() });
    location.assign(withQuery(end_session_endpoint, asked));
  }

  // Get another token: each link needs one of its own. Those who ask meanwhile get the same answer.
  renew() {
    this.asking ??= this.ask({ grant_type: "refresh_token", refresh_token: this.refreshToken }).finally(() => (this.asking = null));
    return this.asking;
  }
}
