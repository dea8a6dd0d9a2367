"""Which messages belong to a trace."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from sipmesh.distribution.event import is_of_package
from sipmesh.errors import OperatorError
from sipmesh.server.proxy.flow import Flow
from sipmesh.sip.message import Request
from sipmesh.sip.text import ascii_lower

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sipmesh.sip.message import Response
    from sipmesh.transport.link.link import Link

MOST_CALLS: Final = 500
"""Call-IDs of one trace: each message with one of them belongs to it, also if it names other users."""

LONGEST: Final = 256
"""Characters of what is asked for."""

_URI: Final = re.compile(r"sips?:(?:([^@<>;\s\"]+)@)?(\[[^\]]*\]|[^:;<>?,\s\"]+)", re.IGNORECASE | re.ASCII)
_NAMED: Final = frozenset({"from", "to", "p-asserted-identity", "p-preferred-identity", "referred-by"})


def must_be_traceable(what: str, name: str = "") -> None:
    """Raise `OperatorError` unless a trace called *name* may be about *what*."""
    if not what or max(len(what), len(name)) > LONGEST:
        raise OperatorError(f"a trace needs a user, domain, partner, link or Call-ID of at most {LONGEST} characters")


class TraceFilter:
    """Messages that concern *what*: a user, a domain, a partner, a server, the id of a link, or a Call-ID.

    A user may be given without the domain. If one message of a call matches, all later messages with its Call-ID match too.
    """

    def __init__(self, what: str) -> None:
        self.what = what
        self._wanted = ascii_lower(what).removeprefix("sips:").removeprefix("sip:")
        self._calls: dict[str, None] = {}

    def takes(self, link: Link, message: Request | Response) -> bool:
        """Tell whether *message* of *link* belongs to the trace; those of the control plane never do: they carry the users."""
        if link.is_control or is_of_package(message):
            return False
        call_id = message.first("call-id") or ""
        if call_id in self._calls:
            return True
        if not (
            call_id == self.what or self._wanted in _names_of_link(link) or self._wanted in set(_names_in(message))
        ):
            return False
        if len(self._calls) >= MOST_CALLS:
            del self._calls[next(iter(self._calls))]
        self._calls[call_id] = None
        return True


def _names_of_link(link: Link) -> set[str]:
    names = {link.id, link.peer_name}
    if isinstance(link.flow, Flow):
        for aor in link.flow.users:
            names |= _forms(aor)
    return names - {""}


def _names_in(message: Request | Response) -> Iterator[str]:
    """Give the users and domains that a message names, in lower case: whole addresses, users alone, and domains alone."""
    if isinstance(message, Request):
        yield from _forms(message.uri)
    for row in message.rows:
        if row.name in _NAMED:
            yield from _forms(row.line)


def _forms(text: str) -> set[str]:
    found: set[str] = set()
    for user, host in _URI.findall(ascii_lower(text)):
        found |= {user, host, f"{user}@{host}"} if user else {host}
    return found
