"""A phone signs in at a real OpenID provider (oidc-provider), and logs in by its access tokens."""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Self
from urllib.parse import parse_qs, urlencode, urljoin, urlsplit

import aiohttp
import jwt
import pytest

from interop.test_console_pages import real_provider
from support.managed import MGMT, Managed, build_managed
from support.network import FE1
from support.openid_provider import OpenIdProvider
from support.running import until, within

pytestmark = [pytest.mark.soak, pytest.mark.peer("npm")]

BACK: Final = "https://phone.example.test/back"
RESOURCE: Final = "urn:example:sip"
FORM: Final = re.compile(r'action="([^"]+)"')


class Phone:
    """A public client of the provider, and the browser of its user, without a cookie at first."""

    def __init__(self, issuer: str, root: Path) -> None:
        self._issuer = issuer
        context = ssl.create_default_context(cafile=str(root))
        self._http = aiohttp.ClientSession(
            cookie_jar=aiohttp.CookieJar(unsafe=True), connector=aiohttp.TCPConnector(ssl=context)
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.close()

    async def sign_in(self, user: str) -> Mapping[str, Any]:
        """The authorization code flow with PKCE, with the pages of the provider; gives its answer with the tokens."""
        verifier = secrets.token_urlsafe(48)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        asked = {
            "client_id": "phone",
            "response_type": "code",
            "redirect_uri": BACK,
            "scope": "openid offline_access sip",
        }
        pkce = {"code_challenge": challenge, "code_challenge_method": "S256", "prompt": "consent", "resource": RESOURCE}
        page = await self._follow(f"{self._issuer}/auth?{urlencode({**asked, **pkce})}")
        page = await self._follow(page, {"prompt": "login", "login": user, "password": "x"})
        page = await self._follow(page, {"prompt": "consent"})
        [code] = parse_qs(urlsplit(page).query)["code"]
        return await self.tokens(grant_type="authorization_code", code=code, redirect_uri=BACK, code_verifier=verifier)

    async def tokens(self, **form: str) -> Mapping[str, Any]:
        """Ask for tokens, by a code or a refresh token."""
        async with self._http.post(
            f"{self._issuer}/token", data={"client_id": "phone", "resource": RESOURCE, **form}
        ) as answer:
            found: Mapping[str, Any] = await answer.json()
            assert answer.status == 200, found
            return found

    async def _follow(self, url: str, form: Mapping[str, str] | None = None) -> str:
        """Follow redirections to the next form, or to the phone; gives where the form goes."""
        method = "GET" if form is None else "POST"
        while not url.startswith(BACK):
            async with self._http.request(method, url, data=form, allow_redirects=False) as answer:
                text = await answer.text()
            if answer.status not in {302, 303}:
                found = FORM.search(text)
                assert found, text
                return urljoin(url, str(found[1]))
            url, method, form = urljoin(url, answer.headers["Location"]), "GET", None
        return url


@within(240.0)  # the provider is a process of its own
async def test_tokens_of_a_real_provider_log_in_their_user_alone_and_renew_the_login(tmp_path: Path) -> None:
    organisation = build_managed(tmp_path / "o")
    place = OpenIdProvider(organisation.folder / "ca", tmp_path)
    organisation.document["oauth"] = place.oauth()
    organisation.write()
    async with (
        real_provider(place, tmp_path, "https://console.example.test/back"),
        Managed(organisation, tmp_path) as network,
        Phone(place.issuer, organisation.root) as phone,
    ):
        await network.start(MGMT, FE1)
        await until(lambda: network.nodes[FE1].users.ready)
        got = await phone.sign_in("alice")
        assert jwt.get_unverified_header(got["access_token"])["typ"] == "at+jwt"
        link, other = await network.phone(FE1, "alice"), await network.phone(FE1, "bob")
        assert (await other.register_by(got["access_token"])).status == 401
        assert (await link.register_by(got["id_token"])).status == 401
        assert (await link.register_by(got["access_token"])).status == 200
        later = await phone.tokens(grant_type="refresh_token", refresh_token=got["refresh_token"])
        assert later["access_token"] != got["access_token"]
        assert (await link.register_by(later["access_token"])).status == 200
        again = await network.phone(FE1, "alice")
        assert (await again.register_by(later["access_token"])).status == 401
