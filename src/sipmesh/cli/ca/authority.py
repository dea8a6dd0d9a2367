"""`sipmesh ca`: the enterprise CA, from its state to a revocation that is in force everywhere on this machine."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sipmesh.cli.control_client import Link, links_of, reload, say_reloaded
from sipmesh.cli.output import BAD, GOOD, WARN, cell, duration, plural, say, say_json, show, table
from sipmesh.cli.place import HERE, AsJson, Place, TopologyFile
from sipmesh.cli.topology.remote_servers import note, say_given
from sipmesh.errors import OperatorError
from sipmesh.pki.crl.builder import Reason
from sipmesh.pki.issuance.profiles import CertificateKind
from sipmesh.storage.audit_act import AuditAct
from sipmesh.trust.role import Role

if TYPE_CHECKING:
    from sipmesh.pki.authority import EnterpriseCa
    from sipmesh.pki.ca_rotation import CaGenerations
    from sipmesh.pki.ledger import Record
    from sipmesh.pki.status import CaStatus, CertificateStatus, ListStatus
    from sipmesh.topology.document.load import Loaded

app = typer.Typer(help="Your certificate authority.", no_args_is_help=True)

SOON = timedelta(days=7)
"""A certificate with less time than this is shown as one to renew."""

DAYS = 30
MOST_DAYS = 397


@app.command()
def status(
    *,
    topology: TopologyFile = HERE,
    as_json: AsJson = False,
    everything: Annotated[
        bool, typer.Option("--all", help="Show expired certificates and abandoned CAs also.")
    ] = False,
) -> None:
    """Show every certificate and revocation list with its remaining time."""
    found = Place(topology).ca().status(datetime.now(UTC))
    if as_json:
        say_json(_status_json(found))
        return
    held = found.certificates
    shown = [one for one in held if everything or one.state not in {"expired", "abandoned"}]
    say(f"The CA of {found.organisation}, in {found.folder}", style="bold")
    show(_certificates_table(shown))
    show(_lists_table(found))
    if len(shown) < len(held):
        say(f"{len(held) - len(shown)} expired or abandoned are not shown. To show them: --all", style="dim")


def _certificates_table(held: list[CertificateStatus]) -> Any:
    made = table("Certificates", "for", "kind", "serial", "state", "until", "left")
    for one in held:
        record = one.record
        made.add_row(
            cell(record.names[0] if record.names else None),
            cell(record.kind),
            cell(record.serial_hex),
            cell(_state(one), _style(one)),
            cell(f"{record.not_after:%Y-%m-%d %H:%M}Z"),
            cell(duration(one.left), WARN if one.state == "valid" and one.left < SOON else ""),
        )
    return made


def _state(one: CertificateStatus) -> str:
    return f"{one.state} ({one.record.reason})" if one.record.reason else str(one.state)


def _style(one: CertificateStatus) -> str:
    return GOOD if one.state == "valid" else BAD if one.state == "revoked" else WARN


def _lists_table(found: CaStatus) -> Any:
    made = table("Revocation lists", "of", "file", "number", "revoked", "until", "left", "")
    for one in found.lists:
        made.add_row(
            cell(f"{one.kind} CA"),
            cell(one.file),
            cell(one.made.number if one.made else None),
            cell(one.revoked),
            cell(f"{one.made.next_update:%Y-%m-%d %H:%M}Z" if one.made else None),
            cell(duration(one.left) if one.left is not None else None),
            cell("renew: sipmesh ca crl" if one.due else "in force", WARN if one.due else GOOD),
        )
    return made


def _status_json(found: CaStatus) -> dict[str, Any]:
    return {
        "organisation": found.organisation,
        "folder": str(found.folder),
        "at": found.at.isoformat(),
        "certificates": [_certificate_json(one) for one in found.certificates],
        "lists": [_list_json(one) for one in found.lists],
    }


def _certificate_json(one: CertificateStatus) -> dict[str, Any]:
    record = one.record
    return {
        "kind": record.kind,
        "names": list(record.names),
        "serial": record.serial_hex,
        "state": str(one.state),
        "reason": record.reason,
        "not_before": record.not_before.isoformat(),
        "not_after": record.not_after.isoformat(),
        "left_s": int(one.left.total_seconds()),
    }


def _list_json(one: ListStatus) -> dict[str, Any]:
    return {
        "of": str(one.kind),
        "file": str(one.file),
        "number": one.made.number if one.made else None,
        "revoked": one.revoked,
        "next_update": one.made.next_update.isoformat() if one.made else None,
        "left_s": int(one.left.total_seconds()) if one.left is not None else None,
        "due": one.due,
    }


@app.command()
def issue(
    server: Annotated[str, typer.Argument(help="A server of the topology.")] = "",
    *,
    every: Annotated[bool, typer.Option("--all", help="Issue for every server of the topology.")] = False,
    days: Annotated[int, typer.Option(min=1, max=MOST_DAYS, help="The validity of the certificate.")] = DAYS,
    topology: TopologyFile = HERE,
) -> None:
    """Issue a certificate and a key with the server's names from the topology, and write them to their files."""
    if bool(server) == every:
        raise typer.BadParameter("name a server, or give --all")
    place = Place(topology)
    loaded, ca, now = place.load(), place.ca(), datetime.now(UTC)
    before = links_of(place)
    names = [one.name for pool in loaded.topology.pools for one in pool.servers] if every else [server.lower()]
    away = [name for name in names if _has_its_key_elsewhere(loaded, place.generations(), name)]
    if away and not every:
        remedy = (
            "a running server renews its certificate itself; for a stopped server, run on its machine: sipmesh join "
            f"request {away[0]}"
        )
        raise OperatorError(f"the key of {away[0]} is not on this machine; {remedy}")
    for name in names:
        if name in away:
            say(
                f"{name}: not issued. Its key is on another machine, and the server there renews its certificate itself.",
                style="dim",
            )
            continue
        issued = issue_for(loaded, ca, name, now, timedelta(days=days))
        note(place, AuditAct.ISSUE, server=name, serial=f"{issued.serial_number:x}", days=days)
        say(f"{name}: serial {issued.serial_number:x}, valid for {plural(days, 'day')}.", style=GOOD)
    say_reloaded(reload(place, before))


