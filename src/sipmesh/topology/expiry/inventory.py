"""List everything that expires in a network: when, how soon, what fails then, and the command that prevents it.

The caller passes the data from disk and from running servers. This module reads no file and no clock.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from sipmesh.topology.expiry import impact
from sipmesh.topology.expiry.countdown import Countdown
from sipmesh.topology.expiry.inventory_entry import ExpiringKind, InventoryEntry
from sipmesh.topology.expiry.urgency import Urgency, is_old, level
from sipmesh.topology.expiry.validity import Chain, DatedItem
from sipmesh.trust.formatting import tell, tell_list, tell_time
from sipmesh.trust.role import Role

if TYPE_CHECKING:
    from datetime import datetime

    from sipmesh.topology.document.load import Loaded
    from sipmesh.topology.document.model import Topology
    from sipmesh.topology.expiry.fetch_status import FetchStatus
    from sipmesh.topology.expiry.server_use import Use
    from sipmesh.trust.authority import Authority

Side = tuple[str, bool]
"""A server, and whether the certificate for partners only is meant: an edge may have another certificate for them."""

LEDGER = "the CA's ledger"
"""The file name of a chain that only the CA's ledger has: the server and its key are on another machine."""


@dataclass(frozen=True, slots=True)
class Inventory:
    """The whole network at one instant."""

    at: datetime
    entries: tuple[InventoryEntry, ...]
    countdown: Countdown | None

    @property
    def urgent(self) -> bool:
        """Whether a monitoring program should raise an alarm."""
        return any(entry.urgent for entry in self.entries)

    @property
    def worst(self) -> Urgency:
        """The highest urgency of all entries."""
        return max((entry.level for entry in self.entries), default=Urgency.FINE)


def take_stock(
    loaded: Loaded,
    disk: Mapping[Side, Chain],
    uses: Iterable[Use] = (),
    *,
    at: datetime,
    known: Iterable[DatedItem] = (),
    only: str = "",
    signers: Mapping[str, Chain] | None = None,
    devices: Mapping[str, Chain] | None = None,
) -> Inventory:
    """List everything that expires.

    Args:
        loaded: The topology, with the anchors and CRLs on disk.
        disk: The chains in the servers' files. A server with files on another machine is left out.
        uses: The reports of the servers that run here.
        at: Now, timezone-aware.
        known: Certificates of issuing CAs from another source, such as the CA's folder.
        only: The only server to list, such as the server that asks; all servers if empty.
        signers: The chains of document signers, by management server; incomplete like *disk*.
        devices: The chains of devices of users, by the names of user and device.
    """
    used = {use.server: use for use in uses}
    stock = _Stock(loaded, disk, used, at, tuple(known), only, signers or {}, devices or {})
    return Inventory(at, tuple(stock.entries()), stock.countdown())


