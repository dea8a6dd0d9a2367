"""`sipmesh topology publish` and what goes with it: versions that management has signed, one after the other."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sipmesh.cli.output import BAD, GOOD, WARN, cell, plural, say, say_document, say_json, show, table
from sipmesh.cli.place import HERE, AsJson, Place, TopologyFile
from sipmesh.errors import OperatorError

if TYPE_CHECKING:
    from pathlib import Path

    from sipmesh.server.management.publishing.offline_publish import Rested
    from sipmesh.storage.history import Version
    from sipmesh.storage.management_db import ManagementDb
    from sipmesh.topology.document.load import Loaded
    from sipmesh.topology.versions.publication import Publication

Why = Annotated[str, typer.Option("-m", "--message", metavar="WHY", help="The reason, for the history.")]
Force = Annotated[bool, typer.Option("--force", help="Publish although the change breaks what the refusal names.")]
Wait = Annotated[
    float, typer.Option(min=0, max=60, help="Seconds to wait until every server has the version in force.")
]

WAIT_S = 10.0


def publish(
    *,
    why: Why,
    force: Force = False,
    wait: Wait = WAIT_S,
    topology: TopologyFile = HERE,
    as_json: AsJson = False,
) -> None:
    """Sign the draft as the next version of the topology, and send it to every server.

    The command shows the changes since the version before. The first time it makes version 1; from then on the servers of this
    network load only signed versions. Without a running management server, the version is signed now and is in force when that
    server starts.
    """
    place = Place(topology)
    if not _ever_published(place):
        first = publish_first(place, why)
        _say_first(first, as_json=as_json)
        return
    socket = running_management(place)
    if socket is None:
        say_rested(publish_at_rest(place, why, force=force), as_json=as_json)
        return
    publish_draft(place, socket, why, wait, force=force, as_json=as_json)


def publish_draft(
    place: Place, socket: Path, why: str, wait: float = WAIT_S, *, force: bool = False, as_json: bool = False
) -> None:
    """Have management publish the draft of *place*, and tell what came of it.

    Leaves with 1 where a server has not followed within *wait* seconds.
    """
    began, draft = time.monotonic(), place.file.name
    plan = _ask(socket, "plan", draft=draft)
    if plan.get("draft") != draft:
        raise OperatorError(f"the running management server publishes topology.yaml and not {draft}; restart it")
    if not as_json:
        _say_plan(plan)
    given = {"base": plan["base"], "digest": plan["digest"], "force": force}
    told = _ask(socket, "publish", why=why, draft=draft, **given)
    if draft != HERE.name and not as_json:
        say(f"{draft} is published. {HERE.name} is unchanged.", style=WARN)
    _tell(socket, told, wait, began, as_json=as_json)


def publish_block(place: Place, name: str, wait: float) -> None:
    """Publish the version in force with one change, *name* is blocked, unless it is; raises and leaves as `publish_draft`."""
    from sipmesh.server.control_socket import name_of
    from sipmesh.server.management.publishing.offline_publish import block_at_rest

    began, socket = time.monotonic(), running_management(place)
    if socket is None:
        rested = block_at_rest(place.folder, name, name_of(os.getuid()), datetime.now(UTC), _say_undone)
        if rested.changes:
            say_rested(rested)
        else:
            say(f"{name} is blocked already, in version {rested.version.number}.", style=GOOD)
        return
    told = _ask(socket, "block", name=name)
    if not told["changes"]:
        say(f"{name} is blocked already, in version {told['version']}.", style=GOOD)
        return
    say(*(f"  {line}" for line in told["changes"]))
    _tell(socket, told, wait, began, as_json=False)


def publish_at_rest(place: Place, why: str, *, force: bool = False) -> Rested:
    """Publish while no management server runs; raises `OperatorError`."""
    from sipmesh.server.control_socket import name_of
    from sipmesh.server.management.publishing.offline_publish import publish_at_rest as at_rest

    who = name_of(os.getuid())
    return at_rest(place.file, who, why, datetime.now(UTC), _say_undone, force=force)


def _say_undone(event: str, *, servers: str, why: str) -> None:
    say(f"{event}: {servers} ({why})", style=WARN)


def say_rested(rested: Rested, *, as_json: bool = False) -> None:
    """Tell what was published, and what puts it in force."""
    version = rested.version
    if as_json:
        changes, forced = list(rested.changes), list(rested.forced)
        say_json({"version": version.number, "changes": changes, "forced": forced, "missing": [], "at_rest": True})
        return
    say(*([f"  {line}" for line in rested.changes] or ["Nothing has changed."]))
    say(f"Version {version.number} is published.", style=GOOD)
    say("No management server runs here. The other servers receive the version when it runs: sipmesh serve NAME")


def rollback(
    version: Annotated[int, typer.Argument(min=1, help="The version whose content becomes the next version.")],
    *,
    why: Annotated[str, typer.Option("-m", "--message", metavar="WHY", help="The reason, for the history.")] = "",
    force: Force = False,
    wait: Wait = WAIT_S,
    topology: TopologyFile = HERE,
    as_json: AsJson = False,
) -> None:
    """Publish the content of an old version as a new version. The draft does not change."""
    socket = management_socket(Place(topology))
    began = time.monotonic()
    head = _ask(socket, "history")[-1]["version"]
    told = _ask(socket, "rollback", version=version, why=why, base=head, force=force)
    if not as_json:
        _say_changes(head, told["changes"])
    _tell(socket, told, wait, began, as_json=as_json)


def history(*, topology: TopologyFile = HERE, as_json: AsJson = False) -> None:
    """List every version: who published it, when and why."""
    versions = [_version_json(one) for one in chronicle_of(Place(topology)).history.list()]
    if as_json:
        say_json(versions)
        return
    made = table("", "version", "at", "by", "why", "digest")
    for one in versions:
        why = f"{one['why']} (forced)" if one["forced"] else one["why"]
        made.add_row(*map(cell, (one["version"], _minute(one["at"]), one["by"], why, one["digest"][:12])))
    show(made)


def diff(
    before: Annotated[int, typer.Argument(min=1, help="A version.")],
    after: Annotated[int, typer.Argument(min=0, help="The other version. By default 0, the draft.")] = 0,
    *,
    topology: TopologyFile = HERE,
    as_json: AsJson = False,
) -> None:
    """Show the changes between two versions, or between a version and the draft."""
    from sipmesh.topology.versions.difference import difference

    place = Place(topology)
    old = loaded_version(place, before)
    new = loaded_version(place, after) if after else place.load()
    changes = list(difference(old, new))
    if as_json:
        say_json(changes)
        return
    say(*(changes or ["There is no difference."]))


@dataclass(frozen=True, slots=True)
class Unpublished:
    """What a draft says that version *base* does not; a base of 0 is that of a network where nothing is published."""

    base: int
    changes: Sequence[str]


def unpublished(place: Place, draft: Loaded) -> Unpublished:
    """Compare a *draft* with the newest version."""
    from sipmesh.server.replication.topology_source import published_in
    from sipmesh.topology.versions.difference import difference

    newest = published_in(place.folder)
    return Unpublished(newest.number, difference(newest, draft)) if newest is not None else Unpublished(0, ())


def show_version(place: Place, number: int, *, as_json: bool) -> None:
    """Print the document of a version as it was published."""
    publication = publication_of(place, number)
    if as_json:
        say_json({"version": number, "by": publication.by, "why": publication.why, "topology": publication.topology})
        return
    say_document(publication.topology)


def chronicle_of(place: Place) -> ManagementDb:
    """The versions and the log beside the topology; raises `OperatorError` where nothing was ever published."""
    from sipmesh.server.replication.document_store import held_in
    from sipmesh.storage.management_db import ManagementDb

    if not ManagementDb.is_in(place.folder):
        if held_in(place.folder):
            raise OperatorError("the versions and the audit log are on the management server; run this command there")
        raise OperatorError(f"there is no published version in {place.folder}; see: sipmesh topology publish --help")
    return ManagementDb(place.folder)


def publication_of(place: Place, number: int) -> Publication:
    """One version as it was signed; raises `OperatorError` where there is none, or it was touched."""
    from sipmesh.server.replication.topology_source import version_of

    return version_of(chronicle_of(place), number)


def loaded_version(place: Place, number: int) -> Loaded:
    """One version with the files that it embeds and the lists of this machine."""
    from sipmesh.topology.versions.load_published import load_published

    return load_published(publication_of(place, number), place.folder)


def publish_first(place: Place, why: str) -> Version:
    """Make version 1 where nothing was published yet; there is no server yet that could be asked. Gives the version."""
    from sipmesh.server.control_socket import name_of
    from sipmesh.server.management.publishing.offline_publish import publish_first as first

    return first(place.file, name_of(os.getuid()), why, datetime.now(UTC))


def management_socket(place: Place) -> Path:
    """The control socket of the management server of this machine; raises `OperatorError` where none runs."""
    socket = running_management(place)
    if socket is None:
        named = managers(place)
        remedy = f"start it: sipmesh serve {named[0]}" if named else "add a pool of role management"
        if not _ever_published(place) and place.in_force().number:
            remedy = f"run this command on the machine of {named[0]}"
        raise OperatorError(f"no management server runs on this machine; {remedy}")
    return socket


def running_management(place: Place) -> Path | None:
    """The same, None where none runs; what a killed server has left behind is no server."""
    from sipmesh.server.control_socket import SOCKET_SUFFIX, STATE, is_answered

    for name in managers(place):
        socket = place.folder / STATE / f"{name}{SOCKET_SUFFIX}"
        if is_answered(socket):
            return socket
    return None


def managers(place: Place) -> list[str]:
    """The management servers of the newest version, or of the draft before the first."""
    from sipmesh.server.replication.document_store import signers_of

    return sorted(signers_of(place.in_force()))


def _ask(socket: Path, command: str, **given: Any) -> Any:
    from sipmesh.server.control_socket import ask

    return asyncio.run(ask(socket, command, **given))


def _ever_published(place: Place) -> bool:
    from sipmesh.storage.management_db import ManagementDb

    return ManagementDb.is_in(place.folder) and chronicle_of(place).history.head() is not None


def _say_first(first: Version, *, as_json: bool) -> None:
    if as_json:
        say_json({"version": first.number, "digest": first.digest})
        return
    say(f"Version {first.number} is published.", style=GOOD)
    say("Start the management server, then the other servers: sipmesh serve NAME")


def _say_changes(base: int, changes: Sequence[str]) -> None:
    say(f"Since version {base}:" if changes else f"Nothing has changed since version {base}.")
    say(*(f"  {line}" for line in changes))


def _say_plan(plan: dict[str, Any]) -> None:
    _say_changes(plan["base"], plan["changes"])
    for danger in plan["dangers"]:
        say(f"  DANGER: {danger}", style=BAD)


def _tell(socket: Path, told: dict[str, Any], wait: float, began: float, *, as_json: bool) -> None:
    """Say that a version is published, and wait until it is in force everywhere."""
    number = told["version"]
    if not as_json:
        say(f"Version {number} is published.", style=GOOD)
    answer: dict[str, Any] = {"missing": [], "new": [], "servers": 0}
    if wait:
        from sipmesh.server.control_socket import ask

        answer = asyncio.run(ask(socket, "acknowledged", timeout_s=wait + 5, version=number, wait_s=wait))
    took = time.monotonic() - began
    if as_json:
        say_json({**told, "missing": answer["missing"], "new": answer["new"], "took_s": round(took, 3)})
    elif answer["missing"]:
        say(f"NOT yet in force on {', '.join(answer['missing'])}; see: sipmesh status", style=WARN)
    elif wait:
        say(f"In force on {plural(answer['servers'], 'server')} after {took:.2f} s.", style=GOOD)
    if answer["new"] and not as_json:
        say(f"Not started yet: {', '.join(answer['new'])}.", style="dim")
    if answer["missing"]:
        raise typer.Exit(1)


def _version_json(one: Version) -> dict[str, Any]:
    from sipmesh.server.management.commands import told_version

    return told_version(one)


def _minute(instant: str) -> str:
    return f"{datetime.fromisoformat(instant):%Y-%m-%d %H:%M:%S}Z"