def _has_its_key_elsewhere(loaded: Loaded, generations: CaGenerations, name: str) -> bool:
    """Whether a server ever had a certificate, and no key here: then another key here would be of no use to it."""
    pool = loaded.topology.pool_of(name)
    server = next((one for one in pool.servers if one.name == name), None) if pool is not None else None
    if server is None or (loaded.folder / server.key_file).exists():
        return False
    return any(one.kind == CertificateKind.SERVER and name in one.names[:1] for one in generations.records())


def issue_for(loaded: Loaded, ca: EnterpriseCa, name: str, now: datetime, lifetime: timedelta | None = None) -> Any:
    """Issue for one server and write the files that the topology names; returns the certificate.

    A management server gets a signer as well, which lives as long as signers do, whatever *lifetime* says.
    """
    from sipmesh.topology.view import certificate_names, unknown_server

    pool = loaded.topology.pool_of(name)
    if pool is None:
        raise unknown_server(loaded.topology, name, loaded.file)
    server = next(one for one in pool.servers if one.name == name)
    names = certificate_names(loaded.topology, name)
    issued = ca.issue(names, pool.role, now, lifetime or timedelta(days=DAYS))
    issued.write(loaded.folder / server.certificate_file, loaded.folder / server.key_file)
    if pool.role is Role.MANAGEMENT:
        signer = ca.issue_signer(name, now)
        signer.write(loaded.folder / server.signer_certificate_file, loaded.folder / server.signer_key_file)
    return issued.certificate


