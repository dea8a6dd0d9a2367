"""An OpenID provider that a test can make misbehave, and the browser of a person who is logged in there."""

from __future__ import annotations

import base64
import hashlib
import secrets
import ssl
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, quote_plus, urlsplit

import jwt
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import ec

from sipmesh.demo.ports import HOST, free_port
from sipmesh.pki.ca_rotation import CaGenerations
from support.console import Answer, Visitor

CLIENT, PORTAL = "sipmesh-console", "sipmesh-portal"
KEY_ID = "one"
AUDIENCE = "sip"
SERVERS, SECRET = "sipmesh-servers", "a secret of the tests"

Claims = dict[str, Any]
Sign = Callable[[Claims, ec.EllipticCurvePrivateKey], str]


def signed(claims: Claims, key: ec.EllipticCurvePrivateKey) -> str:
    """Sign claims as an honest provider does."""
    return jwt.encode(claims, key, "ES256", {"kid": KEY_ID})


class OpenIdProvider:
    """A provider at the loopback interface, with a certificate of the CA in *ca*; *person* are the claims of who is logged in.

    Its certificate has *name* beside the address.

    *change* changes the claims of ID tokens, *sign* signs them. *said* is added to the metadata, *names* is the `iss` of answers
    to browsers, None for none. *odd* is what /odd answers.
    *further_keys* are shown beside its key.
    """

    def __init__(self, ca: Path, folder: Path, name: str = "id.example.test", **person: Any) -> None:
        self.person: Claims = {"sub": "ada", "groups": ["admins"], **person}
        self.change: Callable[[Claims], object] = lambda _: None
        self.sign: Sign = signed
        self.said: dict[str, Any] = {}
        self.further_keys: list[dict[str, Any]] = []
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.port = free_port()
        self.issuer = f"https://{HOST}:{self.port}"
        self.names: str | None = self.issuer
        self.odd = web.Response()
        self.asked = 0  # requests that have arrived
        self.revoked: set[str] = set()  # access tokens
        self.introspected: list[str] = []
        self.key_id = KEY_ID
        self.codes: dict[str, dict[str, str]] = {}
        issued = CaGenerations(ca).current.issue_for_clients((name,), datetime.now(UTC), rsa=False, addresses=(HOST,))
        self.serial = issued.certificate.serial_number
        files = folder / f"{self.port}.pem", folder / f"{self.port}.key"
        issued.write(*files)
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(*files)

    async def __aenter__(self) -> Self:
        app = web.Application(middlewares=[self._count])
        app.add_routes(
            [
                web.get("/.well-known/openid-configuration", self._metadata),
                web.post("/token", self._token),
                web.get("/jwks", self._keys),
                web.post("/introspect", self._introspect),
                web.post("/odd", self._odd),
            ]
        )
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, HOST, self.port, ssl_context=self._context).start()
        return self

    async def __aexit__(self, _type: type[BaseException] | None, _error: object, _trace: TracebackType | None) -> None:
        await self._runner.cleanup()

    def entry(self, **further: Any) -> dict[str, Any]:
        """The entry of the topology for this provider."""
        roles = [{"value": "admins", "role": "operator"}, {"value": "staff", "role": "viewer"}]
        return {"issuer": self.issuer, "client_id": CLIENT, "roles": roles, "authority": "enterprise", **further}

    @web.middleware
    async def _count(self, request: web.Request, handler: Any) -> web.StreamResponse:
        self.asked += 1
        answer: web.StreamResponse = await handler(request)
        return answer

    async def _metadata(self, _request: web.Request) -> web.Response:
        urls = {"authorization_endpoint": "auth", "token_endpoint": "token", "jwks_uri": "jwks"}
        urls["introspection_endpoint"] = "introspect"
        document: dict[str, Any] = {name: f"{self.issuer}/{path}" for name, path in urls.items()}
        document |= {"issuer": self.issuer, "authorization_response_iss_parameter_supported": True}
        return web.json_response({**document, **self.said})

    async def _keys(self, _request: web.Request) -> web.Response:
        public = jwt.algorithms.ECAlgorithm.to_jwk(self.key.public_key(), as_dict=True)
        return web.json_response({"keys": [{**public, "kid": self.key_id}, *self.further_keys]})

    async def _introspect(self, request: web.Request) -> web.Response:
        known = f"{quote_plus(SERVERS)}:{quote_plus(SECRET)}"
        if request.headers.get("Authorization") != f"Basic {base64.b64encode(known.encode()).decode()}":
            return web.json_response({"error": "invalid_client"}, status=401)
        token = str((await request.post())["token"])
        self.introspected.append(token)
        return web.json_response({"active": token not in self.revoked})

    def access_token(self, user: str, lifetime_s: float = 300.0, headers: Claims | None = None, **further: Any) -> str:
        """An access token of *user* for SIP; *further* are other values of its claims, None for a claim that is left out."""
        now = int(time.time())
        claims = {"iss": self.issuer, "aud": AUDIENCE, "iat": now, "exp": now + lifetime_s, "jti": secrets.token_hex(8)}
        claims = {name: value for name, value in {**claims, "sub": user, **further}.items() if value is not None}
        return jwt.encode(claims, self.key, "ES256", {"kid": self.key_id, "typ": "at+jwt", **(headers or {})})

    def logout_token(self, headers: Claims | None = None, **further: Any) -> str:
        """A logout token; *further* are other values of its claims, None for a claim that is left out."""
        now = int(time.time())
        events: Claims = {"http://schemas.openid.net/event/backchannel-logout": {}}
        claims = {"iss": self.issuer, "aud": PORTAL, "iat": now, "exp": now + 120, "jti": secrets.token_hex(8)}
        claims = {name: value for name, value in {**claims, "events": events, **further}.items() if value is not None}
        return jwt.encode(claims, self.key, "ES256", {"kid": self.key_id, "typ": "logout+jwt", **(headers or {})})

    def rotate(self) -> None:
        """Sign with another key from now on, and show no other."""
        self.key, self.key_id = ec.generate_private_key(ec.SECP256R1()), "two"

    def oauth(self, **further: Any) -> dict[str, Any]:
        """The entry of the topology for logins by its access tokens."""
        return {"issuer": self.issuer, "audience": AUDIENCE, "authority": "enterprise", **further}

    async def _odd(self, _request: web.Request) -> web.Response:
        return self.odd

    def authorize(self, url: str) -> dict[str, str]:
        """Answer the browser that comes with *url*: the person agrees. Gives the query of the way back."""
        asked = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
        assert url.startswith(f"{self.issuer}/auth?")
        assert (asked["response_type"], asked["client_id"] in {CLIENT, PORTAL}) == ("code", True)
        assert (asked["code_challenge_method"], asked["scope"].split()[0]) == ("S256", "openid")
        code = secrets.token_urlsafe(16)
        self.codes[code] = asked
        return {"code": code, "state": asked["state"], **({"iss": self.names} if self.names is not None else {})}

    async def _token(self, request: web.Request) -> web.Response:
        form = await request.post()
        asked = self.codes.pop(str(form.get("code")), None)
        if asked is None or form["redirect_uri"] != asked["redirect_uri"] or form["client_id"] != asked["client_id"]:
            return web.json_response({"error": "invalid_grant"}, status=400)
        digest = hashlib.sha256(str(form["code_verifier"]).encode()).digest()
        if base64.urlsafe_b64encode(digest).rstrip(b"=").decode() != asked["code_challenge"]:
            return web.json_response({"error": "invalid_grant"}, status=400)
        return web.json_response(
            {"id_token": self.sign(self._claims(asked["nonce"], asked["client_id"]), self.key), "token_type": "Bearer"}
        )

    def _claims(self, nonce: str, client: str) -> Claims:
        now = int(time.time())
        claims = {"iss": self.issuer, "aud": client, "iat": now, "exp": now + 300, "nonce": nonce, **self.person}
        self.change(claims)
        return claims


async def go(visitor: Visitor) -> str:
    """Follow the link of the log-in page; gives the URL of the provider."""
    leads = await visitor.get("/login/openid")
    assert leads.status == 303, leads.text
    return leads.headers["Location"]


async def come(visitor: Visitor, answer: dict[str, str]) -> Answer:
    """Come back from the provider with its answer."""
    return await visitor.get("/login/openid/callback", params=answer)


async def log_in(visitor: Visitor, provider: OpenIdProvider) -> Answer:
    """The whole way there and back."""
    return await come(visitor, provider.authorize(await go(visitor)))
