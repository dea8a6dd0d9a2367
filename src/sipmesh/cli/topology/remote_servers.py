"""What a command on the management host does for servers on other machines: management sends them the change."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from sipmesh.cli.control_client import ask_one
from sipmesh.cli.management_socket import running_management
from sipmesh.cli.output import GOOD, WARN, plural, say
from sipmesh.database.shared import has_management_db
from sipmesh.errors import SipmeshError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from sipmesh.cli.place import Place
    from sipmesh.server.management.replies import MemberReply
    from sipmesh.storage.audit import Audit
    from sipmesh.storage.audit_act import AuditAct


def must_lead(place: Place) -> None:
    """Raise `OperatorError` on a host of a management pool that does not lead: `note` would be refused there."""
    from sipmesh.database.shared import has_management_db
    from sipmesh.storage.management_db import ManagementDb

    if not has_management_db(place.folder):
        return
    management_db = ManagementDb(place.folder)
    try:
        management_db.lease.must_lead()
    finally:
        management_db.close()


def note(place: Place, act: AuditAct, **about: object) -> None:
    """Write a line into the audit log; a network without a published version has no audit log."""
    note_each(place, act, [about])


def note_each(place: Place, act: AuditAct, lines: Iterable[Mapping[str, object]]) -> None:
    """Write a line for each of *lines*, as `note` does: the log is opened once."""
    from sipmesh.server.control_socket import this_operator

    with audit_of(place) as audit:
        if audit is not None:
            for about in lines:
                audit.append(this_operator(), act, about, at=datetime.now(UTC))


@contextmanager
def audit_of(place: Place) -> Iterator[Audit | None]:
    """Open the audit log; None for a network without a published version."""
    from sipmesh.storage.management_db import ManagementDb

    if not has_management_db(place.folder):
        yield None
        return
    management_db = ManagementDb(place.folder)
    try:
        yield management_db.audit
    finally:
        management_db.close()


def reported_servers(place: Place) -> Sequence[MemberReply]:
    """Return what servers have reported to management; nothing if no management server runs here, or does not answer."""
    from sipmesh.server.management.replies import NETWORK

    socket = running_management(place)
    try:
        return ask_one(socket, NETWORK).servers if socket is not None else ()
    except SipmeshError:
        return ()


def say_given(place: Place, here: list[str]) -> None:
    """Print which servers, other than those *here*, receive new CRLs from management, and which it does not reach."""
    from sipmesh.server.management.replies import NETWORK
    from sipmesh.server.replication.topology_source import published_in

    newest = published_in(place.folder)
    if newest is None:
        return
    others = sorted(set(newest.topology.server_names) - set(here))
    if not others:
        return
    socket = running_management(place)
    if socket is None:
        say(f"NOT sent to {', '.join(others)}: no management server runs here.", style=WARN)
        return
    try:
        network = ask_one(socket, NETWORK)
    except SipmeshError as wrong:
        say(f"It is not known whether {', '.join(others)} have it: {wrong}", style=WARN)
        return
    reached = [member.server for member in network.servers if member.server in others and member.reached]
    missed = [name for name in others if name not in reached]
    if reached:
        say(f"Management sends it to {plural(len(reached), 'other server')}: {', '.join(reached)}.", style=GOOD)
    if missed:
        say(
            f"NOT reachable now: {', '.join(missed)}. Each receives it when it is reachable again. See: sipmesh status",
            style=WARN,
        )
