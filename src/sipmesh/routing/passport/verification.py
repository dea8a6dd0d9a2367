"""Compare the claims of a PASSporT with the request that carries it (RFC 8224 section 6.2)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from sipmesh.errors import RemoteError
from sipmesh.routing.identity.privacy import is_anonymous
from sipmesh.routing.passport.claims import Claims, canonical, domain_of, keys_in
from sipmesh.sip.status import Status
from sipmesh.sip.text_cache import short_key

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sipmesh.sip.message import Request

FRESH_S: Final = 60
"""RFC 8224 section 6.2.1 recommends a window of 60 s."""

MOST_REMEMBERED: Final = 10_000
"""Signed tokens of one partner that a process has accepted, and remembers for twice FRESH_S."""

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


class PassportUse(NamedTuple):
    """A token of *peer* was accepted for *call* (`call_of`) in the second *at*; *mark* is that of the token, in hexadecimal.

    *call* is "" for a token of this server, which counts for one request: that does not arrive again.
    """

    peer: str
    mark: str
    call: str
    at: int


def call_of(request: Request) -> str:
    """Give a key of the dialog and the CSeq of *request*: a request that arrives again, as after a failed link, has the same."""
    return short_key(f"{request.cseq.number} {request.from_.tag} {request.call_id}")


class Replays:
    """The tokens of one partner that were accepted lately, each with its second and the key of its request (`call_of`).

    Those that another process of this server has accepted are kept apart: that process bounds them.
    """

    __slots__ = ("_elsewhere", "_seen")

    def __init__(self) -> None:
        self._seen: dict[str, tuple[int, str]] = {}
        self._elsewhere: dict[str, tuple[int, str]] = {}

    def is_replayed(self, mark: str, call: str, now: int) -> bool:
        """Tell whether the token with this *mark* was accepted for another request; remember it otherwise.

        A request that arrives again may bring its token again. A full memory refuses new tokens of a partner: an attacker must
        not make it forget one. Tokens that this server has made, with "" as *call*, are always remembered: it makes one for a
        call, and a bound would let the calls of one caller keep those of all others out.
        """
        known = self._seen.get(mark) or self._elsewhere.get(mark)
        if known is not None:
            return known[1] != call or not call
        _forget(self._seen, now)
        if call and len(self._seen) >= MOST_REMEMBERED:
            return True
        self._seen[mark] = now, call
        return False

    def knows(self, mark: str) -> bool:
        """Tell whether the token with this *mark* was accepted, here or by another process."""
        return mark in self._seen or mark in self._elsewhere

    def used_elsewhere(self, use: PassportUse) -> bool:
        """Remember a token that another process has accepted; tell whether it was accepted here for another request."""
        _forget(self._elsewhere, use.at)
        self._elsewhere.setdefault(use.mark, (use.at, use.call))
        known = self._seen.get(use.mark)
        return known is not None and (known[1] != use.call or not use.call)

    def uses(self, peer: str) -> Iterator[PassportUse]:
        """Give all tokens that are remembered; they are those of *peer*."""
        for seen in (self._seen, self._elsewhere):
            for mark, (at, call) in seen.items():
                yield PassportUse(peer, mark, call, at)


def _forget(seen: dict[str, tuple[int, str]], now: int) -> None:
    """Remove the tokens that are not fresh: too old, or of a future that a clock has shown. The oldest come first."""
    while seen and abs(now - next(iter(seen.values()))[0]) > 2 * FRESH_S:
        del seen[next(iter(seen))]
