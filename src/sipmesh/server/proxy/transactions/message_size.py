"""Whether the next hop would read a message that we send."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sipmesh.sip.framing import MAX_HEADER, MAX_ROWS

if TYPE_CHECKING:
    from sipmesh.sip.message import Message


def is_too_long(message: Message, size: int) -> bool:
    """Return whether a message of *size* octets has a header that a reader with our limits would refuse.

    Every hop adds to a message. So each server checks what it sends; otherwise the next hop would close the link.
    """
    return len(message.rows) > MAX_ROWS or (size > MAX_HEADER and size - len(message.body) > MAX_HEADER)
