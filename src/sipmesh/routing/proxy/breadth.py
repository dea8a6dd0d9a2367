"""Max-Breadth: how many branches a request may have at one time, here and at all servers behind us (RFC 5393 section 5)."""

from __future__ import annotations

from typing import Final

from sipmesh.errors import RemoteError
from sipmesh.routing.target import Target
from sipmesh.sip.fields import bounded
from sipmesh.sip.message import Request
from sipmesh.sip.rows import MAX_BREADTH, made_row
from sipmesh.sip.text import is_digits

DEFAULT_BREADTH: Final = 60
"""RFC 5393 section 5.3.3: the recommended value for a request without the field."""
MOST_BREADTH: Final = 2**31 - 1
_ROWS: Final = [made_row("max-breadth", str(breadth)) for breadth in range(DEFAULT_BREADTH + 1)]


def breadth_of(request: Request) -> int:
    """Give the branches that *request* may have at one time; RemoteError 400 for a malformed value."""
    if not request.present & MAX_BREADTH:
        return DEFAULT_BREADTH
    value = request.row(MAX_BREADTH).value
    breadth = bounded(value, MOST_BREADTH) if is_digits(value) else None
    if breadth is None:
        raise RemoteError("not a Max-Breadth", rule="RFC 5393 section 5.2")
    return breadth


def set_breadth(request: Request, breadth: int) -> None:
    """Let *request* have so many branches at one time. Nearly no request has the field before."""
    if request.present & MAX_BREADTH or breadth > DEFAULT_BREADTH:
        request.replace("max-breadth", str(breadth))
    else:
        request.add(_ROWS[breadth])


def narrowed(groups: list[tuple[Target, ...]], breadth: int) -> list[tuple[Target, ...]]:
    """Split the groups of targets so that none has more than *breadth*. The last group is started first.

    The branches of one group run at the same time, and the next group starts after all of them have failed. So each group may
    use all of the breadth (RFC 5393 section 5.3.3.1 allows this).
    """
    return [group[at : at + breadth] for group in groups for at in reversed(range(0, len(group), breadth))]
