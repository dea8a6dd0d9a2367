"""Check the credentials of a request: RFC 3261 section 22, RFC 7616 and RFC 8760.

A peer cannot learn whether a user exists. An unknown user gets a challenge like any other. The credentials are computed in
the same way, and the answer is another challenge.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from sipmesh.errors import RemoteError
from sipmesh.routing.authentication.digest_sets import NOBODY
from sipmesh.routing.authentication.verifier import DEVICE_MARK, DevicePassword, Verifier, user_of
from sipmesh.sip.digest import Algorithm, Credentials, Nonces, NonceState, challenge_values, is_digest, verify
from sipmesh.sip.message import Request
from sipmesh.sip.status import Status
from sipmesh.sip.uri import SipUri

MOST_CREDENTIALS: Final = 4
"""Credentials rows that are read in one request. A client sends one for each realm that has challenged it."""

OFFERED_QOP: Final = ("auth", None)
"""What credentials may have: ``auth``, which each challenge offers, or nothing, which is a failed login."""

MeansUs = Callable[[SipUri], bool]

_HEADERS: Final[dict[int, tuple[str, str]]] = {
    Status.UNAUTHORIZED: ("www-authenticate", "authorization"),
    Status.PROXY_AUTHENTICATION_REQUIRED: ("proxy-authenticate", "proxy-authorization"),
}


@dataclass(init=False, slots=True)
class Proved:
    """The sender knows a password of *aor*: the user's own, or that of one *device*. *generation* is that of the password.

    Without *algorithm* a certificate has proved it, or an access token (*is_token*). See :class:`Verifier`.
    """

    aor: str
    generation: int
    algorithm: Algorithm | None
    device: str
    is_token: bool

    def __init__(
        self, aor: str, generation: int, algorithm: Algorithm | None, device: str = "", *, is_token: bool = False
    ) -> None:
        self.aor, self.generation, self.algorithm, self.device = aor, generation, algorithm, device
        self.is_token = is_token


@dataclass(init=False, slots=True)
class Challenge:
    """Ask for credentials. *flaw* says for our log what is wrong with the received credentials, or is "".

    A challenge with a flaw counts as a failed login. A stale nonce with the right password does not.
    """

    status: int
    headers: tuple[tuple[str, str], ...] = field(repr=False)
    stale: bool
    flaw: str

    def __init__(
        self, status: int, headers: tuple[tuple[str, str], ...], *, stale: bool = False, flaw: str = ""
    ) -> None:
        self.status, self.headers, self.stale, self.flaw = status, headers, stale, flaw


@dataclass(frozen=True, slots=True)
class Refused:
    """Answer with *status*, and do not challenge: the request is malformed, so another password would not help.

    *flaw* says for our log what is wrong, if it is something else.
    """

    status: int
    reason: str
    flaw: str = ""


Authentication = Proved | Challenge | Refused


def claimed(request: Request) -> str:
    """Give the address of record that a request has to prove: To for a REGISTER, From for other methods.

    Raises `RemoteError` if it is not a SIP URI.
    """
    return (request.to if request.method == "REGISTER" else request.from_).sip_uri.aor


def status_for(request: Request) -> int:
    """Give the status of a challenge: 401 of a registrar or 407 of a proxy (RFC 3261 sections 22.2 and 22.3)."""
    return Status.UNAUTHORIZED if request.method == "REGISTER" else Status.PROXY_AUTHENTICATION_REQUIRED


def nothing_means_us(uri: SipUri) -> bool:  # noqa: ARG001 - the signature of `MeansUs`
    """Give False: the URI of a digest must be equivalent to the Request-URI."""
    return False


def authenticate(
    request: Request,
    aor: str,
    verifier: Verifier | None,
    nonces: Nonces,
    link: int,
    *,
    at: float,
    entropy: bytes,
    alike: Mapping[Algorithm, str] = NOBODY,
    means_us: MeansUs = nothing_means_us,
) -> Authentication:
    """Check whether the credentials of *request* prove that its sender is *aor*.

    Args:
        request: Any request except ACK and CANCEL, which cannot be challenged (RFC 3261 section 22.1).
        aor: The user to be proved, as ``sip:user@domain``. The domain is the realm.
        verifier: The hashes of that user; None for an unknown user.
        nonces: Makes and judges the nonces of this server. A nonce count is used up only if the password is right.
        link: The number of the link of the request. A nonce is valid on one link only.
        at: Now, in seconds of one clock for all nonces of a server.
        entropy: 8 random octets, for the nonce of a challenge.
        alike: The algorithms in a challenge to an unknown user, with hashes of no password. They are always the same
        for one name, and
            others cannot compute them.
        means_us: Tells whether a URI means this server, by its domain, a name or an address.
    """
    status = status_for(request)
    asking = _Asking(request, aor, verifier, status, alike)
    flaw, stale = "", False
    try:
        credentials = asking.credentials()
        if credentials is not None:
            if credentials.userhash or credentials.qop not in OFFERED_QOP:
                return Refused(400, f"Digest {'userhash' if credentials.userhash else 'qop'} Was Not Offered")
            flaw = asking.flaw(credentials)
            if not flaw and not same_resource(credentials.uri, request, means_us):
                return Refused(400, "Digest URI Is Not The Request-URI")
            if not flaw and nonces.judge(credentials.nonce, credentials.nc, at, link) is NonceState.FRESH:
                return asking.proved(credentials)
            stale = not flaw
    except RemoteError as wrong:
        return Refused(wrong.status, "Malformed Credentials")
    return Challenge(status, asking.challenges(nonces.mint(at, entropy, link), stale=stale), stale=stale, flaw=flaw)


class _Asking:
    __slots__ = ("alike", "aor", "realm", "request", "status", "user", "verifier")

    def __init__(
        self, request: Request, aor: str, verifier: Verifier | None, status: int, alike: Mapping[Algorithm, str]
    ) -> None:
        self.request, self.aor, self.verifier = request, aor, verifier
        self.status, self.alike = status, alike
        self.user, self.realm = user_of(aor), aor.rpartition("@")[2]

    @property
    def ha1(self) -> Mapping[Algorithm, str]:
        return self.verifier.ha1 if self.verifier is not None else self.alike

    def credentials(self) -> Credentials | None:
        """Give the credentials for our realm: those of our user with an algorithm that we support, if there are any.

        Credentials for other realms are ignored, with any algorithm (RFC 3261 section 22.3). A client with several
        accounts may send the credentials of each in one request. Phones that are made for IMS send a first REGISTER with an empty
        nonce and an empty response (3GPP TS 24.229 section 5.1.1.2): they answer no challenge.
        """
        found: Credentials | None = None
        for value in self.request.values(_HEADERS[self.status][1])[:MOST_CREDENTIALS]:
            if is_digest(value) and (one := Credentials.parse(value)).realm == self.realm and one.nonce + one.response:
                if self.is_of_user(one.username) and one.algorithm is not None:
                    return one
                found = found or one
        return found

    def is_of_user(self, name: str) -> bool:
        """Tell whether a digest user name is that of our user, or can be that of a device of our user."""
        return name == self.user or name.rpartition(DEVICE_MARK)[0] == self.user

    def password(self, name: str) -> Verifier | DevicePassword | None:
        """Give the password of the digest user name *name*: that of the user or of one device."""
        if self.verifier is None or name == self.user:
            return self.verifier
        return self.verifier.device(name)

    def flaw(self, credentials: Credentials) -> str:
        """Give the error of the credentials, or "". An unknown user or device takes the same time as a wrong password."""
        if credentials.algorithm is None:
            return "the digest algorithm was not offered"
        if credentials.qop is None:
            return "malformed: without qop, which was offered"
        known = self.password(credentials.username)
        hashed = known.ha1.get(credentials.algorithm) if known is not None else None
        right = verify(credentials, self.request.method, hashed or NOBODY[credentials.algorithm])
        if not self.is_of_user(credentials.username):
            return "the user name is not that of the address"
        if credentials.algorithm not in self.ha1:
            return f"{credentials.algorithm} was not offered"
        if known is None or hashed is None:
            return "unknown user" if self.verifier is None else "unknown device, or its password was revoked"
        return "" if right else "wrong password"

    def proved(self, credentials: Credentials) -> Proved:
        assert credentials.algorithm is not None  # noqa: S101 - an algorithm that we do not support is a flaw
        known = self.password(credentials.username)
        assert known is not None  # noqa: S101 - an unknown user or device has a flaw
        device = "" if known is self.verifier else credentials.username.rpartition(DEVICE_MARK)[2]
        return Proved(self.aor, known.generation, credentials.algorithm, device)

    def challenges(self, nonce: str, *, stale: bool) -> tuple[tuple[str, str], ...]:
        """Write one challenge for each algorithm of the user, strongest first (RFC 8760 section 2.4)."""
        name = _HEADERS[self.status][0]
        return tuple([(name, value) for value in challenge_values(self.realm, nonce, self.ha1, stale=stale)])


def same_resource(signed: str, request: Request, means_us: MeansUs) -> bool:
    """Tell whether the URI that was *signed* is the resource of *request* (RFC 7616 section 3.4.6, RFC 3261 section 22.4).

    - It is equivalent to the Request-URI (RFC 3261 section 19.1.4).
    - It has the same user, and both hosts mean this server: its domain, one of its names, or an address of it. Some phones sign
      the way to the server, and write parameters into one of the two URIs only.
    - It means this server, and has no user. SIPp and others sign that for each request. Then the digest proves the password for
      this server, and leaves the rest to TLS: the nonce counts on this link only, and each count once.

    So credentials that were made for another server, or for another user, are never accepted. Raises `RemoteError` if *signed* is
    malformed.
    """
    if signed == request.uri:
        return True
    uri = SipUri.parse(signed)
    if uri.equivalent(request.ruri):
        return True
    if not means_us(uri):
        return False
    return uri.user is None or (
        means_us(request.ruri) and request.ruri.aor.partition("@")[0] == uri.aor.partition("@")[0]
    )
