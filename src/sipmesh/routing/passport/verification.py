"""Compare the claims of a PASSporT with the request that carries it (RFC 8224 section 6.2)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sipmesh.errors import RemoteError
from sipmesh.routing.identity.privacy import is_anonymous
from sipmesh.routing.passport.claims import Claims, canonical, domain_of, keys_in
from sipmesh.sip.status import Status
from sipmesh.sip.text_cache import short_key

if TYPE_CHECKING:
    from sipmesh.sip.message import Request

FRESH_S: Final = 60
"""RFC 8224 section 6.2.1 recommends a window of 60 s."""

MOST_REMEMBERED: Final = 10_000
"""Tokens of one partner that are remembered for a replay, for twice FRESH_S."""

RULE: Final = "RFC 8224 section 6.2"


def check_claims(claims: Claims, request: Request, now: int) -> None:
    """Raise RemoteError 438 if *claims* are not those of *request*, and 403 if they are not fresh. *now* is in seconds.

    The orig of a request with an anonymous From is the anonymous address of the signer's domain.
    """
    if abs(now - claims.iat) > FRESH_S:
        raise RemoteError("its iat is not fresh", rule=RULE, status=Status.FORBIDDEN)
    if not domain_of(claims.orig) if is_anonymous(request.from_) else claims.orig != canonical(request.from_.uri):
        raise RemoteError("its orig is not From", rule=RULE, status=Status.INVALID_IDENTITY_HEADER)
    if canonical(request.to.uri) not in claims.dest:
        raise RemoteError("its dest is not To", rule=RULE, status=Status.INVALID_IDENTITY_HEADER)
    if request.to.tag is None and canonical(request.uri) not in claims.dest:
        raise RemoteError("its dest is not the Request-URI", rule=RULE, status=Status.INVALID_IDENTITY_HEADER)
    if claims.keys != keys_in(request):
        raise RemoteError(
            "the fingerprints were changed on the way",
            rule="RFC 8225 section 5.2.2",
            status=Status.INVALID_IDENTITY_HEADER,
        )


class Replays:
    """The tokens of one partner that were accepted lately, each with the dialog and the CSeq of its request."""

    __slots__ = ("_seen",)

    def __init__(self) -> None:
        self._seen: dict[bytes, tuple[int, str]] = {}

    def is_replayed(self, mark: bytes, request: Request, now: int) -> bool:
        """Tell whether the token with this *mark* was accepted for another request; remember it otherwise.

        A request that arrives again, as after a failed link, may bring its token again. A full memory refuses new tokens: an
        attacker must not make it forget one.
        """
        of = short_key(f"{request.cseq.number} {request.from_.tag} {request.call_id}")
        known = self._seen.get(mark)
        if known is not None:
            return known[1] != of
        if len(self._seen) >= MOST_REMEMBERED:
            self._forget(now)
        if len(self._seen) >= MOST_REMEMBERED:
            return True
        self._seen[mark] = now, of
        return False

    def _forget(self, now: int) -> None:
        """Remove the tokens that are not fresh any longer. The oldest come first."""
        while self._seen and now - next(iter(self._seen.values()))[0] > 2 * FRESH_S:
            del self._seen[next(iter(self._seen))]
