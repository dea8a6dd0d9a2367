"""Everything in a network that ends: when, how near that is, what stops then, and the command that helps.

The caller brings what lies on disk and what running servers say that they use; nothing here reads a file or a clock.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from sipmesh.topology.expiry import impact
from sipmesh.topology.expiry.urgency import Urgency, is_old, level
from sipmesh.topology.expiry.validity import Chain, DatedItem
from sipmesh.trust.formatting import tell, tell_list, tell_span, tell_time
from sipmesh.trust.role import Role

if TYPE_CHECKING:
    from datetime import datetime

    from sipmesh.topology.document.load import Loaded
    from sipmesh.topology.document.model import Topology
    from sipmesh.topology.expiry.fetch_status import FetchStatus
    from sipmesh.trust.authority import Authority

Side = tuple[str, bool]
"""A server, and whether what it shows to partners alone is meant: an edge may have a certificate of its own for them."""

LEDGER = "the CA's ledger"
"""The file of a chain that is known from the CA alone: the server has it, and its key, on another machine."""


class ExpiringKind(StrEnum):
    """The kinds of things that end."""

    SERVER = "server"
    SIGNER = "signer"
    ISSUING = "issuing CA"
    ROOT = "root"
    PARTNER = "partner anchor"
    LIST = "revocation list"
    SOURCE = "source"


_CALLED = {ExpiringKind.SERVER: "certificate of", ExpiringKind.SIGNER: "document signer of"}


@dataclass(frozen=True, slots=True)
class Use:
    """What one running server uses at this moment; *shown* by whether it is what partners alone are shown."""

    server: str
    pid: int
    shown: Mapping[bool, Chain]
    anchors: tuple[DatedItem, ...] = ()
    lists: tuple[DatedItem, ...] = ()
    supplies: tuple[FetchStatus, ...] = ()

    def uses(self, paper: DatedItem) -> bool:
        """Whether this very anchor or list is in force there."""
        return any(paper.mark == held.mark and paper.subject == held.subject for held in (*self.anchors, *self.lists))


@dataclass(frozen=True, slots=True)
class InventoryEntry:
    """One thing that ends. *in_use* is what a running server uses, *on_disk* what lies in the file; None is not known.

    *owner* is our organisation or a partner. *stops* says what stops when it ends, *command* what helps against that.
    *note* tells what is odd about it now, such as a certificate in use that is not the one on disk, and what to do;
    *broken* means that it does not count already, whatever its time; *old* that a list should have been made anew since.
    """

    what: ExpiringKind
    name: str
    owner: str
    level: Urgency
    stops: str
    command: str
    in_use: DatedItem | None = None
    on_disk: DatedItem | None = None
    outside: bool = False
    note: str = ""
    broken: bool = False
    old: bool = False

    @property
    def urgent(self) -> bool:
        """Whether a program that looks should raise an alarm."""
        return self.broken or self.level.urgent

    @property
    def paper(self) -> DatedItem | None:
        """The one that counts: what is in use, or else what is on disk."""
        return self.in_use or self.on_disk

    def sentence(self, at: datetime) -> str:
        """All of it in one sentence."""
        what = _CALLED.get(self.what, str(self.what))
        what = f"{what} {self.name}"
        if self.broken or self.paper is None:
            return f"the {what}: {self.note}"
        left, when = self.paper.ends - at, tell_time(self.paper.ends)
        if self.paper.begins > at:
            begins = f"is valid only in {tell_span(self.paper.begins - at)} ({tell_time(self.paper.begins)})"
            why = "the clock of its issuer was ahead, or the clock here is behind"
            return f"the {what} {begins}: {self.stops}; {why}; correct the clocks, then: {self.command}"
        if self.what is ExpiringKind.SOURCE:
            held = "has expired" if self.level is Urgency.PAST else f"is valid for {tell_span(left)} more"
            return f"the data of the {what} {held} ({when}); then {self.stops}; {self.command}"
        if self.old and self.level is Urgency.FINE:
            made = (
                f"was signed {tell_span(self.paper.begins - at)} ({tell_time(self.paper.begins)}), and a new list is due "
                "each day"
            )
            return f"the {what} {made}; from {when} on {self.stops}; to correct it: {self.command}"
        if self.level is Urgency.PAST:
            return f"the {what} expired {tell_span(left)} ({when}): {self.stops}; to correct it: {self.command}"
        return f"the {what} expires in {tell_span(left)} ({when}); then {self.stops}; to renew it: {self.command}"


@dataclass(frozen=True, slots=True)
class Countdown:
    """The first server that would stop if nothing were renewed, and *because* of whose end; *others* go with it."""

    server: str
    ends: datetime
    because: str
    others: tuple[str, ...] = ()

    def sentence(self, at: datetime) -> str:
        """All of it in one sentence."""
        left = self.ends - at
        when = f"stopped {tell_span(left)}" if left.total_seconds() < 0 else f"would stop first, in {tell_span(left)}"
        others = f"; with it {tell_list(self.others)}" if self.others else ""
        ends = f"({tell_time(self.ends)}), at the end of {self.because}"
        return f"Without the CA, {self.server} {when} {ends}{others}."


@dataclass(frozen=True, slots=True)
class ExpectedRefusal:
    """From when on a server would refuse and be refused if nothing were renewed, and *because* of whose end.

    *at* is None where it does so already.
    """

    at: datetime | None
    because: str

    def has_begun(self, now: datetime) -> bool:
        """Whether that is so at the instant *now*."""
        return self.at is None or now > self.at


def refuses_from(use: Use) -> ExpectedRefusal:
    """The instant at which a server would start to refuse, by what it uses: nothing else is asked.

    That is the first end among its own certificate, the CAs above it, and the newest list of each of them. Links that are
    up then stay until their certificates end (rule R7). Partners' lists are no part of it: they end for one partner alone.
    """
    chain = use.shown.get(False)
    if chain is None or not chain.papers:
        return ExpectedRefusal(None, "it presents no certificate")
    ends = [
        (paper.ends, "its certificate" if n == 0 else f"the issuing CA {paper.subject}")
        for n, paper in _numbered(chain)
    ]
    for issuer in dict.fromkeys(paper.issuer for paper in chain.papers):
        anchors = [paper.ends for paper in use.anchors if paper.subject == issuer]
        ends += [(max(anchors), f"the root {issuer}")] if anchors else []
        lists = [paper.ends for paper in use.lists if paper.subject == issuer]
        if not lists:
            return ExpectedRefusal(None, f"there is no revocation list of {issuer}")
        ends.append((max(lists), f"the revocation list of {issuer}"))
    at, because = min(ends, key=lambda one: one[0])
    return ExpectedRefusal(at, f"the end of {because}")


def _numbered(chain: Chain) -> Iterator[tuple[int, DatedItem]]:
    """The certificates of a chain but a root that stands in it: roots count as anchors."""
    return ((n, paper) for n, paper in enumerate(chain.papers) if n == 0 or paper.subject != paper.issuer)


@dataclass(frozen=True, slots=True)
class Inventory:
    """The whole network at one instant."""

    at: datetime
    entries: tuple[InventoryEntry, ...]
    countdown: Countdown | None

    @property
    def urgent(self) -> bool:
        """Whether a program that looks should raise an alarm."""
        return any(entry.urgent for entry in self.entries)

    @property
    def worst(self) -> Urgency:
        """The level of whatever is nearest to its end."""
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
) -> Inventory:
    """List everything that ends.

    Args:
        loaded: The topology, with the anchors and lists that lie on disk.
        disk: What lies in the servers' files; a server whose files are elsewhere is left out.
        uses: What the servers that run here say of themselves.
        at: Now, timezone-aware.
        known: Certificates of issuing CAs that are known otherwise, such as from the CA's own folder.
        only: The one server whose certificates are meant, such as the one that asks; all of them by default.
        signers: What lies in the files that management servers sign by, by server; left out as with *disk*.
    """
    stock = _Stock(loaded, disk, {use.server: use for use in uses}, at, tuple(known), only, signers or {})
    return Inventory(at, tuple(stock.entries()), stock.countdown())


@dataclass(slots=True)
class _Stock:
    """The stock while it is being taken."""

    loaded: Loaded
    disk: Mapping[Side, Chain]
    uses: Mapping[str, Use]
    at: datetime
    known: tuple[DatedItem, ...]
    only: str
    signers: Mapping[str, Chain]
    sides: dict[Side, str] = field(init=False)  # of the servers that are meant
    chains: dict[Side, Chain] = field(init=False)  # what counts for each: in use, else on disk

    def __post_init__(self) -> None:
        self.sides = dict(sides(self.loaded.topology, self.only))
        shown = {(use.server, outside): chain for use in self.uses.values() for outside, chain in use.shown.items()}
        self.chains = {**self.disk, **{side: chain for side, chain in shown.items() if chain.papers}}

    def entries(self) -> Iterator[InventoryEntry]:
        topology = self.loaded.topology
        for side in self.sides:
            yield self._server(*side)
        for name, file in signer_files(topology, self.only):
            yield self._signer(name, file)
        yield from self._issuers()
        yield from self._authority(self.loaded.authority, "")
        for partner, authority in zip(topology.federation.partners, self.loaded.partners, strict=True):
            yield from self._authority(authority, partner.name)
        yield from self._missing_lists()
        for use in self.uses.values():
            yield from (self._supply(use.server, supply) for supply in use.supplies)

    def _supply(self, server: str, supply: FetchStatus) -> InventoryEntry:
        """A source that a running server fetches from; it is told of long before what it gave counts no longer."""
        issuer = supply.held.subject if supply.held else "its CA"
        command = f"check from {server} that the URL answers"
        if supply.failing_since is not None:
            command = f"it has failed since {tell_time(supply.failing_since)} ({tell(supply.why)}): {command}"
        alarm = Urgency.FINE
        if supply.alarming and supply.held is not None:
            alarm = max(Urgency.DAYS_7, _alarm(supply.held.ends - self.at))
        missing = supply.held is None
        refused = f"no data was fetched yet; {command}" if supply.failing_since is None else command
        return InventoryEntry(
            what=ExpiringKind.SOURCE,
            name=supply.source,
            owner=supply.owner or self.loaded.topology.organisation,
            level=alarm,
            stops=impact.list_stops(issuer, supply.owner),
            command=command,
            in_use=supply.held,
            on_disk=supply.held,
            note=refused if missing else "",
            broken=missing and supply.failing_since is not None,
        )

    def _server(self, name: str, outside: bool) -> InventoryEntry:  # noqa: FBT001 - the two halves of a Side
        topology = self.loaded.topology
        on_disk = self.disk.get((name, outside))
        in_use = self.uses[name].shown.get(outside) if name in self.uses else None
        also_outside = not outside and (name, True) not in self.sides
        shown, laid = (chain.leaf if chain else None for chain in (in_use, on_disk))
        paper = shown or laid
        elsewhere = in_use is None and on_disk is not None and on_disk.file == LEDGER
        command = impact.server_command(name, self._file(on_disk, in_use), outside=outside, elsewhere=elsewhere)
        revoked = paper is not None and self._is_revoked(paper)
        note = f"it is revoked, and peers refuse it; {command}" if revoked else ""
        return InventoryEntry(
            what=ExpiringKind.SERVER,
            name=name,
            owner=topology.organisation,
            level=self._level(paper),
            stops=impact.server_stops(topology, name, outside=outside, also_outside=also_outside),
            command=command,
            in_use=shown,
            on_disk=laid,
            outside=outside,
            note=note or self._server_note(name, on_disk, in_use, command),
            broken=revoked or (paper is None and on_disk is not None),
        )

    def _signer(self, name: str, file: str) -> InventoryEntry:
        """What a management server signs by: it is read for each signature, so that what lies on disk is in use."""
        laid = self.signers.get(name)
        paper = laid.leaf if laid else None
        command = impact.server_command(name, file, outside=False)
        revoked = paper is not None and self._is_revoked(paper)
        note = f"it is revoked, and servers reject its signatures; {command}" if revoked else ""
        if laid is None:
            note = "unknown: its file is on another machine"
        elif laid.fault:
            note = f"{laid.file} {laid.fault}; {command}"
        return InventoryEntry(
            what=ExpiringKind.SIGNER,
            name=name,
            owner=self.loaded.topology.organisation,
            level=self._level(paper),
            stops=impact.signer_stops(self.loaded.topology, name),
            command=command,
            on_disk=paper,
            note=note,
            broken=revoked or (paper is None and laid is not None),
        )

    def _is_revoked(self, paper: DatedItem) -> bool:
        serial = int(paper.number, 16)
        lists = self.loaded.authority.lists
        return any(serial in held.serials and DatedItem.of_list(held).subject == paper.issuer for held in lists)

    @staticmethod
    def _file(*chains: Chain | None) -> str:
        return next((chain.file for chain in chains if chain), "its file")

    def _server_note(self, name: str, on_disk: Chain | None, in_use: Chain | None, command: str) -> str:
        """What is odd: a file that cannot be used, or something in use that is not what lies there."""
        if in_use and in_use.fault:
            return f"the certificate on disk is not in use: {in_use.fault}; {command}"
        if on_disk and on_disk.fault:
            return f"{on_disk.file} {on_disk.fault}; {command}"
        if on_disk and in_use and on_disk.leaf and in_use.leaf and on_disk.leaf != in_use.leaf:
            return f"the certificate in use differs from the file; reload: {self._reload(name)}"
        return "" if on_disk or in_use else "unknown: its file is on another machine"

    def _reload(self, *names: str) -> str:
        return f"kill -HUP {' '.join(str(self.uses[name].pid) for name in names)}"

    def _level(self, paper: DatedItem | None, *, is_list: bool = False) -> Urgency:
        return level(paper, self.at, is_list=is_list) if paper else Urgency.FINE

    def _issuers(self) -> Iterator[InventoryEntry]:
        """The CAs between our roots and our servers, each once."""
        laid = (*self.disk.values(), *self.signers.values())
        on_disk = [paper for chain in laid for paper in chain.papers[1:]]
        in_use = [paper for use in self.uses.values() for chain in use.shown.values() for paper in chain.papers[1:]]
        roots = {one.mark for one in _anchors(self.loaded.authority)}
        found = {paper.mark: paper for paper in (*self.known, *on_disk, *in_use) if paper.mark not in roots}
        for mark, paper in found.items():
            below = {name for (name, _), chain in self.chains.items() if _issued(paper, chain)}
            yield InventoryEntry(
                what=ExpiringKind.ISSUING,
                name=paper.subject,
                owner=self.loaded.topology.organisation,
                level=self._level(paper),
                stops=impact.issuing_stops(sorted(below)),
                command=impact.NEW_CA,
                in_use=paper if any(one.mark == mark for one in in_use) else None,
                on_disk=paper if any(one.mark == mark for one in (*self.known, *on_disk)) else None,
            )

    def _authority(self, authority: Authority, partner: str) -> Iterator[InventoryEntry]:
        """The anchors and lists of our own authority, or of a partner's."""
        anchors = _anchors(authority)
        for paper in anchors:
            others = sorted({one.subject for one in anchors if one.mark != paper.mark})
            what_stops = impact.partner_stops(partner, others) if partner else impact.root_stops(others)
            command = impact.partner_command(partner) if partner else impact.NEW_CA
            yield self._loaded(
                ExpiringKind.PARTNER if partner else ExpiringKind.ROOT, paper, partner, what_stops, command
            )
        for paper in _lists(authority):
            what_stops = impact.list_stops(paper.subject, partner)
            yield self._loaded(ExpiringKind.LIST, paper, partner, what_stops, impact.list_command(partner))

    def _loaded(
        self, what: ExpiringKind, paper: DatedItem, partner: str, what_stops: str, command: str
    ) -> InventoryEntry:
        """An entry for what the topology names: it lies on disk, and every running server should have it in force."""
        lacking = [name for name, use in self.uses.items() if not use.uses(paper)]
        note = f"not in force on {tell_list(lacking)}; reload: {self._reload(*lacking)}" if lacking else ""
        return InventoryEntry(
            what=what,
            name=paper.subject,
            owner=partner or self.loaded.topology.organisation,
            level=self._level(paper, is_list=what is ExpiringKind.LIST),
            stops=what_stops,
            command=command,
            in_use=paper if len(lacking) < len(self.uses) else None,
            on_disk=paper,
            note=note,
            old=what is ExpiringKind.LIST and not partner and is_old(paper, self.at),
        )

    def _missing_lists(self) -> Iterator[InventoryEntry]:
        """Lists that could not be used: what they would vouch for is refused already."""
        for fault in self.loaded.faults:
            yield InventoryEntry(
                what=ExpiringKind.LIST,
                name=fault.field,
                owner=self.loaded.topology.organisation,
                level=Urgency.FINE,
                stops="all certificates that need this list are refused",
                command=fault.remedy,
                note=f"{fault.reason}: all certificates that need it are refused; {fault.remedy}",
                broken=True,
            )

    def countdown(self) -> Countdown | None:
        """The first of our servers that would stop if nothing were renewed."""
        common = list(self._common_ends())
        ends = {}
        for name in dict.fromkeys(name for name, _ in self.sides):
            first = min([*self._own_ends(name), *common], key=lambda one: one[0], default=None)
            if first is not None:
                ends[name] = first
        if not ends:
            return None
        name = min(ends, key=lambda one: ends[one][0])
        others = tuple(other for other, end in ends.items() if other != name and end == ends[name])
        return Countdown(name, *ends[name], others)

    def _own_ends(self, name: str) -> Iterator[tuple[datetime, str]]:
        """The chain that a server stands on, each certificate with its end."""
        chain = self.chains.get((name, False))
        for n, paper in enumerate(chain.papers if chain else ()):
            yield paper.ends, "its certificate" if n == 0 else f"the issuing CA {paper.subject}"

    def _common_ends(self) -> Iterator[tuple[datetime, str]]:
        """What all our servers stand on: our roots, and the newest list of each CA."""
        anchors = _anchors(self.loaded.authority)
        if anchors:
            root = max(anchors, key=lambda one: one.ends)
            yield root.ends, f"the root {root.subject}"
        newest: dict[str, DatedItem] = {}
        for paper in sorted(_lists(self.loaded.authority), key=lambda one: one.ends):
            newest[paper.subject] = paper
        yield from ((paper.ends, f"the revocation list of {issuer}") for issuer, paper in newest.items())


