// oidc-provider as the identity provider of a console and of phones, with its own pages for log-in and consent.
// Usage: node openid_provider.js PORT CERTIFICATE KEY REDIRECT_URI [REDIRECT_URI_OF_THE_WEB_PHONE [ORIGIN_OF_THE_PORTAL ROOT]]
import { readFileSync } from "node:fs";
import { createServer, request } from "node:https";
import { Provider } from "oidc-provider";

const [port, certificate, key, redirect, page, portal = "https://portal.example.test", root] = process.argv.slice(2);
const groups = { ada: ["admins"], vera: ["staff"] };

// Sends a logout token: the name in the URL is one of this machine.
const tell = (url, { method, headers, body }) =>
  new Promise((done, failed) => {
    const lookup = (_, { all }, found) => (all ? found(null, [{ address: "127.0.0.1", family: 4 }]) : found(null, "127.0.0.1", 4));
    const options = { method, headers: Object.fromEntries(new Headers(headers)), ca: readFileSync(root), lookup };
    const sent = request(url, options, (answer) => answer.resume().on("end", () => done(new Response(null, { status: answer.statusCode }))));
    sent.on("error", failed).end(body?.toString());
  });

const provider = new Provider(`https://127.0.0.1:${port}`, {
  clients: [
    {
      client_id: "sipmesh-console",
      redirect_uris: [redirect],
      response_types: ["code"],
      grant_types: ["authorization_code"],
      token_endpoint_auth_method: "none",
    },
    {
      client_id: "web-phone",
      redirect_uris: [page ?? "https://phone.example.test/back"],
      post_logout_redirect_uris: [page ?? "https://phone.example.test/back"],
      response_types: ["code"],
      grant_types: ["authorization_code", "refresh_token"],
      token_endpoint_auth_method: "none",
    },
    {
      client_id: "sipmesh-portal",
      redirect_uris: [`${portal}/portal/login/callback`],
      response_types: ["code"],
      grant_types: ["authorization_code"],
      token_endpoint_auth_method: "none",
      backchannel_logout_uri: `${portal}/openid/logout`,
      backchannel_logout_session_required: true,
    },
    {
      client_id: "phone",
      redirect_uris: ["https://phone.example.test/back"],
      response_types: ["code"],
      grant_types: ["authorization_code", "refresh_token"],
      token_endpoint_auth_method: "none",
    },
  ],
  fetch: tell,
  clientBasedCORS: (_, origin) => page?.startsWith(`${origin}/`) ?? false,
  features: {
    revocation: { enabled: true },
    backchannelLogout: { enabled: true },
    resourceIndicators: {
      enabled: true,
      useGrantedResource: () => true,
      getResourceServerInfo: (_, __, client) => ({
        scope: "sip",
        audience: "sip",
        accessTokenTTL: client.clientId === "web-phone" ? 45 : 300, // the page renews it 30 s before its end
        accessTokenFormat: "jwt",
      }),
    },
  },
  scopes: ["openid", "offline_access", "sip"],
  claims: { openid: ["sub"], profile: ["groups"] },
  conformIdTokenClaims: false,
  pkce: { required: () => true },
  cookies: { keys: ["a key of the tests"] },
  findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id, groups: groups[id] ?? [] }) }),
});
const options = { cert: readFileSync(certificate), key: readFileSync(key) };
createServer(options, provider.callback()).listen(Number(port), "127.0.0.1", () => console.log("listening"));
