"""The TLSA records of partners, asked ahead and never in a handshake: validated here, or by the resolver of this machine."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, NamedTuple

from sipmesh.errors import OperatorError
from sipmesh.server.process.dns_lookups import asked, name_servers, proved
from sipmesh.server.refresh.authorities import authorities_for
from sipmesh.topology.builder.dns_findings import DnsAnswer, Dnssec
from sipmesh.topology.builder.tlsa import tlsa_name
from sipmesh.topology.document.parts.federation import Partner
from sipmesh.topology.document.parts.server import PARTNER_PORT
from sipmesh.transport.dnssec.trust_anchor import anchors_of
from sipmesh.trust.dane.tlsa import DaneMode, DaneStatus, TlsaAnswer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sipmesh.server.log import Log
    from sipmesh.server.running.running_server import RunningServer
    from sipmesh.topology.document.load import Loaded
    from sipmesh.topology.document.parts.services import Dns
    from sipmesh.trust.authority import Authority

EVERY_S: Final = 60.0
AGAIN_S: Final = 5.0
"""Seconds between two questions; the second after an answer that is bogus, or that did not come."""

_STATUS: Final = {
    Dnssec.SECURE: DaneStatus.SECURE,
    Dnssec.INSECURE: DaneStatus.INSECURE,
    Dnssec.BOGUS: DaneStatus.BOGUS,
    Dnssec.UNKNOWN: DaneStatus.UNKNOWN,
}


class _Watch(NamedTuple):
    authority: Authority
    dns: Dns


class TlsaSources:
    """The partners whose TLSA records this server checks; each answer is given to the judge by the partner's authority.

    An answer that does not come changes nothing: an attacker who stops DNS turns no check off.
    """

    def __init__(self, node: RunningServer, log: Log) -> None:
        self._node, self._log = node, log
        self._watched: dict[str, _Watch] = {}  # by the name of the records
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._held: dict[str, TlsaAnswer] = {}

    def follow(self, loaded: Loaded) -> None:
        """Ask for the records that *loaded* checks, and no others; until there is an answer, the status is unknown."""
        before, self._watched = self._watched, dict(self._wanted(loaded))
        for name, watch in before.items():
            if (
                name not in self._watched or self._watched[name].dns != watch.dns
            ):  # other anchors: what is held is not proved
                self._tasks.pop(name).cancel()
                self._held.pop(name, None)
        for name, watch in self._watched.items():
            watch.authority.use_tlsa(self._held.get(name) or TlsaAnswer(name))
            if name not in self._tasks:
                self._tasks[name] = self._node.loop.create_task(self._watch(name))

    def _wanted(self, loaded: Loaded) -> Iterator[tuple[str, _Watch]]:
        for named in authorities_for(self._node.view.role, loaded):
            name = records_name(named.entry) if isinstance(named.entry, Partner) else ""
            if name and loaded.topology.dns is not None:
                yield name, _Watch(named.authority, loaded.topology.dns)

    async def _watch(self, name: str) -> None:
        while True:
            answer = await tlsa_of(name, self._watched[name].dns, self._node.gatekeeper.clock())
            is_good = not answer.fault and answer.dnssec is not Dnssec.BOGUS
            self._take(name, answer)
            await asyncio.sleep(EVERY_S if is_good else AGAIN_S)

    def _take(self, name: str, answer: DnsAnswer) -> None:
        watch, before = self._watched.get(name), self._held.get(name)
        if answer.fault or watch is None:
            return
        made = judged_answer(name, answer)
        self._held[name] = made
        if made == before:
            watch.authority.use_tlsa(made)
        else:
            self._node.revocation.accept_tlsa(watch.authority, made)
            tell = self._log.warning if made.status is DaneStatus.BOGUS else self._log.info
            tell("TLSA records in force", source=name, status=made.status, why=made.why, records=len(made.records))

    async def close(self) -> None:
        """Stop asking."""
        tasks, self._tasks = list(self._tasks.values()), {}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def tlsa_of(name: str, settings: Dns, at: datetime) -> DnsAnswer:
    """Ask for the TLSA records of *name*: validated from our trust anchors down, or else by the resolver of the topology."""
    try:
        servers = name_servers(settings.servers)
    except OperatorError as none:  # this machine may have one later
        return DnsAnswer(fault=str(none))
    if settings.trust_anchors:
        return await proved((name, "TLSA"), anchors_of(settings.trust_anchors), servers, int(at.timestamp()))
    [answer] = (await asked([(name, "TLSA")], servers)).values()
    return answer


def judged_answer(name: str, answer: DnsAnswer) -> TlsaAnswer:
    """Return an answer of DNS as the judge reads it."""
    until = datetime.fromtimestamp(answer.until, UTC) if answer.until else None
    return TlsaAnswer.of(name, _STATUS[answer.dnssec], answer.data, answer.why, until)


def records_name(partner: Partner) -> str:
    """Return the name of the TLSA records of a partner, "" if they are not checked."""
    if partner.dane is DaneMode.OFF or partner.edge_address is None:
        return ""
    host, port = partner.edge_address
    return tlsa_name(host, port or PARTNER_PORT)