@dataclass(slots=True)
class _Stock:
    """The inventory while it is made."""

    loaded: Loaded
    disk: Mapping[Side, Chain]
    uses: Mapping[str, Use]
    at: datetime
    known: tuple[DatedItem, ...]
    only: str
    signers: Mapping[str, Chain]
    devices: Mapping[str, Chain]
    sides: dict[Side, str] = field(init=False)  # of the listed servers
    chains: dict[Side, Chain] = field(init=False)  # the relevant chain of each: in use if known, else on disk

    def __post_init__(self) -> None:
        self.sides = dict(sides(self.loaded.topology, self.only))
        shown = {(use.server, outside): chain for use in self.uses.values() for outside, chain in use.shown.items()}
        self.chains = {**self.disk, **{side: chain for side, chain in shown.items() if chain.certificates}}

    def entries(self) -> Iterator[InventoryEntry]:
        topology = self.loaded.topology
        for side in self.sides:
            yield self._server(*side)
        for name, file in signer_files(topology, self.only):
            yield self._signer(name, file)
        for use in self.uses.values():
            yield from (self._for_clients(use.server, chain) for chain in use.for_clients)
            yield from (self._for_partner(use.server, *of_one) for of_one in use.for_partners.items())
        yield from (self._device(name, chain) for name, chain in self.devices.items())
        yield from self._issuers()
        yield from self._authority(self.loaded.authority, "")
        for partner, authority in zip(topology.federation.partners, self.loaded.partners, strict=True):
            yield from self._authority(authority, partner.name)
        yield from self._missing_lists()
        for use in self.uses.values():
            yield from (self._supply(use.server, supply) for supply in use.supplies)

    def _supply(self, server: str, supply: FetchStatus) -> InventoryEntry:
        """Give the entry of a source that a running server fetches from. It warns long before the fetched data expires."""
        issuer = supply.held.subject if supply.held else "its CA"
        check, failed = f"check from {server} that the URL answers", ""
        if supply.failing_since is not None:
            failed = f"it has failed since {tell_time(supply.failing_since)} ({tell(supply.why)})"
        alarm = Urgency.FINE
        if supply.alarming and supply.held is not None:
            alarm = max(Urgency.DAYS_7, _alarm(supply.held.ends - self.at))
        missing = supply.held is None
        return InventoryEntry(
            what=ExpiringKind.SOURCE,
            name=supply.source,
            owner=supply.owner or self.loaded.topology.organisation,
            level=alarm,
            stops=impact.list_stops(issuer, supply.owner),
            command=f"{failed}: {check}" if failed else check,
            in_use=supply.held,
            on_disk=supply.held,
            note=(failed or "no data was fetched yet") if missing else "",
            repair=check if missing else "",
            broken=missing and supply.failing_since is not None,
        )

    def _server(self, name: str, outside: bool) -> InventoryEntry:  # noqa: FBT001 - the two parts of a Side
        topology = self.loaded.topology
        on_disk = self.disk.get((name, outside))
        in_use = self.uses[name].shown.get(outside) if name in self.uses else None
        also_outside = not outside and (name, True) not in self.sides
        shown, stored = (chain.leaf if chain else None for chain in (in_use, on_disk))
        item = shown or stored
        elsewhere = in_use is None and on_disk is not None and on_disk.file == LEDGER
        command = impact.server_command(name, self._file(on_disk, in_use), outside=outside, elsewhere=elsewhere)
        revoked = item is not None and self._is_revoked(item)
        refused = ("it is revoked, and peers refuse it", command)
        note, repair = refused if revoked else self._server_note(name, on_disk, in_use, command)
        return InventoryEntry(
            what=ExpiringKind.SERVER,
            name=name,
            owner=topology.organisation,
            level=self._level(item),
            stops=impact.server_stops(topology, name, outside=outside, also_outside=also_outside),
            command=command,
            in_use=shown,
            on_disk=stored,
            outside=outside,
            note=note,
            repair=repair,
            broken=revoked or (item is None and on_disk is not None),
        )

    def _for_clients(self, name: str, chain: Chain) -> InventoryEntry:
        """Give the entry of a certificate that clients of a running server get."""
        return self._beside(ExpiringKind.CLIENTS, name, chain, "phones and browsers that ask for its names refuse")

    def _for_partner(self, name: str, partner: str, chain: Chain) -> InventoryEntry:
        """Give the entry of the certificate that one partner gets from a running edge."""
        return self._beside(ExpiringKind.ONE_PARTNER, name, chain, f"the partner {partner} refuses")

    def _beside(self, what: ExpiringKind, name: str, chain: Chain, refuse: str) -> InventoryEntry:
        """Give the entry of a certificate beside the server's own; the first end in its chain counts."""
        item = min(chain.certificates, key=lambda dated: dated.ends, default=None)
        command, note = f"put a new certificate into {chain.file}, and its key beside it", ""
        if chain.renewal is not None:
            since = tell_time(chain.renewal.since)
            note, command = f"ACME has failed since {since}: {chain.renewal.why}", chain.renewal.remedy
        elif chain.fault:
            note = f"the certificate on disk is not in use: {chain.fault}"
        return InventoryEntry(
            what=what,
            name=name,
            owner=self.loaded.topology.organisation,
            level=self._level(item),
            stops=f"{refuse} {name}",
            command=command,
            in_use=item,
            note=note,
            repair=command if note else "",
            broken=bool(note) and item is None,
        )

    def _device(self, name: str, chain: Chain) -> InventoryEntry:
        """Give the entry of a device of a user. It is with the user, so only the ledger tells of it."""
        user, _, device = name.partition(" ")
        return InventoryEntry(
            what=ExpiringKind.DEVICE,
            name=name,
            owner=self.loaded.topology.organisation,
            level=self._level(chain.leaf),
            stops=f"client ports refuse the device, or ask {user} for a password",
            command=f"sipmesh ca issue --user {user} --device {device}",
            on_disk=chain.leaf,
        )

    def _signer(self, name: str, file: str) -> InventoryEntry:
        """Give the entry of a document signer. Its file is read for each signature, so the file is what is in use."""
        stored = self.signers.get(name)
        item = stored.leaf if stored else None
        command = impact.server_command(name, file, outside=False)
        revoked = item is not None and self._is_revoked(item)
        note = "it is revoked, and servers reject its signatures" if revoked else ""
        if stored is None:
            note = "unknown: its file is on another machine"
        elif stored.fault:
            note = f"{stored.file} {stored.fault}"
        return InventoryEntry(
            what=ExpiringKind.SIGNER,
            name=name,
            owner=self.loaded.topology.organisation,
            level=self._level(item),
            stops=impact.signer_stops(self.loaded.topology, name),
            command=command,
            on_disk=item,
            note=note,
            repair=command if stored is not None and note else "",
            broken=revoked or (item is None and stored is not None),
        )

    def _is_revoked(self, item: DatedItem) -> bool:
        serial = int(item.number, 16)
        lists = self.loaded.authority.lists
        return any(serial in crl.serials and DatedItem.of_list(crl).subject == item.issuer for crl in lists)

    @staticmethod
    def _file(*chains: Chain | None) -> str:
        return next((chain.file for chain in chains if chain), "its file")

    def _server_note(self, name: str, on_disk: Chain | None, in_use: Chain | None, command: str) -> tuple[str, str]:
        """Describe a problem, and what to do: an unusable file, or a certificate in use that differs from the file."""
        if in_use and in_use.fault:
            return f"the certificate on disk is not in use: {in_use.fault}", command
        if on_disk and on_disk.fault:
            return f"{on_disk.file} {on_disk.fault}", command
        if on_disk and in_use and on_disk.leaf and in_use.leaf and on_disk.leaf != in_use.leaf:
            return "the certificate in use differs from the file", f"reload: {self._reload(name)}"
        return "" if on_disk or in_use else "unknown: its file is on another machine", ""

    def _reload(self, *names: str) -> str:
        return f"kill -HUP {' '.join(str(self.uses[name].pid) for name in names)}"

    def _level(self, item: DatedItem | None, *, is_list: bool = False) -> Urgency:
        return level(item, self.at, is_list=is_list) if item else Urgency.FINE

    def _issuers(self) -> Iterator[InventoryEntry]:
        """Give the entries of the CAs between our roots and our servers, without duplicates."""
        chains = (*self.disk.values(), *self.signers.values(), *self.devices.values())
        on_disk = [item for chain in chains for item in chain.certificates[1:]]
        in_use = [item for use in self.uses.values() for chain in use.shown.values() for item in chain.certificates[1:]]
        roots = {other.mark for other in _anchors(self.loaded.authority)}
        found = {item.mark: item for item in (*self.known, *on_disk, *in_use) if item.mark not in roots}
        for mark, item in found.items():
            below = {name for (name, _), chain in self.chains.items() if _issued(item, chain)}
            below |= {f"the device {name}" for name, chain in self.devices.items() if _issued(item, chain)}
            yield InventoryEntry(
                what=ExpiringKind.ISSUING,
                name=item.subject,
                owner=self.loaded.topology.organisation,
                level=self._level(item),
                stops=impact.issuing_stops(sorted(below)),
                command=impact.NEW_CA,
                in_use=item if any(other.mark == mark for other in in_use) else None,
                on_disk=item if any(other.mark == mark for other in (*self.known, *on_disk)) else None,
            )

    def _authority(self, authority: Authority, partner: str) -> Iterator[InventoryEntry]:
        """Give the entries of the anchors and CRLs of our own authority, or of a partner's."""
        anchors = _anchors(authority)
        for item in anchors:
            others = sorted({other.subject for other in anchors if other.mark != item.mark})
            what_stops = impact.partner_stops(partner, others) if partner else impact.root_stops(others)
            command = impact.partner_command(partner) if partner else impact.NEW_CA
            yield self._loaded(
                ExpiringKind.PARTNER if partner else ExpiringKind.ROOT, item, partner, what_stops, command
            )
        for item in _lists(authority):
            what_stops = impact.list_stops(item.subject, partner)
            yield self._loaded(ExpiringKind.LIST, item, partner, what_stops, impact.list_command(partner))

    def _loaded(
        self, what: ExpiringKind, item: DatedItem, partner: str, what_stops: str, command: str
    ) -> InventoryEntry:
        """Give the entry of an anchor or CRL of the topology. It is on disk, and each running server should use it."""
        lacking = [name for name, use in self.uses.items() if not use.uses(item)]
        return InventoryEntry(
            what=what,
            name=item.subject,
            owner=partner or self.loaded.topology.organisation,
            level=self._level(item, is_list=what is ExpiringKind.LIST),
            stops=what_stops,
            command=command,
            in_use=item if len(lacking) < len(self.uses) else None,
            on_disk=item,
            note=f"not in force on {tell_list(lacking)}" if lacking else "",
            repair=f"reload: {self._reload(*lacking)}" if lacking else "",
            old=what is ExpiringKind.LIST and not partner and is_old(item, self.at),
        )

    def _missing_lists(self) -> Iterator[InventoryEntry]:
        """Give the entries of unusable CRLs. Certificates that need them are refused now."""
        for fault in self.loaded.faults:
            yield InventoryEntry(
                what=ExpiringKind.LIST,
                name=fault.field,
                owner=self.loaded.topology.organisation,
                level=Urgency.FINE,
                stops="all certificates that need this CRL are refused",
                command=fault.remedy,
                note=f"{fault.reason}: all certificates that need it are refused",
                repair=fault.remedy,
                broken=True,
            )

    def countdown(self) -> Countdown | None:
        """Give the first of our servers that fails without renewals, or None."""
        common = list(self._common_ends())
        ends = {}
        for name in dict.fromkeys(name for name, _ in self.sides):
            first = min([*self._own_ends(name), *common], key=lambda server: server[0], default=None)
            if first is not None:
                ends[name] = first
        if not ends:
            return None
        name = min(ends, key=lambda server: ends[server][0])
        others = tuple(other for other, end in ends.items() if other != name and end == ends[name])
        return Countdown(name, *ends[name], others)

    def _own_ends(self, name: str) -> Iterator[tuple[datetime, str]]:
        """Give the end of each certificate in the chain of a server."""
        chain = self.chains.get((name, False))
        for n, item in enumerate(chain.certificates if chain else ()):
            yield item.ends, "its certificate" if n == 0 else f"the issuing CA {item.subject}"

    def _common_ends(self) -> Iterator[tuple[datetime, str]]:
        """Give the ends that affect all our servers: of our roots, and of the newest CRL of each CA."""
        anchors = _anchors(self.loaded.authority)
        if anchors:
            root = max(anchors, key=lambda dated: dated.ends)
            yield root.ends, f"the root {root.subject}"
        newest: dict[str, DatedItem] = {}
        for item in sorted(_lists(self.loaded.authority), key=lambda dated: dated.ends):
            newest[item.subject] = item
        yield from ((item.ends, f"the CRL of {issuer}") for issuer, item in newest.items())