def _alarm(left: timedelta) -> Urgency:
    if left < timedelta(0):
        return Urgency.PAST
    return Urgency.DAY_1 if left <= timedelta(days=1) else Urgency.FINE


def sides(topology: Topology, only: str = "") -> Iterator[tuple[Side, str]]:
    """Every certificate that our servers show (or *only* one of them), with its file: an edge may have two."""
    for server in (server for pool in topology.pools for server in pool.servers):
        if only in {"", server.name}:
            yield (server.name, False), server.certificate_file
            if server.outside and server.outside.certificate and server.outside.key:
                yield (server.name, True), server.outside.certificate


def signer_files(topology: Topology, only: str = "") -> Iterator[tuple[str, str]]:
    """Every management server (or *only* one) with the file of the certificate that it signs by."""
    for pool in topology.pools:
        if pool.role is Role.MANAGEMENT:
            yield from ((one.name, one.signer_certificate_file) for one in pool.servers if only in {"", one.name})


def _anchors(authority: Authority) -> list[DatedItem]:
    return list(dict.fromkeys(map(DatedItem.of_certificate, authority.anchors)))


def _lists(authority: Authority) -> list[DatedItem]:
    return list(dict.fromkeys(map(DatedItem.of_list, authority.lists)))


def _issued(issuer: DatedItem, chain: Chain) -> bool:
    return any(paper.mark == issuer.mark for paper in chain.papers[1:])
