"""Which server of a pool is the notifier of a user: one at a time, so that it alone has what was published."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from hashlib import blake2s

from sipmesh.sip.text import octets_of


def notifier_of(aor: str, servers: Sequence[str], down: Collection[str]) -> str:
    """Choose the notifier of *aor* among the *servers* of its pool, except those that are *down*; "" if there is none.

    Every server chooses the same one (rendezvous hashing). If a server goes down, only its users get another one.
    """
    return max(
        (server for server in servers if server not in down), key=lambda server: _weight(aor, server), default=""
    )


def _weight(aor: str, server: str) -> bytes:
    return blake2s(octets_of(f"{aor}\n{server}"), digest_size=8).digest()
