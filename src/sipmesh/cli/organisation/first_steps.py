"""What is left to do after `sipmesh init`, in order, and what keeps the new network from working today."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

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


def steps(folder: Path, layout: Layout, loaded: Loaded, user: str) -> Iterator[str]:
    """Yield the commands that are left, in order."""
    here, there = servers_of(loaded, layout, here=True), servers_of(loaded, layout, here=False)
    yield f"cd {folder}"
    if layout.administrator:
        yield f"sipmesh console certificate {layout.administrator} --role security-officer"
    if not user and not there:
        yield f"sipmesh user add alice@{layout.domain}"
    yield f"sipmesh serve {' '.join(here)}"
    for server in there:
        yield from _joining(server, loaded)
    if not user and there:  # once all front ends run, they get it at once
        home = f" --pool {next(iter(layout.pools.values()))}" if len(layout.pools) > 1 else ""
        yield f"sipmesh user add alice@{layout.domain}{home}"
    if user and not layout.is_reached:
        yield "sipmesh links"
    if layout.is_reached:
        yield "sipmesh topology dns        # the records that DNS needs"
        yield "sipmesh doctor              # until it finds nothing that is to be done"


def _joining(server: str, loaded: Loaded) -> Iterator[str]:
    """Yield the three steps by which a server on another host joins."""
    servers = loaded.topology.servers
    address = next(one.address for one in servers if one.name == server)
    yield f"on {address}, in an empty folder:  sipmesh join request {server}"
    yield f"here, with that file:  sipmesh join grant {server}.csr"
    yield f"on {address}, with that file:  sipmesh join accept {server}.join && sipmesh serve {server}"