def _alarm(left: timedelta) -> Urgency:
    if left < timedelta(0):
        return Urgency.PAST
    return Urgency.DAY_1 if left <= timedelta(days=1) else Urgency.FINE


def sides(topology: Topology, only: str = "") -> Iterator[tuple[Side, str]]:
    """Give all certificates that our servers present (or only those of *only*), with their files. An edge may have two."""
    for server in topology.servers:
        if only in {"", server.name}:
            yield (server.name, False), server.certificate_file
            if server.outside and server.outside.certificate and server.outside.key:
                yield (server.name, True), server.outside.certificate


def signer_files(topology: Topology, only: str = "") -> Iterator[tuple[str, str]]:
    """Give all management servers (or only *only*) with the certificate file of their document signer."""
    for pool in topology.pools:
        if pool.role is Role.MANAGEMENT:
            yield from (
                (server.name, server.signer_certificate_file) for server in pool.servers if only in {"", server.name}
            )


def _anchors(authority: Authority) -> list[DatedItem]:
    return list(dict.fromkeys(map(DatedItem.of_certificate, authority.anchors)))


def _lists(authority: Authority) -> list[DatedItem]:
    return list(dict.fromkeys(map(DatedItem.of_list, authority.lists)))


def _issued(issuer: DatedItem, chain: Chain) -> bool:
    return any(item.mark == issuer.mark for item in chain.certificates[1:])
