"""What is left to do after `sipmesh init`, in order, and what keeps the new network from working today."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from sipmesh.cli.typed_commands import PACKAGE, TypedCommands

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from sipmesh.cli.doctor.check import Check
    from sipmesh.cli.organisation.layout import Layout
    from sipmesh.cli.place import Place
    from sipmesh.topology.document.load import Loaded


def servers_of(loaded: Loaded, layout: Layout, *, here: bool) -> list[str]:
    """Return the servers on this host, whose keys are made here; or those on others, which join."""
    servers = loaded.topology.servers
    return [server.name for server in servers if (server.address == layout.management) is here]


def findings_of(place: Place) -> Sequence[Check]:
    """Check this host and DNS as `sipmesh doctor` does; returns what is to be done, except to start the servers."""
    from sipmesh.cli.doctor.host import Host
    from sipmesh.cli.doctor.network import SERVERS
    from sipmesh.cli.doctor.units import UNITS

    host = Host(place, place.in_force(), {}, datetime.now(UTC))
    return [check for check in host.checks() if check.remedy and check.name not in {SERVERS, UNITS}]


def steps(
    folder: Path, layout: Layout, loaded: Loaded, typed: TypedCommands, *, has_users: bool = False, runs: bool = False
) -> Iterator[str]:
    """Yield the commands that are left, in order, as they are *typed* here; *runs*: the servers of this host are started."""
    here, there = servers_of(loaded, layout, here=True), servers_of(loaded, layout, here=False)
    yield f"cd {folder}"
    if layout.administrator:
        yield typed.command(f"console certificate {layout.administrator} --role security-officer")
    if not has_users and not there:
        yield typed.command(f"user add alice@{layout.domain}")
    if not runs:
        yield typed.start(here)
    for server in there:
        yield from _joining(server, loaded, typed)
    if not has_users and there:  # once all front ends run, they get it at once
        home = f" --pool {next(iter(layout.pools.values()))}" if len(layout.pools) > 1 else ""
        yield typed.command(f"user add alice@{layout.domain}{home}")
    if has_users and not layout.is_reached:
        yield typed.command("links")
    if layout.is_reached:
        yield typed.command("topology dns        # the records that DNS needs")
        yield typed.command("doctor              # until it finds nothing that is to be done")


def _joining(server: str, loaded: Loaded, typed: TypedCommands) -> Iterator[str]:
    """Yield the three steps by which a server on another host joins; it is installed as this one."""
    servers = loaded.topology.servers
    address = next(one.address for one in servers if one.name == server)
    folder = f"{PACKAGE}" if typed.packaged else "an empty folder"
    yield f"on {address}, in {folder}:  {typed.command(f'join request {server}')}"
    yield f"here, with that file:  {typed.command(f'join grant {server}.csr')}"
    yield f"on {address}, with that file:  {typed.command(f'join accept {server}.join')} && {typed.start([server])}"
