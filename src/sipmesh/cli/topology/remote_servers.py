"""What a command on the management host means for servers of other machines: management gives it to them, and says so."""

from __future__ import annotations

import asyncio
import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sipmesh.cli.output import GOOD, WARN, plural, say
from sipmesh.errors import SipmeshError

if TYPE_CHECKING:
    from sipmesh.cli.place import Place
    from sipmesh.storage.audit_act import AuditAct


def note(place: Place, act: AuditAct, **about: Any) -> None:
    """Write a line into the audit log, where there is one: in a network that never published there is none."""
    from sipmesh.server.control_socket import name_of
    from sipmesh.storage.management_db import ManagementDb

    if not ManagementDb.is_in(place.folder):
        return
    management_db = ManagementDb(place.folder)
    try:
        management_db.audit.append(name_of(os.getuid()), act, about, at=datetime.now(UTC))
    finally:
        management_db.close()


def say_given(place: Place, here: list[str]) -> None:
    """Tell who is given new lists by management, beside the servers *here*, and whom it does not reach."""
    from sipmesh.cli.topology.publish import running_management
    from sipmesh.server.control_socket import ask
    from sipmesh.server.replication.topology_source import published_in

    newest = published_in(place.folder)
    if newest is None:
        return
    others = sorted(_servers(newest) - set(here))
    if not others:
        return
    socket = running_management(place)
    if socket is None:
        say(f"NOT sent to {', '.join(others)}: no management server runs here.", style=WARN)
        return
    try:
        told = asyncio.run(ask(socket, "network"))["servers"]
    except SipmeshError as wrong:
        say(f"It is not known whether {', '.join(others)} have it: {wrong}", style=WARN)
        return
    reached = [one["server"] for one in told if one["server"] in others and one["reached"]]
    missed = [name for name in others if name not in reached]
    if reached:
        say(f"Management sends it to {plural(len(reached), 'other server')}: {', '.join(reached)}.", style=GOOD)
    if missed:
        say(
            f"NOT reachable now: {', '.join(missed)}. Each receives it when it is reachable again. See: sipmesh status",
            style=WARN,
        )


def _servers(loaded: Any) -> set[str]:
    return {server.name for pool in loaded.topology.pools for server in pool.servers}
