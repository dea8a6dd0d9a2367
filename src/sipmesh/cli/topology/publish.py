"""`sipmesh topology publish`, `rollback`, `history` and `diff`: the signed versions of the topology."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sipmesh.cli.control_client import ask_one
from sipmesh.cli.management_socket import managers, running_management
from sipmesh.cli.output import BAD, GOOD, WARN, cell, plural, say, say_document, say_json, second, show, table
from sipmesh.cli.place import HERE, AsJson, Place, TopologyFile
from sipmesh.cli.topology.planning.reading import ReadPlan, must_be_read
from sipmesh.cli.topology.reports import DocumentReport, PublishedReport
from sipmesh.database.shared import has_management_db
from sipmesh.errors import OperatorError

if TYPE_CHECKING:
    from pathlib import Path

    from sipmesh.server.management.publishing.offline_publish import Rested
    from sipmesh.server.management.replies import Plan, PutInForce
    from sipmesh.storage.history import Version
    from sipmesh.storage.management_db import ManagementDb
    from sipmesh.topology.document.load import Loaded
    from sipmesh.topology.versions.publication import Publication

Why = Annotated[str, typer.Option("-m", "--message", metavar="WHY", help="The reason, for the history.")]
Force = Annotated[
    bool,
    typer.Option(
        "--force",
        help="Publish although the change breaks something. Without this option, the command names what would break.",
    ),
]
Wait = Annotated[
    float, typer.Option(min=0, max=60, help="Seconds to wait until every server has the version in force.")
]

WAIT_S = 10.0


def publish(
    *,
    why: Why,
    force: Force = False,
    plan: ReadPlan = "",
    wait: Wait = WAIT_S,
    without_approvals: Annotated[
        bool,
        typer.Option(
            "--without-approvals",
            help="After the loss of operators' keys: servers refuse this version until each of them has joined again.",
        ),
    ] = False,
    overtake: Annotated[
        bool,
        typer.Option(
            "--overtake",
            help="Use a version number above all numbers that servers report: after a stolen management server has published.",
        ),
    ] = False,
    topology: TopologyFile = HERE,
    as_json: AsJson = False,
) -> None:
    """Sign the draft as the next version of the topology, and send it to every server.

    The command shows the changes since the version before. If operators of the console may change the draft, and may not publish
    these changes, it asks; a script names the plan that was read by --plan. The first time it makes version 1; from then on the
    servers of this network load only signed versions. Without a running management server, the version is signed now and is in
    force when that server starts.
    """
    place = Place(topology)
    if not _ever_published(place):
        if plan:
            raise OperatorError("no version is published, so no plan can be read; publish without --plan")
        first = publish_first(place, why)
        _say_first(first, as_json=as_json)
        return
    socket = running_management(place)
    if socket is None and overtake:
        raise OperatorError("servers report their numbers to a management server that runs: start it first")
    if socket is None:
        _publish_read(place, why, plan, force=force, unapproved=without_approvals, as_json=as_json)
        return
    if without_approvals:
        raise OperatorError("a version without approvals is published while management is stopped: stop it first")
    publish_draft(place, socket, why, wait, force=force, overtake=overtake, named=plan, as_json=as_json)


def publish_draft(
    place: Place,
    socket: Path,
    why: str,
    wait: float = WAIT_S,
    *,
    force: bool = False,
    overtake: bool = False,
    digest: str = "",
    named: str = "",
    as_json: bool = False,
) -> None:
    """Have management publish the draft of *place*, and print the result.

    *digest* is that of the draft, if this command has made it; else *named* is the plan that the user has read. Raises
    `OperatorError` if the draft is another one, and `typer.Exit` with 1 if a server does not have the version in
    force within *wait* seconds.
    """
    from sipmesh.server.management.replies import PLAN, PUBLISH, PUBLISHED_S

    began, draft = time.monotonic(), place.file.name
    plan = ask_one(socket, PLAN, draft=draft)
    if plan.draft != draft:
        raise OperatorError(f"the running management server publishes topology.yaml and not {draft}; restart it")
    if digest and plan.digest != digest:
        raise OperatorError(f"{draft} has changed since this command has written it; look at it: sipmesh topology plan")
    if not as_json:
        _say_plan(plan)
    if not digest:
        must_be_read(plan, named, force=force, asks=not as_json)
    agreed: dict[str, Any] = {"base": plan.base, "digest": plan.digest, "force": force, "overtake": overtake}
    published = ask_one(socket, PUBLISH, PUBLISHED_S, why=why, draft=draft, **agreed)
    if draft != HERE.name and not as_json:
        say(f"{draft} is published. {HERE.name} is unchanged.", style=WARN)
    _follow(socket, published, wait, began, as_json=as_json)


def publish_block(place: Place, name: str, wait: float) -> None:
    """Publish the version in force with one change: *name* is blocked. Raises as `publish_draft` does.

    Nothing is published if *name* is blocked already.
    """
    from sipmesh.server.control_socket import this_operator
    from sipmesh.server.management.publishing.offline_publish import block_at_rest
    from sipmesh.server.management.replies import BLOCK

    began, socket = time.monotonic(), running_management(place)
    if socket is None:
        rested = block_at_rest(place.folder, name, this_operator(), datetime.now(UTC), _say_undone)
        if rested.changes:
            say_rested(rested)
        else:
            say(f"{name} is blocked already, in version {rested.version.number}.", style=GOOD)
        return
    published = ask_one(socket, BLOCK, name=name)
    if not published.changes:
        say(f"{name} is blocked already, in version {published.version}.", style=GOOD)
        return
    say(*(f"  {change}" for change in published.changes))
    _follow(socket, published, wait, began, as_json=False)


def _publish_read(place: Place, why: str, named: str, *, force: bool, unapproved: bool, as_json: bool) -> None:
    """Publish the draft that the user has read, without a running management server."""
    from sipmesh.server.management.publishing.offline_publish import plan_at_rest

    plan = plan_at_rest(place.file)
    if not as_json:
        _say_plan(plan)
    must_be_read(plan, named, force=force, asks=not as_json)
    rested = publish_at_rest(place, why, plan.base, plan.digest, force=force, unapproved=unapproved)
    say_rested(rested, shown=True, as_json=as_json)


def publish_at_rest(
    place: Place, why: str, base: int, digest: str, *, force: bool = False, unapproved: bool = False
) -> Rested:
    """Publish the draft with this *digest* after version *base*, without a running management server.

    Raises `OperatorError`, also for another draft or another version.
    """
    from sipmesh.server.control_socket import this_operator
    from sipmesh.server.management.publishing.offline_publish import publish_at_rest as at_rest

    who = this_operator()
    agreed: dict[str, Any] = {"base": base, "digest": digest, "force": force, "unapproved": unapproved}
    return at_rest(place.file, who, why, datetime.now(UTC), _say_undone, **agreed)


def _say_undone(event: str, *, servers: str, why: str) -> None:
    say(f"{event}: {servers} ({why})", style=WARN)


def say_rested(rested: Rested, *, shown: bool = False, as_json: bool = False) -> None:
    """Print what was published without a running management server, and how it comes into force.

    *shown* tells that the changes are printed already, as a plan.
    """
    version = rested.version
    if as_json:
        say_json(PublishedReport(version.number, rested.changes, rested.forced, at_rest=True))
        return
    if not shown:
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
    from sipmesh.server.management.replies import HISTORY, PUBLISHED_S, ROLLBACK

    socket = management_socket(Place(topology))
    began = time.monotonic()
    newest = ask_one(socket, HISTORY)[-1].version
    published = ask_one(socket, ROLLBACK, PUBLISHED_S, version=version, why=why, base=newest, force=force)
    if not as_json:
        _say_changes(newest, published.changes)
    _follow(socket, published, wait, began, as_json=as_json)


def history(*, topology: TopologyFile = HERE, as_json: AsJson = False) -> None:
    """List every version: who published it, when and why."""
    from sipmesh.server.management.replies import VersionReply

    versions = [VersionReply.of(version) for version in management_db_of(Place(topology)).history.list()]
    if as_json:
        say_json(versions)
        return
    made = table("", "version", "at", "by", "why", "digest")
    for version in versions:
        why = f"{version.why} (forced)" if version.forced else version.why
        made.add_row(*map(cell, (version.version, second(version.at), version.by, why, version.digest[:12])))
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
    """The changes of a draft since version *base*; a base of 0 means that no version is published."""

    base: int
    changes: Sequence[str]


def unpublished(place: Place, draft: Loaded) -> Unpublished:
    """Compare a *draft* with the newest version."""
    from sipmesh.server.replication.topology_source import published_in
    from sipmesh.topology.versions.difference import difference

    newest = published_in(place.folder)
    return Unpublished(newest.number, difference(newest, draft)) if newest is not None else Unpublished(0, ())


def show_version(place: Place, number: int, *, as_json: bool) -> None:
    """Print the document of a version as it was published, without passwords."""
    from sipmesh.database.masked import masked

    publication = publication_of(place, number)
    if as_json:
        say_json(DocumentReport(number, publication.by, publication.why, masked(publication.topology)))
        return
    say_document(masked(publication.topology))


def management_db_of(place: Place) -> ManagementDb:
    """Return the versions and the audit log; raises `OperatorError` if no version is published, or on another machine."""
    from sipmesh.server.replication.document_store import held_in
    from sipmesh.storage.management_db import ManagementDb

    if not has_management_db(place.folder):
        if held_in(place.folder):
            raise OperatorError("the versions and the audit log are on the management server; run this command there")
        raise OperatorError(f"there is no published version in {place.folder}; see: sipmesh topology publish --help")
    return ManagementDb(place.folder)


def publication_of(place: Place, number: int) -> Publication:
    """Return one signed version; raises `OperatorError` if there is none, or its signature does not match."""
    from sipmesh.server.replication.published_version import version_of

    return version_of(management_db_of(place), number)


def loaded_version(place: Place, number: int) -> Loaded:
    """Return one version, with the files that it embeds and the CRLs of this machine."""
    from sipmesh.topology.versions.load_published import load_published

    return load_published(publication_of(place, number), place.folder)


def publish_first(place: Place, why: str) -> Version:
    """Publish version 1, which needs no running server; returns the version. Raises `OperatorError`."""
    from sipmesh.server.control_socket import this_operator
    from sipmesh.server.management.publishing.offline_publish import publish_first as first

    return first(place.file, this_operator(), why, datetime.now(UTC))


def management_socket(place: Place) -> Path:
    """Return the control socket of the management server of this machine; raises `OperatorError` if none runs."""
    socket = running_management(place)
    if socket is None:
        named = managers(place)
        remedy = f"start it: sipmesh serve {named[0]}" if named else "add a pool of role management"
        if not _ever_published(place) and place.in_force().number:
            remedy = f"run this command on the machine of {named[0]}"
        raise OperatorError(f"no management server runs on this machine; {remedy}")
    return socket


def _ever_published(place: Place) -> bool:

    return has_management_db(place.folder) and management_db_of(place).history.head() is not None


def _say_first(first: Version, *, as_json: bool) -> None:
    if as_json:
        say_json(PublishedReport(first.number, at_rest=True))
        return
    say(f"Version {first.number} is published.", style=GOOD)
    say("Start the management server, then the other servers: sipmesh serve NAME")


def _say_changes(base: int, changes: Sequence[str]) -> None:
    say(f"Since version {base}:" if changes else f"Nothing has changed since version {base}.")
    say(*(f"  {line}" for line in changes))


def _say_plan(plan: Plan) -> None:
    _say_changes(plan.base, plan.changes)
    for danger in (*plan.dangers, *plan.grants):
        say(f"  DANGER: {danger}", style=BAD)


def _follow(socket: Path, published: PutInForce, wait: float, began: float, *, as_json: bool) -> None:
    """Print that a version is published, and wait at most *wait* seconds until it is in force everywhere.

    *began* is when the command began, on the monotonic clock. Raises `typer.Exit` with 1 if a server is missing.
    """
    from sipmesh.server.management.replies import ACKNOWLEDGED, Acknowledgement

    number = published.version
    if not as_json:
        say(f"Version {number} is published.", style=GOOD)
    acknowledged = Acknowledgement(number, (), (), 0)
    if wait:
        acknowledged = ask_one(socket, ACKNOWLEDGED, wait + 5, version=number, wait_s=wait)
    took = time.monotonic() - began
    missing, new = acknowledged.missing, acknowledged.new
    if as_json:
        facts = (number, published.changes, published.forced, published.closed)
        say_json(PublishedReport(*facts, missing, new, round(took, 3)))
    elif missing:
        say(f"NOT yet in force on {', '.join(missing)}; see: sipmesh status", style=WARN)
    elif wait:
        say(f"In force on {plural(acknowledged.servers, 'server')} after {took:.2f} s.", style=GOOD)
    if new and not as_json:
        say(f"Not started yet: {', '.join(new)}.", style="dim")
    if missing:
        raise typer.Exit(1)
