"""The dialogs of users who hide: no caller may find out by Replaces whose phone has one.

The other side of a call knows its Call-ID and tags. A phone takes an INVITE that names its dialog in Replaces (RFC 3891) or Join
(RFC 3911), and refuses it with 481 if it has no such dialog. So a callee who was called by a user who hides could ask
each user. Here the Call-ID is replaced in what goes to a phone of that user: it answers as each other phone does.
"""

from __future__ import annotations

from collections import OrderedDict
from hashlib import blake2s
from typing import Final

from sipmesh.sip.message import Request
from sipmesh.sip.rows import JOIN, REPLACES
from sipmesh.sip.text import LWS, octets_of

MOST_OF_USER: Final = 20
"""The last calls of one user."""

MOST_USERS: Final = 10_000
"""Users of whom calls are known: those who have hidden last."""

OF_NOBODY: Final = "anonymous.invalid;to-tag=0;from-tag=0"
"""A dialog that no phone has."""

_HASH_OCTETS: Final = 8
_NAMING: Final = ("replaces", "join", "target-dialog")


class HiddenDialogs:
    """Remembers the Call-IDs of calls in which users hide, by the hash of each user (`owner_hash`), for *most* users."""

    def __init__(self, most: int = MOST_USERS) -> None:
        self._of: OrderedDict[bytes, list[bytes]] = OrderedDict()
        self._most = most

    def add(self, owner: bytes, call_id: str) -> None:
        """Remember a call in which *owner* hides."""
        known, hashed = self._of.setdefault(owner, []), _hash(call_id)
        self._of.move_to_end(owner)
        if hashed not in known:
            known.append(hashed)
            del known[:-MOST_OF_USER]
        if len(self._of) > self._most:
            self._of.popitem(last=False)

    def unname(self, copy: Request, owner: bytes) -> None:
        """Have the copy of a request for a phone of *owner* name no dialog in which *owner* hides."""
        known = self._of.get(owner)
        if known is None or not (copy.present & (REPLACES | JOIN) or copy.has("target-dialog")):
            return
        for name in _NAMING:
            if any(_hash(item.partition(";")[0].strip(LWS)) in known for item in copy.items(name)):
                copy.replace(name, OF_NOBODY)


def _hash(call_id: str) -> bytes:
    return blake2s(octets_of(call_id), digest_size=_HASH_OCTETS).digest()
