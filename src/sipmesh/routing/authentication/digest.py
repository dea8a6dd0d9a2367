"""Do the credentials on a request prove a user? See RFC 3261 section 22, RFC 7616 and RFC 8760.

Nobody outside learns whether a user exists: an unknown one is challenged as some user would be, its credentials
are computed through like any other's, and what it gets in return is the same challenge again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from sipmesh.errors import RemoteError
from sipmesh.routing.authentication.verifier import Verifier, user_of
from sipmesh.sip.digest import Algorithm, Credentials, Nonces, NonceState, challenge_value, is_digest, verify
from sipmesh.sip.message import Request
from sipmesh.sip.uri import SipUri

UNAUTHORIZED, PROXY_AUTHENTICATION_REQUIRED = 401, 407
MOST_CREDENTIALS: Final = 4
"""Rows of credentials looked at in one request: a client sends one for each realm that has challenged it."""

_HEADERS: Final = {
    UNAUTHORIZED: ("www-authenticate", "authorization"),
    PROXY_AUTHENTICATION_REQUIRED: ("proxy-authenticate", "proxy-authorization"),
}
_NOBODY: Final[Mapping[Algorithm, str]] = {Algorithm.SHA_256: "0" * 64, Algorithm.MD5: "0" * 32}
"""Stands for an unknown user: our default algorithms, strongest first, and hashes that no password is known to have."""

_LIKE_SOMEBODY: Final[tuple[Mapping[Algorithm, str], ...]] = (
    _NOBODY,
    _NOBODY,
    {Algorithm.MD5: _NOBODY[Algorithm.MD5]},
    {Algorithm.SHA_256: _NOBODY[Algorithm.SHA_256]},
)
"""The algorithms that unknown users are challenged with: any that a user may have, so that none of them tells a user."""


@dataclass(frozen=True, slots=True)
class Proved:
    """The sender knows the password of *aor*, as it has been since *generation*."""

    aor: str
    generation: int
    algorithm: Algorithm


@dataclass(frozen=True, slots=True)
class Challenge:
    """Ask for credentials; *flaw* says for our log what was wrong with those that came, "" if none did.

    A challenge with a flaw counts as a failed login; a stale nonce under the right password does not.
    """

    status: int
    headers: tuple[tuple[str, str], ...] = field(repr=False)
    stale: bool = False
    flaw: str = ""


@dataclass(frozen=True, slots=True)
class Refused:
    """Answer with *status* and do not ask again: the client is not confused about a password but about SIP."""

    status: int
    reason: str


Authentication = Proved | Challenge | Refused


def claimed(request: Request) -> str:
    """Tell whom a request has to prove to be: To for a REGISTER, From for everything else.

    Raises `RemoteError` where that is no SIP URI.
    """
    return (request.to if request.method == "REGISTER" else request.from_).sip_uri.aor


def status_for(request: Request) -> int:
    """Tell what a challenge to *request* is: a registrar's 401 or a proxy's 407 (RFC 3261 sections 22.2 and 22.3)."""
    return UNAUTHORIZED if request.method == "REGISTER" else PROXY_AUTHENTICATION_REQUIRED


def authenticate(
    request: Request,
    aor: str,
    verifier: Verifier | None,
    nonces: Nonces,
    link: int,
    *,
    at: float,
    entropy: bytes,
    likeness: int = 0,
) -> Authentication:
    """Tell whether the credentials on *request* prove that its sender is *aor*.

    Args:
        request: Any request but ACK and CANCEL, which cannot be challenged (RFC 3261 section 22.1).
        aor: The user to be proved, as ``sip:user@domain``; the domain is the realm.
        verifier: What is known of that user; None for an unknown one.
        nonces: Makes and judges this server's nonces; a nonce is counted only under the right password.
        link: The number of the link that the request came on: a nonce is worth nothing on another one.
        at: Now, in seconds of one clock for all nonces of a server.
        entropy: At least 8 random bytes, for the nonce of a challenge.
        likeness: For an unknown user a number that is always the same for that name, and that nobody else can tell: it says
            which algorithms the challenge offers.
    """
    status = status_for(request)
    asking = _Asking(request, aor, verifier, status, likeness)
    flaw, stale = "", False
    try:
        for credentials in asking.credentials():
            flaw = asking.flaw(credentials)
            if not flaw and not _same_uri(credentials.uri, request):
                return Refused(400, "Digest URI Is Not The Request-URI")
            if not flaw and nonces.judge(credentials.nonce, credentials.nc, at, link) is NonceState.FRESH:
                return asking.proved(credentials.algorithm)
            stale = not flaw
            break
    except RemoteError as wrong:
        return Refused(wrong.status, "Malformed Credentials")
    return Challenge(status, asking.challenges(nonces.mint(at, entropy, link), stale=stale), stale, flaw)


@dataclass(frozen=True, slots=True)
class _Asking:
    request: Request
    aor: str
    verifier: Verifier | None
    status: int
    likeness: int

    @property
    def realm(self) -> str:
        return self.aor.rpartition("@")[2]

    @property
    def ha1(self) -> Mapping[Algorithm, str]:
        if self.verifier is not None:
            return self.verifier.ha1
        return _LIKE_SOMEBODY[self.likeness % len(_LIKE_SOMEBODY)]

    def credentials(self) -> Iterator[Credentials]:
        """Read the credentials for our realm; those for others' are theirs to read."""
        for value in self.request.values(_HEADERS[self.status][1])[:MOST_CREDENTIALS]:
            if is_digest(value) and (found := Credentials.parse(value)).realm == self.realm:
                yield found

    def flaw(self, credentials: Credentials) -> str:
        """Tell what is wrong with credentials, "" if nothing is; takes as long for an unknown user as for a wrong password."""
        hashed = self.ha1.get(credentials.algorithm)
        right = verify(credentials, self.request.method, hashed or _NOBODY[credentials.algorithm])
        if credentials.username != user_of(self.aor):
            return "the user name is not that of the address"
        if hashed is None:
            return f"{credentials.algorithm} was not offered"
        if self.verifier is None:
            return "unknown user"
        return "" if right else "wrong password"

    def proved(self, algorithm: Algorithm) -> Proved:
        assert self.verifier is not None  # noqa: S101 - an unknown user has a flaw
        return Proved(self.aor, self.verifier.generation, algorithm)

    def challenges(self, nonce: str, *, stale: bool) -> tuple[tuple[str, str], ...]:
        """Make one challenge for each algorithm of the user, strongest first (RFC 8760 section 2.4)."""
        name = _HEADERS[self.status][0]
        return tuple((name, challenge_value(self.realm, nonce, algorithm, stale=stale)) for algorithm in self.ha1)


def _same_uri(asked: str, request: Request) -> bool:
    """Compare the digest's URI with the Request-URI: credentials for one request are none for another."""
    return asked == request.uri or SipUri.parse(asked).equivalent(request.ruri)
