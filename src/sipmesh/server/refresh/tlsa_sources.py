"""The TLSA records of partners, asked ahead from the validating resolver of this machine, and never in a handshake."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, NamedTuple

from sipmesh.server.process.dns_lookups import asked, name_servers
from sipmesh.server.refresh.authorities import authorities_for
from sipmesh.topology.builder.dns_findings import DnsAnswer, Dnssec
from sipmesh.topology.builder.tlsa import tlsa_name
from sipmesh.topology.document.parts.federation import Partner
from sipmesh.topology.document.parts.server import PARTNER_PORT
from sipmesh.trust.dane.tlsa import DaneMode, DaneStatus, TlsaAnswer

if TYPE_CHECKING:
    from sipmesh.server.log import Log
    from sipmesh.server.running.running_server import RunningServer
    from sipmesh.topology.document.load import Loaded
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
    servers: tuple[str, ...]


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
        servers = loaded.topology.dns.servers if loaded.topology.dns is not None else ()
        self._watched = {}
        for named in authorities_for(self._node.view.role, loaded):
            name = _name_of(named.entry) if isinstance(named.entry, Partner) else ""
            if name:
                self._watched[name] = _Watch(named.authority, servers)
                named.authority.use_tlsa(self._held.get(name) or TlsaAnswer(name))
        for name in self._tasks.keys() - self._watched.keys():
            self._tasks.pop(name).cancel()
            self._held.pop(name, None)
        for name in self._watched.keys() - self._tasks.keys():
            self._tasks[name] = self._node.loop.create_task(self._watch(name))

    async def _watch(self, name: str) -> None:
        while True:
            servers = name_servers(self._watched[name].servers)
            [answer] = (await asked([(name, "TLSA")], servers)).values()
            is_good = not answer.fault and answer.dnssec is not Dnssec.BOGUS
            self._take(name, answer)
            await asyncio.sleep(EVERY_S if is_good else AGAIN_S)

    def _take(self, name: str, answer: DnsAnswer) -> None:
        watch, before = self._watched.get(name), self._held.get(name)
        if answer.fault or watch is None:
            return
        made = TlsaAnswer.of(name, _STATUS[answer.dnssec], answer.data)
        self._held[name] = made
        watch.authority.use_tlsa(made)
        if made != before:
            self._node.connector.forget_failures()
            tell = self._log.warning if made.status is DaneStatus.BOGUS else self._log.info
            tell("TLSA records in force", source=name, status=made.status, records=len(made.records))

    async def close(self) -> None:
        """Stop asking."""
        tasks, self._tasks = list(self._tasks.values()), {}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _name_of(partner: Partner) -> str:
    """Return the name of the TLSA records of a partner, "" if they are not checked."""
    if partner.dane is DaneMode.OFF or partner.edge_address is None:
        return ""
    host, port = partner.edge_address
    return tlsa_name(host, port or PARTNER_PORT)
