// oidc-provider as the identity provider of a console, with its own pages for log-in and consent.
// Usage: node openid_provider.js PORT CERTIFICATE KEY REDIRECT_URI
import { readFileSync } from "node:fs";
import { createServer } from "node:https";
import { Provider } from "oidc-provider";

const [port, certificate, key, redirect] = process.argv.slice(2);
const groups = { ada: ["admins"], vera: ["staff"] };
const provider = new Provider(`https://127.0.0.1:${port}`, {
  clients: [
    {
      client_id: "sipmesh-console",
      redirect_uris: [redirect],
      response_types: ["code"],
      grant_types: ["authorization_code"],
      token_endpoint_auth_method: "none",
    },
  ],
  claims: { openid: ["sub"], profile: ["groups"] },
  conformIdTokenClaims: false,
  pkce: { required: () => true },
  cookies: { keys: ["a key of the tests"] },
  findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id, groups: groups[id] ?? [] }) }),
});
const options = { cert: readFileSync(certificate), key: readFileSync(key) };
createServer(options, provider.callback()).listen(Number(port), "127.0.0.1", () => console.log("listening"));
