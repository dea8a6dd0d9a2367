"""The checks of this host: its machine, the folder of the organisation, the servers whose keys are here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING

from sipmesh import __version__
from sipmesh.cli.doctor import expiry, folder, machine, names, network, ports, releases, stores, third_party, units
from sipmesh.cli.doctor.check import bad
from sipmesh.cli.typed_commands import TypedCommands
from sipmesh.errors import OperatorError, Problem
from sipmesh.topology.expiry.inventory_entry import ExpiringKind
from sipmesh.trust.role import Role

if TYPE_CHECKING:
    from sipmesh.cli.doctor.check import Check
    from sipmesh.cli.place import Place
    from sipmesh.server.admin.replies import StatusReply
    from sipmesh.topology.document.load import Loaded
    from sipmesh.topology.expiry.inventory import Inventory
    from sipmesh.topology.view import ServerView


@dataclass(frozen=True)
class Host:
    """This host at the instant *at*: the topology in force, and the answers of the servers that run here."""

    place: Place
    loaded: Loaded
    running: Mapping[str, StatusReply]
    at: datetime

    @cached_property
    def stock(self) -> Inventory:
        """Everything that expires, as this host knows it."""
        from sipmesh.cli.place import CA
        from sipmesh.server.certificates.network_inventory import network_inventory

        uses = [reply.use for reply in self.running.values()]
        return network_inventory(self.loaded, self.place.folder / CA, uses, self.at)

    @property
    def ca_begins(self) -> datetime | None:
        """When the newest certificate of our root and issuing CA begins."""
        kinds = {ExpiringKind.ROOT, ExpiringKind.ISSUING}
        return max(
            (one.item.begins for one in self.stock.entries if one.what in kinds and one.item is not None), default=None
        )

    @property
    def servers(self) -> list[str]:
        """The servers whose private key is on this host, management first."""
        pools = sorted(self.loaded.topology.pools, key=lambda pool: pool.role != "management")
        servers = [server for pool in pools if pool.role != "application" for server in pool.servers]
        return [server.name for server in servers if (self.place.folder / server.key_file).exists()]

    @property
    def stopped(self) -> list[str]:
        """Those of them that do not run."""
        return [server for server in self.servers if server not in self.running]

    def checks(self) -> Iterator[Check]:
        """Make all checks, the machine first."""
        yield from machine_checks(self)
        yield from _topology(self)
        yield from _files(self)
        yield from expiry_of(self)
        yield from third_party.preset_checks(self.loaded, self.at)
        yield from _releases(self)
        yield from _stores(self)
        yield from network.server_checks(self.servers, self.running, TypedCommands.in_folder(self.place.folder))
        yield from ports.port_checks(_ports(self))
        yield from units.unit_checks(self.servers, frozenset(self.running))
        yield from dns_of(self)

    def view(self, server: str) -> ServerView:
        """Return the topology as *server* sees it."""
        from sipmesh.topology.view import view

        return view(self.loaded, server)


def machine_checks(host: Host) -> Iterator[Check]:
    """Judge clock, descriptors and disk."""
    yield from machine.clock_checks(
        host.at, _signed_last(host), host.ca_begins, synchronised=machine.is_clock_synchronised()
    )
    limits = {server: machine.descriptors_of(reply.pid) for server, reply in host.running.items()}
    known = {server: most for server, most in limits.items() if most is not None}
    known = known or {machine.STARTED_HERE: machine.own_descriptors()}
    for server, most in known.items():
        yield from machine.descriptor_checks(server, most)
    yield from machine.disk_checks(host.place.folder.absolute(), machine.free_octets(host.place.folder))


def _signed_last(host: Host) -> datetime | None:
    try:
        return host.place.generations().signed_last
    except OperatorError:  # no CA here, or a CA that other checks judge
        return None


def _topology(host: Host) -> Iterator[Check]:
    from sipmesh.cli.topology.document import certificates_in_need
    from sipmesh.topology.document.load import check as read

    problems: tuple[Problem, ...] = ()
    if host.place.file.exists():
        try:
            read(host.place.file, at=host.at)
        except OperatorError as wrong:
            problems = wrong.problems or (Problem(host.place.file, 0, "", wrong.message, "correct the topology"),)
    yield from folder.topology_checks(problems, host.loaded.number)
    lacking = (
        problem for problem in certificates_in_need(host.loaded, host.at) if not problem.reason.startswith("ended")
    )
    yield from folder.certificate_checks(lacking)


def _files(host: Host) -> Iterator[Check]:
    from sipmesh.database.private_file import BESIDE
    from sipmesh.pki.files import others_can_write_to
    from sipmesh.server.service import key_files_of

    keys = {file for server in host.servers for file in key_files_of(host.loaded, server)}
    databases = [
        *host.place.folder.glob("*.db"),
        *host.place.state.glob("*.db"),
        *(host.place.folder / "ca").glob("*.db"),
    ]
    keys |= {*host.place.state.glob("*.users")}
    keys |= {file.with_name(file.name + end) for file in databases for end in BESIDE}
    shared = others_can_write_to(host.place.state) if host.place.state.exists() else ()
    yield from folder.file_checks(sorted(keys), shared)


def expiry_of(host: Host) -> Iterator[Check]:
    """Judge all that expires."""
    begins = host.ca_begins
    is_clock_wrong = begins is not None and begins > host.at  # one fault, that of the clock
    yield from expiry.expiry_checks(host.stock, without_early=is_clock_wrong)


def _releases(host: Host) -> Iterator[Check]:
    pools = [view for view in map(host.view, host.servers) if view.role is Role.FRONT_END and view.valkey_url is None]
    yield from releases.file_checks(host.place.folder, sorted({view.bindings_file for view in pools}))
    yield from releases.running_checks(__version__, {name: reply.release for name, reply in host.running.items()})


def _stores(host: Host) -> Iterator[Check]:
    from sipmesh.cli.topology.document import losses

    yield from stores.database_checks(losses(host.place, host.loaded))
    files = (reply.files for reply in host.running.values() if reply.files is not None)
    yield from stores.file_checks(host.loaded.topology.files, files)
    yield from stores.valkey_checks({one.pool.name: one for one in map(host.view, host.servers)})


def _ports(host: Host) -> Iterator[ports.Port]:
    """Yield the ports of the servers that do not run, those for proofs to a public CA too: those of the others are open."""
    for server in host.stopped:
        seen = host.view(server)
        for spec in seen.listeners:
            yield ports.Port(server, spec.host, spec.port)
        if (order := seen.acme_order) is not None and order.acme.challenge_port:
            forwarded = "have the port that the CA asks forwarded to a free one, and name that in `acme.port`"
            yield ports.Port(server, order.host, order.acme.challenge_port, forwarded)


def dns_of(host: Host) -> Iterator[Check]:
    """Judge what DNS has of the network."""
    from sipmesh.cli.topology.dns.command import needed_records, seen_in_dns

    topology = host.loaded.topology
    if names.needs_no_dns(topology):
        yield names.loopback_check()
        return
    try:
        yield from names.dns_checks(*seen_in_dns(topology, needed_records(host.place, host.loaded)))
    except OperatorError as wrong:
        yield bad(names.DNS, wrong.message, "name a name server in `dns` of the topology")
