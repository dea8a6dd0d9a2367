"""`sipmesh topology dns` and `dns check`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from sipmesh.cli.output import cell, say, say_document, say_json, show, table
from sipmesh.cli.place import HERE, AsJson, Place, TopologyFile
from sipmesh.cli.topology.dns.findings import say_findings
from sipmesh.topology.builder.dns_records import DnsRecord, Purpose, dns_records

if TYPE_CHECKING:
    from sipmesh.topology.builder.dns_findings import DnsFinding
    from sipmesh.topology.document.load import Loaded
    from sipmesh.topology.document.model import Topology

app = typer.Typer(help="The DNS records that the topology needs, and whether DNS has them.")


class Format(StrEnum):
    """How records are printed."""

    TABLE = "table"
    BIND = "bind"
    NSUPDATE = "nsupdate"


@dataclass(frozen=True, slots=True)
class DnsReport:
    """What ``sipmesh topology dns check --json`` prints: *servers* were asked, *good* says whether everything is right."""

    servers: Sequence[str]
    good: bool
    findings: Sequence[DnsFinding]


For = Annotated[
    list[Purpose] | None,
    typer.Option("--for", help="Only the records for phones, partners or servers. By default all."),
]
Version = Annotated[int, typer.Option(min=0, help="The version to use. By default 0, the draft.")]


@app.callback(invoke_without_command=True)
def dns(
    context: typer.Context,
    *,
    style: Annotated[
        Format, typer.Option("--format", help="A table, lines for a zone file, or a script for nsupdate.")
    ] = Format.TABLE,
    purpose: For = None,
    version: Version = 0,
    topology: TopologyFile = HERE,
    as_json: AsJson = False,
) -> None:
    """Print the DNS records that the topology needs: SRV and NAPTR of the SIP domains, addresses of servers and of the edge.

    With `dane: true` in the topology also TLSA records.
    """
    if context.invoked_subcommand is not None:
        return
    place = Place(topology)
    loaded = _loaded(place, version)
    records = _records(place, loaded, purpose)
    if as_json:
        say_json(records)
    elif style is Format.TABLE:
        _show(records)
    else:
        from sipmesh.topology.builder.zone_text import bind_text, nsupdate_text

        lines = (bind_text if style is Format.BIND else nsupdate_text)(records, loaded.topology)
        say_document("\n".join([*lines, ""]))


def _loaded(place: Place, version: int) -> Loaded:
    from sipmesh.cli.topology.publish import loaded_version

    return loaded_version(place, version) if version else place.load()


def _records(place: Place, loaded: Loaded, purpose: Sequence[Purpose] | None) -> Sequence[DnsRecord]:
    from sipmesh.server.certificates.presented_chains import tlsa_data

    records = dns_records(loaded.topology, tlsa_data(loaded, place.generations))
    return [record for record in records if not purpose or record.purpose in purpose]


def _show(records: Sequence[DnsRecord]) -> None:
    made = table("", "name", "type", "data", "for")
    for record in records:
        made.add_row(*map(cell, (record.name, record.type, record.data or "any address", record.purpose)))
    show(made)


@app.command()
def check(
    *,
    server: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ADDRESS[:PORT]",
            help="The name server to ask; may be repeated. By default those of the topology, else those of this machine.",
        ),
    ] = None,
    each_server: Annotated[
        bool,
        typer.Option(
            "--each-server",
            help="Ask from each front end and edge, at the name servers that it uses; needs a running management server.",
        ),
    ] = False,
    purpose: For = None,
    topology: TopologyFile = HERE,
    as_json: AsJson = False,
) -> None:
    """Ask DNS for every record that the version in force needs, and for those of partners that are found by DNS.

    It asks from this machine, or with --each-server from all servers, by a signed order of management. It shows missing and stale
    records, the DNSSEC status of each answer as the resolver says it, and the remedy of a difference.

    Exit codes: 0 if everything is right, 1 otherwise.
    """
    from sipmesh.topology.builder.dns_findings import State

    place = Place(topology)
    loaded = place.in_force()
    records = _with_partners(place, loaded, purpose)
    if each_server:
        from sipmesh.cli.topology.dns.each_server import check_from_each

        raise typer.Exit(check_from_each(place, loaded, records, as_json=as_json))
    findings, shown = seen_in_dns(loaded.topology, records, server)
    good = all(finding.state is State.GOOD for finding in findings)
    if as_json:
        say_json(DnsReport(shown, good, findings))
    else:
        _say(findings, shown)
    raise typer.Exit(0 if good else 1)


def _with_partners(place: Place, loaded: Loaded, purpose: Sequence[Purpose] | None) -> Sequence[DnsRecord]:
    """Return the records that the network needs, and those of partners that are found by DNS."""
    from sipmesh.topology.builder.dns_records import partner_records

    records = [*_records(place, loaded, purpose)]
    if not purpose or Purpose.SERVERS in purpose:
        records += partner_records(loaded.topology)
    return records


def needed_records(place: Place, loaded: Loaded) -> Sequence[DnsRecord]:
    """Return every record that the network of *loaded* needs, those of its partners too."""
    return _with_partners(place, loaded, None)


def seen_in_dns(
    topology: Topology, records: Sequence[DnsRecord], server: Sequence[str] | None = None
) -> tuple[Sequence[DnsFinding], Sequence[str]]:
    """Ask DNS for *records*, at the name servers *server*, or at those of *topology*, or of this machine.

    Returns the findings, and the name servers in words. Raises `OperatorError` if this machine has no name server.
    """
    from sipmesh.server.process.dns_lookups import look_up, name_servers
    from sipmesh.topology.builder.dns_findings import compare, questions

    servers = name_servers(server or (topology.dns.servers if topology.dns is not None else ()))
    findings = compare(records, look_up(questions(records), servers))
    return findings, [f"{host} port {port}" for host, port in servers]


def _say(findings: Sequence[DnsFinding], servers: Sequence[str]) -> None:
    say(f"As {', '.join(servers)} say{'s' if len(servers) == 1 else ''}:", style="bold")
    say_findings(findings)
