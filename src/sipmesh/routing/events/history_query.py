"""What a user asks of its message history: a page by the Event of a SUBSCRIBE, an erasure by the body of a PUBLISH."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

from sipmesh.errors import RemoteError
from sipmesh.routing.events.history_entry import Written
from sipmesh.routing.identity.sender import ClientSender, Sender
from sipmesh.routing.outcome import Answer
from sipmesh.sip.fields import param_of, parse_params
from sipmesh.sip.text import is_digits
from sipmesh.strict_json import read_json
from sipmesh.trust.code import Code
from sipmesh.trust.role import Role

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sipmesh.sip.message import Request

ALL: Final = "*"
"""Erases all conversations."""

LONGEST_ORDER: Final = 2_048
_LATEST: Final = (1 << 62) - 1

NOT_THE_USER: Final = Answer(403, code=Code.FROM_NOT_ALLOWED, why="only a user who has logged in has a message history")


def is_of_user(sender: Sender, pool: str) -> bool:
    """Tell whether a request about a history came from the link of its user, or from a server of *pool* that has seen that link.

    An application may speak for users, and reads no history.
    """
    return isinstance(sender, ClientSender) or (sender.peer.pool == pool and sender.peer.role is Role.FRONT_END)


def query_of(event: str) -> tuple[str | None, int] | None:
    """Return the other side and the instant that an Event asks for: the parameters ``with`` (None: all) and ``before`` (0: now).

    None if they cannot be read.
    """
    _, _, text = event.partition(";")
    try:
        params = parse_params(text, "Event") if text else ()
        who, before = param_of(params, "with"), param_of(params, "before")
    except RemoteError:
        return None
    instant = before or "0"
    if not (is_digits(instant) and len(instant) < len(str(_LATEST))):
        return None
    return (None if who is None else unquote(who, errors="replace")), int(instant)


def order_of(request: Request) -> str | None:
    """Return whose conversation a PUBLISH erases, `ALL` for each; None if it cannot be read."""
    if len(request.body) > LONGEST_ORDER:
        return None
    try:
        order = read_json(request.body)
    except (ValueError, RecursionError):
        return None
    what = order.get("erase") if isinstance(order, dict) and len(order) == 1 else None
    return what if isinstance(what, str) and what else None


def document(name: str, entries: Sequence[tuple[int, bytes]], before: int) -> bytes:
    """Write messages as JSON: a list *name* of *entries*, instant and octets, and ``before`` for the next page, 0 for none."""
    told = [found.as_json(at) for at, octets in entries if (found := Written.read(octets)) is not None]
    return json.dumps({name: told, "before": before}, ensure_ascii=False).encode()
