"""The branches of our Via: globally unique, and with a hash for loop detection (RFC 3261 16.3, 16.6 and 8.1.1.7)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sipmesh.sip.message import Request
from sipmesh.sip.rows import ROUTE, VIA

if TYPE_CHECKING:
    from mypy_extensions import i64

MAGIC_COOKIE: Final = "z9hG4bK"
_SPARE: Final = 24  # bits of the hash that are dropped: the rest is a small integer, which is fast to write
_KEPT: Final = (1 << 39) - 1

_BETWEEN: Final = "x"
"""Separates the numbers of a branch. It is not a digit, and it is alphanumeric, so that the branch is fast to check."""


def loop_hash(request: Request) -> str:
    """Hash the fields that decide where a request goes. The same hash on a second visit means a loop.

    See RFC 3261 section 16.6 item 8. The fields are the Request-URI, the tags, Call-ID, CSeq number and Route. Proxy-Require
    is left out: an unsupported value is refused. The hash is valid in this process only, like the branches.
    """
    routes = tuple(request.values("route")) if request.present & ROUTE else ()
    decisive = (request.uri, request.from_.tag, request.to.tag, request.call_id, request.cseq.number, routes)
    hashed: i64 = hash(decisive)
    return str((hashed >> _SPARE) & _KEPT)


def carried_loop(loop: str) -> str:
    """Give the hash of a request on its way to or from a home pool: it may pass here again, routed by its home pool."""
    return f"{loop}c"


def prefix_of(branch: str) -> str:
    """Give the part of a branch that all branches of one `Branches` have in common."""
    return branch[: branch.find(_BETWEEN) + 1]


class Branches:
    """Makes the branches of one incarnation of a server. *sent_by* are the sent-by values of our Vias."""

    __slots__ = ("_count", "_prefix", "_sent_by")

    def __init__(self, incarnation: int, sent_by: frozenset[str]) -> None:
        self._prefix, self._count, self._sent_by = f"{MAGIC_COOKIE}{incarnation:x}{_BETWEEN}", 0, sent_by

    @property
    def prefix(self) -> str:
        """The beginning of every branch that is made here."""
        return self._prefix

    def mint(self, loop: str) -> str:
        """Return a new unique branch. *loop* is the `loop_hash` of the request."""
        self._count += 1
        return f"{self._prefix}{self._count}{_BETWEEN}{loop}"

    def looped(self, request: Request, loop: str) -> bool:
        """Tell whether the same request has passed this server before (RFC 3261 section 16.3 item 4)."""
        if not request.has_lower_via:  # a looped request has our Via and at least one more
            return False
        ending = f"{_BETWEEN}{loop}"
        for row in request.rows:
            if row.bit == VIA and ending in row.line:  # else the Vias need not be read
                for via in row.vias:
                    if via.branch and via.sent_by in self._sent_by and via.branch.endswith(ending):
                        return True
        return False
