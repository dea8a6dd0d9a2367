"""The results of requests that the agent sent, and the messages that it received."""

from __future__ import annotations

from dataclasses import dataclass, field

from sipmesh.errors import SipmeshError
from sipmesh.sip.fields import NameAddr, Via
from sipmesh.sip.message import Request, Response
from sipmesh.sip.status import FIRST_FINAL, FIRST_REDIRECTION


class NoAnswerError(SipmeshError):
    """No final response arrived in time, or none can arrive any more; the text is the reason."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The final response to a request: *warnings* as received, *hops* are the servers that record-routed, *elapsed_s* seconds."""

    status: int
    reason: str
    warnings: tuple[str, ...]
    hops: tuple[str, ...]
    elapsed_s: float
    response: Response = field(repr=False)

    @classmethod
    def of(cls, response: Response, elapsed_s: float) -> Outcome:
        """Return the outcome of a final response."""
        warnings = tuple(item for item in response.items("warning") if item)
        return cls(response.status, response.reason, warnings, hops_of(response), elapsed_s, response)

    @property
    def ok(self) -> bool:
        """Whether it is a 2xx."""
        return FIRST_FINAL <= self.status < FIRST_REDIRECTION

    def __str__(self) -> str:
        return " ".join([f"{self.status} {self.reason}", *self.warnings])


@dataclass(frozen=True, slots=True)
class Text:
    """A received MESSAGE that was answered with 200; *identity* is the sender as asserted by our server, or None."""

    sender: str
    identity: str | None
    content_type: str
    body: bytes
    hops: tuple[str, ...]
    request: Request = field(repr=False)

    @classmethod
    def of(cls, request: Request) -> Text:
        """Return the content of a MESSAGE."""
        return cls(
            sender=request.from_.sip_uri.aor,
            identity=identity_of(request),
            content_type=request.first("content-type") or "text/plain",
            body=request.body,
            hops=hops_back(request),
            request=request,
        )

    @property
    def text(self) -> str:
        """The body as text; octets that are not UTF-8 become replacement characters."""
        return self.body.decode("utf-8", "replace")


def identity_of(message: Request | Response) -> str | None:
    """Return the identity of its sender that our server asserts (RFC 3325), None if it asserts none."""
    items = message.items("p-asserted-identity")
    return NameAddr.parse(items[0]).uri if items and items[0] else None


def hops_of(message: Request | Response) -> tuple[str, ...]:
    """Return the hosts that record-routed, the caller's side first; equal neighbours count once (RFC 5658)."""
    hosts = [NameAddr.parse(item).sip_uri.host for item in reversed(message.items("record-route")) if item]
    return tuple(host for number, host in enumerate(hosts) if number == 0 or hosts[number - 1] != host)


def hops_back(request: Request) -> tuple[str, ...]:
    """Return the hosts that a request has passed, the sender's side first, from its Vias."""
    return tuple(Via.parse(item).host for item in reversed(request.items("via")))
