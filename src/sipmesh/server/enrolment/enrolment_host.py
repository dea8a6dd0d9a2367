"""What both protocols of enrolment need of the management server on which they run."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Final, TypeVar, TypeVarTuple

from aiohttp import web

from sipmesh.pki.ca_rotation import CaGenerations
from sipmesh.server.management.publishing.decommission import CA
from sipmesh.server.process.off_loop import off_loop

if TYPE_CHECKING:
    from pathlib import Path

    from cryptography import x509

    from sipmesh.server.log import Log
    from sipmesh.storage.management_db import ManagementDb
    from sipmesh.topology.document.parts.enrolment import Enrolment, EnrolmentProtocol
    from sipmesh.topology.view import ServerView

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

MOST_WAITING: Final = 64
"""Requests of all addresses that wait for their turn; each takes some milliseconds."""


class Turns:
    """Lets one request at a time work in the thread for long work: a revocation waits behind one of them at most."""

    def __init__(self) -> None:
        self._turn, self._waiting = asyncio.Lock(), 0

    async def work(self, work: Callable[[*Ts], T], *args: *Ts) -> T:
        """Run *work* in the thread, and return its result; raises HTTP 503 if `MOST_WAITING` wait already."""
        if self._waiting >= MOST_WAITING:
            raise web.HTTPServiceUnavailable(text="too many requests wait\n", headers={"Retry-After": "1"})
        self._waiting += 1
        try:
            async with self._turn:
                return await off_loop(work, *args)
        finally:
            self._waiting -= 1


@dataclass(frozen=True, slots=True)
class EnrolmentHost:
    """The management server. *view* returns the topology in force, *now* the wall clock, and *steady* the clock of the loop.

    *leads* tells whether this server leads its pool: no other one may issue. *look* makes it use a changed CRL at once. *count*
    counts what was issued, and refused for a reason, by protocol. *leaf_of* returns the certificate that is presented for a host.
    """

    view: Callable[[], ServerView]
    management_db: ManagementDb
    now: Callable[[], datetime]
    steady: Callable[[], float]
    leads: Callable[[], bool]
    look: Callable[[], object]
    count: Callable[[str, str], None]
    log: Log
    leaf_of: Callable[[str], x509.Certificate]
    turns: Turns = field(default_factory=Turns)

    @property
    def enrolment(self) -> Enrolment | None:
        """What the topology in force says of enrolment; None if it has none."""
        console = self.view().loaded.topology.console
        return console.enrolment if console is not None else None

    def serves(self, protocol: EnrolmentProtocol) -> bool:
        """Tell whether the topology in force has *protocol*."""
        enrolment = self.enrolment
        return enrolment is not None and protocol in enrolment.protocols

    @property
    def ca(self) -> Path:
        """The folder of the CA."""
        return self.view().loaded.folder / CA

    def issuers(self) -> Sequence[x509.Certificate]:
        """Return the certificates of our issuing CAs; it reads files."""
        return list(
            dict.fromkeys(
                one
                for ca in CaGenerations(self.ca).alive
                for one in (ca.issuing, *ca.presented, *filter(None, [ca.devices]))
            )
        )

    def issued(self, protocol: EnrolmentProtocol, name: str, certificate: x509.Certificate) -> None:
        """Count a new certificate, and say it in the log as for each other certificate."""
        self.count(str(protocol), "issued")
        serial = f"{certificate.serial_number:x}"
        self.log.info("certificate issued", peer=name, serial=serial, protocol=str(protocol))

    def refused(self, protocol: EnrolmentProtocol, kind: str, address: str, why: str) -> None:
        """Count a refusal of a *kind*, and say in the log *why* it was refused."""
        self.count(str(protocol), kind)
        self.log.warning("enrolment refused", protocol=str(protocol), address=address, kind=kind, why=why)
