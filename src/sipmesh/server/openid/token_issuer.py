"""What one server knows of the issuer of access tokens: its keys, and which tokens it calls revoked.

A question to the issuer takes time. So `judge` answers from what is known, or says that the issuer has to be asked first.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from sipmesh.errors import SipmeshError
from sipmesh.server.openid.access_token import AccessToken, check_access_token
from sipmesh.server.openid.metadata import OpenIdError
from sipmesh.server.openid.provider import OpenIdProvider
from sipmesh.server.openid.token import UnknownKeyError
from sipmesh.storage.keyfile import read_password

if TYPE_CHECKING:
    import jwt
    from cryptography import x509

    from sipmesh.server.process.https_server_check import HttpsServerCheck
    from sipmesh.topology.document.load import Loaded
    from sipmesh.topology.document.parts.oauth import OAuth

ASK_AFTER_S: Final = 300.0
"""Seconds after which keys are fetched again, at the next login."""

KEYS_COUNT_S: Final = 3600.0
"""Seconds for which keys count while the issuer cannot be asked."""

AGAIN_S: Final = 10.0
"""Seconds between two questions for keys: a stranger can name any key."""

ANSWER_COUNTS_S: Final = 5.0
"""Seconds for which an answer about one token counts."""

MOST_ANSWERS: Final = 10_000


class IssuerAwayError(SipmeshError):
    """The issuer of tokens cannot be asked, so that no new login by a token succeeds."""


class TokenIssuer:
    """The issuer of *oauth*; *check* judges its certificate, and *clock* returns seconds that never go back.

    *anchors* are those of the enterprise CA, and *loaded* returns the topology in force.
    """

    def __init__(
        self,
        oauth: OAuth,
        anchors: tuple[x509.Certificate, ...],
        loaded: Callable[[], Loaded],
        check: HttpsServerCheck,
        clock: Callable[[], float],
    ) -> None:
        self.oauth, self.anchors, self._loaded, self._clock = oauth, anchors, loaded, clock
        self._provider = OpenIdProvider(oauth, anchors, check, clock)
        self._keys: Sequence[jwt.PyJWK] = ()
        self._keys_at = self._asked_at = float("-inf")
        self._fault = "it has not been asked yet"
        self._fetching: asyncio.Task[None] | None = None
        self._answers: OrderedDict[str, tuple[float, bool | str]] = OrderedDict()

    def judge(self, token: str) -> AccessToken | None:
        """Return what *token* proves, None if the issuer has to be asked first.

        Raises `OpenIdError` for a token that does not count, and `IssuerAwayError`.
        """
        now = self._clock()
        may_ask, age = now - self._asked_at >= AGAIN_S, now - self._keys_at
        if age >= ASK_AFTER_S and may_ask:
            return None
        if age >= KEYS_COUNT_S:
            raise IssuerAwayError(f"{self.oauth.issuer}: {self._fault}")
        try:
            proved = self._checked(token)
        except UnknownKeyError:
            if may_ask:
                return None
            raise
        return proved if self.oauth.introspection is None or self._is_active(proved, now) else None

    def _checked(self, token: str) -> AccessToken:
        """Check all that needs no question to the issuer."""
        return check_access_token(token, self._keys, self.oauth, self._loaded().topology.sip_domains, time.time())

    def _is_active(self, proved: AccessToken, now: float) -> bool:
        """Tell whether the issuer has called a token active lately; False if it has to be asked."""
        at, answer = self._answers.get(proved.digest, (float("-inf"), False))
        if now - at >= ANSWER_COUNTS_S:
            return False
        if isinstance(answer, str):
            raise IssuerAwayError(f"{self.oauth.issuer}: {answer}")
        if not answer:
            raise OpenIdError("its access token is refused: the provider says that it is revoked")
        return True

    async def ask(self, token: str) -> None:
        """Ask the issuer what `judge` needs to know for *token*; a fault is kept for `judge`."""
        if self._clock() - self._asked_at >= AGAIN_S:
            self._asked_at = self._clock()
            self._fetching = asyncio.ensure_future(self._fetch_keys())
        if self._fetching is not None:
            await asyncio.shield(self._fetching)  # those who come meanwhile wait for the same answer
        if self.oauth.introspection is not None:
            await self._introspect(token)

    async def _fetch_keys(self) -> None:
        try:
            self._keys, self._keys_at = await self._provider.keys(), self._clock()
        except OpenIdError as wrong:
            self._fault = str(wrong)
        self._asked_at = self._clock()  # the answer may have taken longer than the rest

    async def _introspect(self, token: str) -> None:
        """Ask whether a token that passes all other checks is active: no stranger can cause a question."""
        try:
            proved = self._checked(token)
        except OpenIdError:
            return
        answer = await self.is_active(token)
        self._answers[proved.digest] = (self._clock(), answer)
        self._answers.move_to_end(proved.digest)
        if len(self._answers) > MOST_ANSWERS:
            self._answers.popitem(last=False)

    async def is_active(self, token: str) -> bool | str:
        """Ask whether *token* counts still; the text is the fault of an issuer that cannot be asked."""
        how = self.oauth.introspection
        if how is None:
            return True
        try:
            folder = self._loaded().folder
            secret = await asyncio.to_thread(read_password, folder / how.secret_file, folder)
            return await self._provider.is_active(token, how.client_id, secret)
        except SipmeshError as wrong:
            return str(wrong)
