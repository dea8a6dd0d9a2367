"""The header fields of the 200 to a REGISTER (RFC 3261 section 10.3 step 8, and the RFCs of each extension)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import Final

from sipmesh.routing.registrar.binding import NEVER, Binding
from sipmesh.routing.registrar.gruu import NONCE_BYTES, Gruus, public_gruu
from sipmesh.sip.message import Request
from sipmesh.sip.names import bits_of
from sipmesh.sip.text import ascii_lower
from sipmesh.sip.text_cache import TextCache
from sipmesh.sip.uri import CACHED_LENGTH

SUPPORTED: Final = ("gruu", "outbound", "path")
"""The option tags of the registrar, in the order in which they are written."""

_OFFERS: Final = bits_of("supported", "require")
_NOTHING: Final[frozenset[str]] = frozenset()
_offered: Final[TextCache[frozenset[str]]] = TextCache(256)
"""The tags of a REGISTER are read several times; all phones of one kind write the same tags."""


@dataclass(init=False, slots=True)
class FlowFacts:
    """The link of a REGISTER: its server, that server's incarnation, the flow number and the flow token.

    *path* is our entry in a Path, which has the flow token (RFC 3327, RFC 5626 section 5.1). *service_route* is the URI by which
    the client reaches this server (RFC 3608). Each has no angle brackets; "" means that the answer does not have the field.
    *is_carried*: the link is at another server, which has put its Path with ``ob`` into the REGISTER.
    """

    server: str
    incarnation: int
    flow: int
    token: str
    path: str
    service_route: str
    is_carried: bool

    def __init__(
        self,
        server: str,
        incarnation: int,
        flow: int,
        token: str,
        path: str = "",
        service_route: str = "",
        *,
        is_carried: bool = False,
    ) -> None:
        self.server, self.incarnation, self.flow, self.token = server, incarnation, flow, token
        self.path, self.service_route, self.is_carried = path, service_route, is_carried


@dataclass(frozen=True, slots=True)
class GruuMint:
    """Makes the GRUUs of one answer. *entropy* has `NONCE_BYTES` octets for each temporary GRUU that may be made."""

    gruus: Gruus
    entropy: bytes

    def params(self, row: Binding, number: int) -> str:
        """Give the parameters of the Contact of *row*, the *number*-th of the answer; "" for a row without an instance URN.

        Once *entropy* is used up, there are public GRUUs only.
        """
        public = public_gruu(row)
        if not public:
            return ""
        nonce = self.entropy[number * NONCE_BYTES : (number + 1) * NONCE_BYTES]
        temporary = self.gruus.temporary(row, nonce) if len(nonce) == NONCE_BYTES else ""
        return f';pub-gruu="{public}"' + (f';temp-gruu="{temporary}"' if temporary else "")


def offers(request: Request) -> frozenset[str]:
    """Give the option tags that the client of *request* understands: those in Supported and in Require."""
    if not request.present & _OFFERS:
        return _NOTHING
    lines = "\n".join([row.line for row in request.rows if row.bit & _OFFERS])
    tags = _offered.get(lines)
    if tags is None:
        tags = frozenset([ascii_lower(tag) for name in ("supported", "require") for tag in request.items(name)])
        if len(lines) <= CACHED_LENGTH:
            _offered.keep(lines, tags)
    return tags


def granted_headers(
    request: Request,
    owner: str,
    bindings: Sequence[Binding],
    flow: FlowFacts,
    flow_timer_s: int,
    mint: GruuMint | None,
    *,
    at: float,
) -> tuple[tuple[str, str], ...]:
    """Give the fields of the 200: "Contact header field values enumerating all current bindings", and what was offered.

    A client that offers ``gruu`` gets GRUUs, a client that offers ``path`` gets our Path, and a client that uses
    outbound gets
    ``Require: outbound`` and the Flow-Timer. Service-Route and P-Associated-URI have no option tag. P-Associated-URI is *owner*,
    the user, whom To may name by an alias. *at* is in seconds of the clock of the bindings.
    """
    offered = offers(request)
    wanted = mint if "gruu" in offered else None
    headers = [("contact", contact_value(row, at, wanted, number)) for number, row in enumerate(bindings)]
    if flow.path and "path" in offered:
        headers.append(("path", f"<{flow.path}>"))
    if flow.service_route:
        headers.append(("service-route", f"<{flow.service_route}>"))
    headers.append(("p-associated-uri", f"<{owner}>"))
    if is_outbound(request, offered):
        headers.append(("require", "outbound"))  # RFC 5626 section 6: tells the client that outbound is used
        headers.extend([("flow-timer", str(flow_timer_s))] if flow_timer_s else [])
    return (*headers, ("supported", ", ".join(SUPPORTED)))


def is_outbound(request: Request, offered: frozenset[str]) -> bool:
    """Tell whether outbound is used: the client supports it, and a Contact has an instance and a reg-id."""
    if "outbound" not in offered:
        return False
    return any(contact.param("reg-id") and contact.param("+sip.instance") for contact in request.contacts)


def contact_value(binding: Binding, at: float, mint: GruuMint | None = None, number: int = 0) -> str:
    """Write one Contact of the 200. Its expires is in whole seconds, rounded up to the granted time at most.

    For a row of another server it is the granted time, because only that server knows how much is left.
    """
    parts = [f"<{binding.contact}>"]
    if binding.q != 1.0:
        parts.append(f"q={binding.q:g}")
    if binding.instance is not None:
        parts.append(f'+sip.instance="{binding.instance}"')
    if binding.reg_id is not None:
        parts.append(f"reg-id={binding.reg_id}")
    left_s = binding.interval_s
    if binding.expires_at != NEVER:
        left_s = max(0, min(left_s, ceil(binding.expires_at - at)))  # a float sum may exceed the granted time a little
    parts.append(f"expires={left_s}")
    return ";".join(parts) + (mint.params(binding, number) if mint is not None else "")
