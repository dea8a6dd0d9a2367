"""The agent's identity in its messages, and the header fields that contain it (RFC 3261 8.1.1)."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from dataclasses import dataclass, replace
from uuid import uuid4

from sipmesh import __version__
from sipmesh.client.dialog import Dialog
from sipmesh.sip.message import Request, build_request
from sipmesh.sip.uri import SipUri

METHODS = "INVITE, ACK, BYE, CANCEL, MESSAGE, OPTIONS"
MAX_FORWARDS = "70"
USER_AGENT = f"sipmesh/{__version__}"

Headers = Iterable[tuple[str, str]]


def new_tag() -> str:
    """Return a random tag (RFC 3261 19.3: at least 32 bits of randomness)."""
    return secrets.token_hex(8)


def new_instance() -> str:
    """Return a new instance id for an agent (RFC 5626 4.1)."""
    return f"<urn:uuid:{uuid4()}>"


def new_branch() -> str:
    """Return the branch of a new transaction (RFC 3261 8.1.1.7)."""
    return f"z9hG4bK{secrets.token_hex(12)}"


@dataclass(frozen=True, slots=True)
class Party:
    """One user on one link.

    *address* is the user's address. *here* is host and port of our end of the link, for Via and Contact; it is not connected to,
    since the server answers on the link. *instance* identifies this agent to the registrar (RFC 5626 4.1).
    """

    address: SipUri
    here: tuple[str, int] = ("client.invalid", 5061)
    instance: str = ""

    @classmethod
    def of(cls, address: SipUri, instance: str = "") -> Party:
        """Return a party with the given *instance*, or with a new one."""
        return cls(address, instance=instance or new_instance())

    def at(self, here: tuple[str, int]) -> Party:
        """Return the same party on another link."""
        return replace(self, here=here)

    @property
    def aor(self) -> str:
        """The address of record."""
        return self.address.aor

    @property
    def user(self) -> str:
        """The user name, as digest uses it."""
        return self.aor.removeprefix("sip:").partition("@")[0]

    @property
    def domain(self) -> str:
        """The SIP domain, which is also the digest realm."""
        return self.address.domain

    @property
    def contact(self) -> str:
        """The Contact URI."""
        uri = SipUri("sip", self.address.user, None, *self.here, params=(("transport", "tls"), ("ob", None)))
        return f"<{uri}>"

    def via(self) -> str:
        """Make a Via for a new transaction."""
        host, port = self.here
        return f"SIP/2.0/TLS {f'[{host}]' if ':' in host else host}:{port};branch={new_branch()}"

    def outside(
        self,
        method: str,
        uri: str,
        to: str,
        headers: Headers = (),
        body: bytes = b"",
        *,
        content_type: str | None = None,
        call_id: str = "",
        cseq: int = 1,
    ) -> Request:
        """Return a request outside any dialog; *to* is the URI of To."""
        fixed = [
            ("via", self.via()),
            ("max-forwards", MAX_FORWARDS),
            ("from", f"<{self.aor}>;tag={new_tag()}"),
            ("to", f"<{to}>"),
            ("call-id", call_id or secrets.token_hex(12)),
            ("cseq", f"{cseq} {method}"),
            ("user-agent", USER_AGENT),
        ]
        return build_request(method, uri, [*fixed, *headers], body, content_type)

    def inside(self, dialog: Dialog, method: str, headers: Headers = ()) -> Request:
        """Return the next request of *dialog* (RFC 3261 12.2.1.1); an ACK gets the CSeq number of its INVITE."""
        uri, routes = dialog.aim()
        fixed = [
            ("via", self.via()),
            ("max-forwards", MAX_FORWARDS),
            *(("route", route) for route in routes),
            ("from", dialog.local),
            ("to", dialog.remote),
            ("call-id", dialog.call_id),
            ("cseq", f"{dialog.next_cseq(method)} {method}"),
            ("user-agent", USER_AGENT),
        ]
        return build_request(method, uri, [*fixed, *headers])

    def again(self, request: Request, headers: Headers) -> Request:
        """Return *request* as a new transaction with additional *headers*; the CSeq rises by one (RFC 3261 22.1)."""
        other = request.copy()
        other.replace("via", self.via())
        other.replace("cseq", f"{request.cseq.number + 1} {request.method}")
        for name, value in headers:
            other.append(name, value)
        return other
