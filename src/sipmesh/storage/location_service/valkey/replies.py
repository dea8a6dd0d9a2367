"""Replies of the store, each read by the shape that its command has."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from sipmesh.storage.location_service.valkey.connection import MalformedReplyError

if TYPE_CHECKING:
    from sipmesh.storage.location_service.valkey.connection import Reply

IDENTITY_DIGITS: Final = 32
_RUN_ID = re.compile(rb"run_id:([0-9a-f]{40})")


def ignored(_reply: Reply) -> None:
    """Do nothing with a reply."""


def run_id_of(reply: Reply) -> str:
    """Read which process of the store this is, in 40 hex digits; raises `MalformedReplyError`."""
    text = reply if isinstance(reply, bytes) else b""
    for line in text.splitlines():
        if (found := _RUN_ID.fullmatch(line)) is not None:
            return found[1].decode()
    raise MalformedReplyError("INFO without a run_id")


def joined_of(reply: Reply) -> tuple[bytes, str, float]:
    """Read our entry, the identity, and the age of the store in seconds; raises `MalformedReplyError`."""
    match reply:
        case [bytes(entry), bytes(identity), int(age)] if len(identity) == IDENTITY_DIGITS and identity.isalnum():
            return entry, identity.decode("ascii", "replace"), float(age)
    raise MalformedReplyError("the identity of the store")


def pairs_of(reply: Reply) -> dict[bytes, bytes]:
    """Read names and values, which follow each other; raises `MalformedReplyError`."""
    if isinstance(reply, list) and all(isinstance(part, bytes) for part in reply):
        return dict(zip(reply[::2], reply[1::2], strict=False))
    raise MalformedReplyError("names and values")
