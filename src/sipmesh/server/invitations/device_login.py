"""The login of a phone over HTTPS with the password of its device: Digest (RFC 7616) or Basic (RFC 7617).

Management makes the passwords of devices, so a phone tells it nothing new. The own password of a user is not accepted: a person
has chosen it, and it could be guessed here.
"""

from __future__ import annotations

import secrets
from base64 import b64decode
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from sipmesh.errors import RemoteError
from sipmesh.server.console.access.account import opened
from sipmesh.server.process.off_loop import off_loop
from sipmesh.sip.digest import Algorithm, Credentials, Nonces, NonceState, challenge_values, is_digest, verify
from sipmesh.sip.text import ascii_lower, octets_of, text_of
from sipmesh.storage.users.phonebook import device_of, has_password

if TYPE_CHECKING:
    from collections.abc import Callable

    from aiohttp import web

    from sipmesh.routing.authentication.verifier import DevicePassword
    from sipmesh.server.invitations.strangers import Strangers
    from sipmesh.topology.document.load import Loaded

NONCE_S: Final = 300.0
"""Seconds for which a phone may use one nonce."""

MOST_REALMS: Final = 4
"""SIP domains for which a phone is challenged at once: the realm of a user is the own domain."""

_LINK: Final = 0
"""A nonce is for all connections: a phone opens several of them."""

_ENTROPY: Final = 8


class DeviceLogin:
    """Judges logins; *strangers* counts wrong logins, and *clock* returns seconds that never go back."""

    def __init__(self, strangers: Strangers, clock: Callable[[], float]) -> None:
        self._strangers, self._clock = strangers, clock
        self._nonces = Nonces(secrets.token_bytes(32), NONCE_S)

    async def user(self, request: web.Request, loaded: Loaded) -> str:
        """Return the user whose device has sent the request, as ``sip:user@domain``.

        Raises 401 for any other login, and 429 for too many requests of the user. Wrong passwords count against their address
        alone: those of a stranger must not keep the phone of the user out.
        """
        given = request.headers.get("Authorization", "")
        ha1, state = "", NonceState.FRESH
        if is_digest(given):
            aor, ha1, state = await self._by_digest(request, loaded, given)
        else:
            aor = await self._by_basic(loaded, given)
        if not aor or state is NonceState.FRESH:  # a response of another time tells nothing of who sends it
            self._strangers.judged(request, aor, ha1)
        if not aor or state is not NonceState.FRESH:
            raise self.challenge(request, loaded, is_stale=state is NonceState.STALE)
        return aor

    def challenge(self, request: web.Request, loaded: Loaded, *, is_stale: bool = False) -> web.HTTPException:
        """Return the answer to a wrong login, which is counted, or to none; *is_stale*, a nonce that is only too old, is not."""
        nonce = self._nonces.mint(self._clock(), secrets.token_bytes(_ENTROPY), _LINK)
        realms, algorithms = loaded.topology.sip_domains[:MOST_REALMS], (Algorithm.SHA_256, Algorithm.MD5)
        values = [one for realm in realms for one in challenge_values(realm, nonce, algorithms, stale=is_stale)]
        values.append(
            f'Basic realm="{realms[0]}", charset="UTF-8"'
        )  # linphone looks for its password by the last realm
        is_counted = "Authorization" in request.headers and not is_stale
        return self._strangers.wrong_login(request, values, is_counted=is_counted)

    async def _by_digest(self, request: web.Request, loaded: Loaded, given: str) -> tuple[str, str, NonceState]:
        """Return the user of Digest credentials, "" for none; what has verified them; and the state of their nonce."""
        try:
            found = Credentials.parse(given)
        except RemoteError:
            return "", "", NonceState.FORGED
        aor = _user_of(found.username, found.realm)
        device = await off_loop(_device, loaded, aor, found.username)
        secret = device.ha1.get(found.algorithm) if device is not None and found.algorithm is not None else None
        is_for_it = urlsplit(found.uri).path == request.rel_url.raw_path
        if secret is None or not is_for_it or not verify(found, request.method, secret):
            return "", "", NonceState.FORGED
        return aor, secret, self._nonces.judge(found.nonce, found.nc, self._clock(), _LINK)

    async def _by_basic(self, loaded: Loaded, given: str) -> str:
        login, _, password = _basic(given).partition(":")
        if not login:
            return ""
        name, _, domain = login.rpartition("@")
        aor = _user_of(name, domain)
        device = await off_loop(_device, loaded, aor, name)
        return aor if device is not None and has_password(device, aor, name, password) else ""


def _user_of(login: str, domain: str) -> str:
    return f"sip:{login.rpartition('+')[0]}@{domain}"


def _basic(given: str) -> str:
    """Return user name and password of Basic authentication; "" if there are none."""
    scheme, _, encoded = given.partition(" ")
    try:
        return text_of(b64decode(octets_of(encoded), validate=True)) if ascii_lower(scheme) == "basic" else ""
    except ValueError:
        return ""


def _device(loaded: Loaded, aor: str, login: str) -> DevicePassword | None:
    with opened(loaded) as users, users.reading() as db:
        return device_of(db, aor, login)
