"""An order of management to one server: open these links once, ask DNS, or fetch the CRLs, and report what you see.

A server opens links only to servers and partners of the topology in force, and only those that its role may open. It asks DNS
only for the records of that topology, and fetches only from its URLs: an order has no names for either. So no sender can use it
to scan a network, not even management.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, ClassVar, Final

from pydantic import Field

from sipmesh.server.replication.order import Order

PROBE: Final = "sipmesh-probe"
"""The type of the signed document."""

MOST_TARGETS: Final = 400
"""Links in one order: each takes a handshake."""


@dataclass(frozen=True, slots=True)
class ProbeOrder(Order):
    """*server* has to open a link to each of *targets*, names of servers or partners, under *version* of the topology.

    With *asks_dns* it asks DNS for each record that this version needs. With *fetches_crls* it fetches each CRL once that this
    version has by URL, and that it needs itself. A server carries out an order once, and none that is older than its last one.
    """

    ABOUT: ClassVar[str] = "to probe links"
    LONGEST_AGE: ClassVar[timedelta] = timedelta(minutes=5)

    version: int
    targets: Annotated[tuple[str, ...], Field(max_length=MOST_TARGETS)] = ()
    asks_dns: bool = False
    fetches_crls: bool = False