@app.command()
def revoke(
    server: Annotated[
        str, typer.Argument(help="Revoke every valid certificate of this server, its document signer included.")
    ] = "",
    serial: Annotated[str, typer.Option(metavar="HEX", help="Revoke the certificate with this serial only.")] = "",
    reason: Annotated[Reason, typer.Option(help="The reason that the revocation list gives.")] = Reason.UNSPECIFIED,
    topology: TopologyFile = HERE,
) -> None:
    """Revoke certificates: sign a new revocation list, send it to all running servers, and close the links."""
    if bool(server) == bool(serial):
        raise typer.BadParameter("name a server, or give a --serial")
    place = Place(topology)
    generations, now = place.generations(), datetime.now(UTC)
    serials = [_read_serial(serial)] if serial else [one.serial for one in _valid_of(generations, server.lower(), now)]
    before = links_of(place)
    for number in serials:
        record = generations.owner_of(number).revoke(number, reason, now)
        what = f"the document signer of {record.names[0]}" if record.kind == CertificateKind.SIGNER else record.names[0]
        note(place, AuditAct.REVOKE, server=record.names[0], serial=record.serial_hex, because=str(record.reason))
        say(f"Revoked: serial {record.serial_hex} of {what} ({record.reason}).", style=GOOD)
    _say_in_force(place, before)
    if server:
        say(
            f"Remove the old key from the machine first. Then get a new certificate: {_for_a_new_one(place, server.lower())}"
        )


def _for_a_new_one(place: Place, name: str) -> str:
    with suppress(OperatorError):  # the topology may name it no more, or be out of order
        if _has_its_key_elsewhere(place.load(), place.generations(), name):
            return f"on its machine: sipmesh join request {name}"
    return f"sipmesh ca issue {name}"


def _read_serial(text: str) -> int:
    try:
        return int(text.replace(":", ""), 16)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no serial number; to see them in hex: sipmesh ca status") from None


def _valid_of(generations: CaGenerations, name: str, now: datetime) -> list[Record]:
    """What a server may still be known by; raises `OperatorError` where there is nothing to revoke."""
    leaves = {CertificateKind.SERVER, CertificateKind.SIGNER}
    held = [one for one in generations.records() if one.kind in leaves and name in one.names[:1]]
    valid = [one for one in held if one.revoked_at is None and one.not_after > now]
    if not valid:
        known = "all its certificates are revoked or expired" if held else "this CA has issued no certificate for it"
        raise OperatorError(f"{name} has no certificate to revoke: {known}; see: sipmesh ca status --all")
    return valid


@app.command()
def crl(topology: TopologyFile = HERE) -> None:
    """Sign new revocation lists.

    A running server with the CA folder does this itself, each day. A root whose key is on another machine is left out; its list
    needs `ca root request`.
    """
    place = Place(topology)
    now, before = datetime.now(UTC), links_of(place)
    for ca in place.generations().alive:
        for kind in (CertificateKind.ROOT, CertificateKind.ISSUING):
            if kind is CertificateKind.ROOT and not ca.crls.has_key(kind):
                list_file = ca.folder / "root.crl"
                say(
                    f"{list_file}: not signed. The root's key is on another machine: sipmesh ca root request list FILE",
                    style="dim",
                )
                continue
            file, number = ca.crls.publish(now, kind), _number(ca, kind, now)
            note(place, AuditAct.LIST, file=str(file.relative_to(place.folder)), number=number)
            say(f"{file}: revocation list {number} of the {kind} CA.", style=GOOD)
    _say_in_force(place, before)


def _say_in_force(place: Place, before: list[Link]) -> None:
    """New lists are in force: on this machine, and where management gives them to."""
    told = reload(place, before, "files-changed")
    say_reloaded(told)
    say_given(place, [*told.taken, *(one.server for one in told.refused)])


def _number(ca: EnterpriseCa, kind: object, now: datetime) -> int | None:
    return next((one.made.number for one in ca.status(now).lists if one.kind == kind and one.made), None)
