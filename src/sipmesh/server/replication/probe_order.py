"""An order of management to one server: open these links once, ask DNS, or fetch the CRLs, and report what you see.

A server opens links only to servers and partners of the topology in force, and only those that its role may open. It asks DNS
only for the records of that topology, and fetches only from its URLs: an order has no names for either. So no sender can use it
to scan a network, not even management.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from sipmesh.errors import RemoteError
from sipmesh.typed_json import UnreadableJsonError, read_document

PROBE: Final = "sipmesh-probe"
"""The type of the signed document."""

MOST_TARGETS: Final = 400
"""Links in one order: each takes a handshake."""

LONGEST_AGE: Final = timedelta(minutes=5)
"""An older order is refused, so that a server that has restarted cannot be given an old one again."""


@dataclass(frozen=True, slots=True)
class ProbeOrder:
    """*server* has to open a link to each of *targets*, names of servers or partners, under *version* of the topology.

    With *asks_dns* it asks DNS for each record that this version needs. With *fetches_crls* it fetches each CRL once that this
    version has by URL, and that it needs itself.

    *number* is the time of the order in milliseconds since 1970 (UTC). A server carries out an order once, and none that is
    older than its last one.
    """

    organisation: str
    server: str
    version: int
    number: int
    targets: tuple[str, ...] = ()
    asks_dns: bool = False
    fetches_crls: bool = False

    def encode(self) -> bytes:
        """Return the payload that management signs."""
        return json.dumps({"format": 1, **asdict(self)}, separators=(",", ":")).encode()

    @classmethod
    def decode(cls, payload: bytes) -> ProbeOrder:
        """Read a payload; raises `RemoteError` (488) if it is not an order, or has more than `MOST_TARGETS`."""
        try:
            order = read_document(cls, payload)
        except UnreadableJsonError as wrong:
            raise refused(f"an order to probe links that cannot be read ({wrong})") from None
        if len(order.targets) > MOST_TARGETS:
            raise refused(f"an order to probe {len(order.targets)} links; at most {MOST_TARGETS} are allowed")
        return order

    def must_be_recent(self, now: datetime) -> None:
        """Raise `RemoteError` if the order is older than `LONGEST_AGE`, or as far in the future; *now* has a time zone."""
        try:
            age = now - datetime.fromtimestamp(self.number / 1000, UTC)
        except (ValueError, OverflowError, OSError):
            raise refused("an order to probe links, without a time") from None
        if abs(age) > LONGEST_AGE:
            raise refused(f"an order to probe links of {abs(age).total_seconds():.0f} s before or after our clock")


def refused(why: str) -> RemoteError:
    """Return the error for an order that this server does not carry out."""
    return RemoteError(f"rejected: {why}", rule="rule R5", status=488)
