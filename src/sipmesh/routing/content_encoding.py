"""The encoding of a body: what a server reads must not be compressed."""

from __future__ import annotations

from typing import Final

from sipmesh.routing.outcome import Answer
from sipmesh.sip.message import Request
from sipmesh.sip.text import ascii_lower

IDENTITY: Final = "identity"


def refused_encoding(request: Request) -> Answer | None:
    """Refuse a body that is encoded, with what is accepted (RFC 3261 sections 8.2.3 and 20.2); None for all else."""
    if any(ascii_lower(coding) != IDENTITY for coding in request.items("content-encoding")):
        return Answer(415, headers=(("Accept-Encoding", IDENTITY),))
    return None
