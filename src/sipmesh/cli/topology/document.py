"""`sipmesh topology check`, `show` and `schema`: the problems and the content of the topology."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from sipmesh.cli.output import (
    GOOD,
    WARN,
    cell,
    plural,
    say,
    say_document,
    say_json,
    say_problems,
    show,
    table,
)
from sipmesh.cli.place import HERE, AsJson, Place, TopologyFile
from sipmesh.cli.topology.publish import Unpublished, show_version, unpublished
from sipmesh.errors import OperatorError, Problem

if TYPE_CHECKING:
    from sipmesh.cli.topology.reports import CheckReport, OpenerReport, ViewReport
    from sipmesh.topology.builder.border_crossings import Crossing
    from sipmesh.topology.document.listeners import ListenerSpec
    from sipmesh.topology.document.load import Loaded
    from sipmesh.topology.view import ServerView

app = typer.Typer(help="The topology: the signed document that names all servers and partners.", no_args_is_help=True)


@app.command()
def check(*, topology: TopologyFile = HERE, as_json: AsJson = False) -> None:
    """Show all problems of the topology, its anchors, its CRLs and the certificates on this machine.

    It also lists what crosses the border of a machine, such as links, databases and fetches, and what protects each.

    In a network with management this checks the draft, and shows how it differs from the published version. No database is
    opened.
    """
    from sipmesh.cli.topology.reports import CheckReport
    from sipmesh.topology.builder.border_crossings import crossings
    from sipmesh.topology.document.load import check as read

    now = datetime.now(UTC)
    try:
        loaded, stale = read(topology, at=now)
    except OperatorError as wrong:
        if not as_json:
            raise
        say_json(CheckReport(ok=False, problems=wrong.problems, warnings=()))
        raise typer.Exit(1) from None
    warnings = (*stale, *certificates_in_need(loaded, now), *losses(Place(topology), loaded))
    pending = unpublished(Place(topology), loaded)
    found = tuple(crossings(loaded.topology))
    if as_json:
        say_json(_good(warnings, pending, found))
        return
    say(f"{topology} is valid: {_in_numbers(loaded)}.", style=GOOD)
    _say_pending(pending)
    _say_crossings(found)
    if warnings:
        say(f"{plural(len(warnings), 'warning')}:", style=WARN)
        say_problems(warnings)


def losses(place: Place, loaded: Loaded) -> Iterator[Problem]:
    """Yield what a failover of the databases loses; only databases that are in force, and that the draft keeps, are asked."""
    from sipmesh.storage.durability import what_a_failover_loses

    try:
        in_force, now = place.in_force().topology.storage, loaded.topology.storage
    except OperatorError:  # nothing is in force
        return
    for field, what in (("messages", "stored messages"), ("users", "users"), ("calls", "records of calls")):
        url = getattr(now, field)
        if url != getattr(in_force, field):
            continue
        try:
            for reason, remedy in what_a_failover_loses(url, what):
                yield Problem(loaded.file, 0, f"storage.{field}", reason, remedy)
        except OperatorError as wrong:
            yield Problem(loaded.file, 0, f"storage.{field}", wrong.message, "repair the database, or the way to it")


def _say_crossings(found: Sequence[Crossing]) -> None:
    """Show what crosses the border of a machine, first what is not protected."""
    shown = table("Across the border of a machine:", "what", "where", "protection")
    for one in sorted(found, key=lambda one: not one.weakness):
        shown.add_row(cell(one.what), cell(one.where), cell(one.weakness or one.protection))
    show(shown)


def _good(warnings: Sequence[Problem], pending: Unpublished, found: Sequence[Crossing]) -> CheckReport:
    from sipmesh.cli.topology.reports import CheckReport, DraftReport

    if pending.base:
        base, changes = pending.base, pending.changes
        return DraftReport(
            ok=True, problems=(), warnings=warnings, published=base, unpublished=changes, crossings=found
        )
    return CheckReport(ok=True, problems=(), warnings=warnings, crossings=found)


def _say_pending(pending: Unpublished) -> None:
    if pending.changes:
        say(f"The draft differs from version {pending.base}, which is published:", style=WARN)
        say(*(f"  {change}" for change in pending.changes), '  to publish the draft: sipmesh topology publish -m "why"')
    elif pending.base:
        say(f"The draft equals version {pending.base}, which is published.")


def _in_numbers(loaded: Loaded) -> str:
    topology = loaded.topology
    servers = sum(len(pool.servers) for pool in topology.pools)
    parts = (
        plural(len(topology.sip_domains), "SIP domain"),
        plural(len(topology.pools), "pool"),
        plural(servers, "server"),
        plural(len(topology.federation.partners), "partner"),
    )
    return ", ".join(parts)


def certificates_in_need(loaded: Loaded, now: datetime) -> Iterator[Problem]:
    """Yield the certificates on this machine that lack a name of their server, or have expired."""
    from sipmesh.topology.document.named_files.read import UnusableFileError
    from sipmesh.topology.document.named_files.trust_anchors import read_certificates
    from sipmesh.topology.view import certificate_names
    from sipmesh.trust.x509.sip_identity import identities

    for server in loaded.topology.servers:
        file, remedy = loaded.folder / server.certificate_file, f"sipmesh ca issue {server.name}"
        if not file.exists():
            continue
        try:
            leaf = read_certificates(file)[0]
        except UnusableFileError as wrong:
            yield Problem(file, 0, "", str(wrong), remedy)
            continue
        missing = [
            name for name in certificate_names(loaded.topology, server.name) if name not in identities(leaf).usable
        ]
        if missing:
            yield Problem(file, 0, "", f"lacks {', '.join(missing)}", remedy)
        if leaf.not_valid_after_utc < now:
            yield Problem(file, 0, "", f"ended {leaf.not_valid_after_utc:%Y-%m-%d %H:%M}Z", remedy)


@app.command("show")
def show_topology(
    what: Annotated[
        str,
        typer.Argument(
            metavar="[SERVER|VERSION]",
            help="A server, to show its view of the network; or a version number. By default the whole network.",
        ),
    ] = "",
    *,
    topology: TopologyFile = HERE,
    as_json: AsJson = False,
) -> None:
    """Show the network in force: servers, where they listen, which peer may open which link, and the partners."""
    from sipmesh.database.masked import masked

    place = Place(topology)
    if what.isdecimal():  # a version: the name of a server has a dot
        show_version(place, int(what), as_json=as_json)
        return
    if what:
        _show_server(place.view(what), as_json=as_json)
        return
    loaded = place.in_force()
    if as_json:
        dumped = loaded.topology.model_dump(mode="json")
        dumped["storage"] = {
            key: masked(value) if isinstance(value, str) else value for key, value in dumped["storage"].items()
        }
        say_json({"version": loaded.number or None, "digest": loaded.digest, **dumped})
    else:
        _show_all(loaded)


def _show_all(loaded: Loaded) -> None:
    from sipmesh.topology.view import view

    topology = loaded.topology
    version = f", version {loaded.number}" if loaded.number else ""
    say(f"{topology.organisation}{version}: users of {', '.join(topology.sip_domains)}", style="bold")
    made = table("", "pool", "role", "server", "address", "listens", "links come from")
    for pool in topology.pools:
        for server in pool.servers:
            seen = view(loaded, server.name)
            ports = ", ".join(f"{spec.key} {spec.port}" for spec in seen.listeners)
            openers = ", ".join(sorted({name for spec in seen.listeners for name in _openers(seen, spec)}))
            role = str(pool.role)
            made.add_row(*map(cell, (pool.name, role, server.name, server.address or "DNS", ports, openers)))
    show(made)
    _say_federation(loaded)


def _openers(view: ServerView, spec: ListenerSpec) -> frozenset[str]:
    from sipmesh.trust.evidence import LinkKind

    is_for_phones = spec.kind is LinkKind.CLIENT
    return frozenset({"phones"}) if is_for_phones else view.accept_policy(spec.kind, spec.key).may_open


def _say_federation(loaded: Loaded) -> None:
    federation = loaded.topology.federation
    for partner in federation.partners:
        edge = f"edge {partner.edge}" if partner.edge else "reached" if partner.address else "found by SRV"
        way = f"{edge} at {partner.address}" if partner.address else edge
        say(f"  partner {', '.join(partner.domains)}: {way}, through {federation.route}")
    if federation.blocked:
        say(f"  blocked: {', '.join(federation.blocked)}")
    if not federation.partners:
        say("  no partners", style="dim")


def _show_server(view: ServerView, *, as_json: bool) -> None:
    from sipmesh.cli.topology.reports import OpenerReport

    report = _report(view)
    if as_json:
        say_json(report)
        return
    say(f"{view.name}, {view.role} in {view.pool.name}", style="bold")
    say(f"  certificate  {view.certificate}", f"  names in it  {', '.join(view.names)}")
    made = table("", "port", "for", "bound to", "opened by", "may speak for")
    for listener in report.listeners:
        for opener in listener.may_open or [OpenerReport(None, ())]:
            asserts = ", ".join(opener.asserts)
            made.add_row(*map(cell, (listener.port, listener.kind, listener.host, opener.name, asserts)))
    show(made)


def _report(view: ServerView) -> ViewReport:
    from sipmesh.cli.topology.reports import ListenerReport, ViewReport

    listeners = [
        ListenerReport(spec.key, spec.host, spec.port, spec.name, list(_may_open(view, spec)))
        for spec in view.listeners
    ]
    return ViewReport(view.name, str(view.role), view.pool.name, view.certificate, view.names, listeners)


def _may_open(view: ServerView, spec: ListenerSpec) -> Iterator[OpenerReport]:
    """Yield the peers that may open links to the port *spec*."""
    from sipmesh.cli.topology.reports import OpenerReport

    peers = {peer.name: peer for peer in (*view.trusted.values(), *(partner.peer for partner in view.partners))}
    for name in sorted(_openers(view, spec)):
        yield OpenerReport(name, sorted(peers[name].asserts) if name in peers else ())


@app.command()
def schema() -> None:
    """Print the JSON Schema of the topology, for editors and programs."""
    from sipmesh.topology.document.schema import schema_text

    say_document(schema_text())
