"""Which messages belong to a trace."""

from __future__ import annotations

import re
from string import ascii_lowercase, ascii_uppercase
from typing import TYPE_CHECKING, Final

from sipmesh.distribution.event import is_of_package
from sipmesh.errors import OperatorError
from sipmesh.server.proxy.flow import Flow
from sipmesh.sip.message import Request
from sipmesh.sip.text import ascii_lower

if TYPE_CHECKING:
    from sipmesh.sip.message import Response
    from sipmesh.transport.link.link import Link

MOST_CALLS: Final = 500
"""Call-IDs of one trace: each message with one of them belongs to it, also if it names other users."""

LONGEST: Final = 256
"""Characters of what is asked for."""

_URI: Final = re.compile(r"sips?:(?:([^@<>;\s\"]+)@)?(\[[^\]]*\]|[^:;<>?,\s\"]+)", re.IGNORECASE | re.ASCII)
_CALL_ID: Final = re.compile(rb"\n(?:call-id|i)[ \t]*:\s*([^ \t\r\n]+)", re.IGNORECASE | re.ASCII)
_LOWER: Final = bytes.maketrans(ascii_uppercase.encode(), ascii_lowercase.encode())
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
        self._octets = self._wanted.encode(errors="surrogateescape")
        self._calls: dict[str, None] = {}

    def may_take(self, link: Link, data: bytes) -> bool:
        """Tell by the octets of messages whether one of them may belong to the trace: other octets need no parsing."""
        return self._octets in data.translate(_LOWER) or self._is_about(link) or self._has_known_call(data)

    def _has_known_call(self, data: bytes) -> bool:
        """Tell whether *data* may have a Call-ID of the trace."""
        if not self._calls:
            return False
        found = _CALL_ID.findall(data)
        return not found or any(one.decode(errors="surrogateescape") in self._calls for one in found)

    def _is_about(self, link: Link) -> bool:
        """Tell whether the trace is about a link, its peer, or a user who has logged in there."""
        if self._wanted and self._wanted in (link.id, link.peer_name):
            return True
        users = link.flow.users if isinstance(link.flow, Flow) else ()
        return any(self._wanted in ascii_lower(aor) and self._wanted in _forms(aor) for aor in users)

    def _names(self, message: Request | Response) -> bool:
        """Tell whether a message names what is wanted: a whole address, a user alone, or a domain alone."""
        lines = [row.line for row in message.rows if row.name in _NAMED]
        if isinstance(message, Request):
            lines.append(message.uri)
        return any(self._wanted in ascii_lower(line) and self._wanted in _forms(line) for line in lines)

    def takes(self, link: Link, message: Request | Response) -> bool:
        """Tell whether *message* of *link* belongs to the trace; those of the control plane never do: they carry the users."""
        if link.is_control or is_of_package(message):
            return False
        call_id = message.first("call-id") or ""
        if call_id in self._calls:
            return True
        if not (call_id == self.what or self._is_about(link) or self._names(message)):
            return False
        if len(self._calls) >= MOST_CALLS:
            del self._calls[next(iter(self._calls))]
        self._calls[call_id] = None
        return True


def _forms(text: str) -> set[str]:
    """Give the users and domains in *text*, in lower case: whole addresses, users alone, and domains alone."""
    found: set[str] = set()
    for user, host in _URI.findall(ascii_lower(text)):
        found |= {user, host, f"{user}@{host}"} if user else {host}
    return found
