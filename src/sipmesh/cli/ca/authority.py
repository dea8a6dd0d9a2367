"""`sipmesh ca`: the enterprise CA: its certificates and CRLs, and how to issue and revoke."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sipmesh.cli.ca.ask_first import Yes, ask_first
from sipmesh.cli.ca.devices import DeviceFile, DeviceWish, issue_for_device
from sipmesh.cli.control_client import links_of, reload, say_reloaded
from sipmesh.cli.output import BAD, GOOD, WARN, Grid, cell, duration, plural, say, say_json, show, table
from sipmesh.cli.place import HERE, AsJson, Place, TopologyFile
from sipmesh.cli.topology.remote_servers import audit_of, note, reported_servers, say_given
from sipmesh.cli.users.passwords import FromStdin
from sipmesh.errors import OperatorError
from sipmesh.pki.crl.builder import Reason
from sipmesh.pki.issuance.profiles import DEVICE_LIFETIME, CertificateKind
from sipmesh.storage.audit_act import AuditAct

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sipmesh.pki.ca_rotation import CaGenerations
    from sipmesh.pki.ledger.records import Record
    from sipmesh.pki.status import CaStatus, CertificateStatus
    from sipmesh.server.admin.replies import LinkReply

app = typer.Typer(help="Your certificate authority.", no_args_is_help=True)


class KeyType(StrEnum):
    """The types of keys that a certificate may have."""

    ECDSA = "ecdsa"
    RSA = "rsa"


SOON = timedelta(days=7)
NEARLY = 0.8
"""The part of its largest size from which a CRL of ours causes a warning."""
"""A certificate with less time than this is shown as a certificate to renew."""

DAYS = 30
MOST_DAYS = 396


@app.command()
def status(
    *,
    topology: TopologyFile = HERE,
    as_json: AsJson = False,
    everything: Annotated[
        bool, typer.Option("--all", help="Show expired certificates and abandoned CAs also.")
    ] = False,
) -> None:
    """Show every certificate and CRL with its remaining time."""
    from sipmesh.cli.ca.reports import CaReport

    found = Place(topology).ca().status(datetime.now(UTC))
    if as_json:
        say_json(CaReport.of(found))
        return
    issued = found.certificates
    shown = [status for status in issued if everything or status.state not in {"expired", "abandoned"}]
    say(f"The CA of {found.organisation}, in {found.folder}", style="bold")
    show(_certificates_table(shown))
    show(_lists_table(found))
    for row in found.changed:
        say(f"The CA's ledger was changed: {row}", style=BAD)
    if len(shown) < len(issued):
        say(f"{len(issued) - len(shown)} expired or abandoned are not shown. To show them: --all", style="dim")


def _certificates_table(issued: Sequence[CertificateStatus]) -> Grid:
    made = table("Certificates", "for", "kind", "serial", "state", "until", "left")
    for status in issued:
        record = status.record
        made.add_row(
            cell(_called(record) if record.names else None),
            cell(record.kind),
            cell(record.serial_hex),
            cell(_state(status), _style(status)),
            cell(f"{record.not_after:%Y-%m-%d %H:%M}Z"),
            cell(duration(status.left), WARN if status.state == "valid" and status.left < SOON else ""),
        )
    return made


def _state(status: CertificateStatus) -> str:
    return f"{status.state} ({status.record.reason})" if status.record.reason else str(status.state)


def _style(status: CertificateStatus) -> str:
    return GOOD if status.state == "valid" else BAD if status.state == "revoked" else WARN


def _lists_table(found: CaStatus) -> Grid:
    made = table("CRLs", "of", "file", "number", "revoked", "until", "left", "")
    for crl_status in found.lists:
        signed, left = crl_status.made, crl_status.left
        made.add_row(
            cell(f"{crl_status.kind} CA"),
            cell(crl_status.file),
            cell(signed.number if signed else None),
            cell(crl_status.revoked),
            cell(f"{signed.next_update:%Y-%m-%d %H:%M}Z" if signed else None),
            cell(duration(left) if left is not None else None),
            cell("renew: sipmesh ca crl" if crl_status.due else "in force", WARN if crl_status.due else GOOD),
        )
    return made


@app.command()
def issue(
    server: Annotated[str, typer.Argument(help="A server of the topology.")] = "",
    *,
    every: Annotated[bool, typer.Option("--all", help="Issue for every server of the topology.")] = False,
    days: Annotated[
        int,
        typer.Option(
            min=0,
            max=MOST_DAYS,
            show_default=False,
            help="The validity of the certificate: by default 30, for a device 180.",
        ),
    ] = 0,
    key: Annotated[
        KeyType, typer.Option(help="The type of the key. rsa: a further certificate, for phones that support RSA only.")
    ] = KeyType.ECDSA,
    address: Annotated[
        list[str] | None,
        typer.Option(
            metavar="IP", help="A further certificate, for phones that are given this IP address. May be repeated."
        ),
    ] = None,
    user: Annotated[
        str, typer.Option(metavar="USER", help="Issue for a device of this user instead, with --device.")
    ] = "",
    device: Annotated[str, typer.Option(metavar="NAME", help="The name of the device, such as desk.")] = "",
    request: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="A signing request (PKCS #10) of the device, which has made the key."),
    ] = None,
    form: Annotated[
        DeviceFile, typer.Option("--format", help="The file of a device: p12 has a passphrase, pem has none.")
    ] = DeviceFile.P12,
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="The new file of a device.")] = None,
    password_stdin: FromStdin = False,
    topology: TopologyFile = HERE,
) -> None:
    """Issue a certificate and a key with the server's names from the topology, and write them to their files.

    With --key rsa or --address, the server keeps its own certificate, and phones get the further one beside it.

    With --user and --device, the certificate is that of a device. It proves its user on client ports with `client_auth`, in place
    of the password. With --request, the device has made the key, and the file has certificates only.
    """
    from sipmesh.server.management.issuing import has_its_key_elsewhere, issue_for

    place = Place(topology)
    if user or device:
        if server or every or not (user and device):
            raise typer.BadParameter("name a user and a device: --user alice --device desk")
        rsa, given = key is KeyType.RSA, days or DEVICE_LIFETIME.days
        issue_for_device(place, DeviceWish(user, device, given, rsa, request, form, out, password_stdin))
        return
    if bool(server) == every:
        raise typer.BadParameter("name a server, or give --all")
    days = days or DAYS
    if key is KeyType.RSA or address:
        if every:
            raise typer.BadParameter("name a server: a certificate for clients is issued for one front end")
        issue_for_clients(place, server.lower(), key, address or (), days)
        return
    loaded, ca, now = place.load(), place.ca(), datetime.now(UTC)
    before = links_of(place)
    names = loaded.topology.server_names if every else (server.lower(),)
    away = [name for name in names if has_its_key_elsewhere(loaded, place.generations(), name)]
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
        issued = issue_for(loaded, ca, name, now, timedelta(days=days), note=partial(note, place)).certificate
        say(f"{name}: serial {issued.serial_number:x}, valid for {plural(days, 'day')}.", style=GOOD)
    say_reloaded(reload(place, before))


def issue_for_clients(place: Place, name: str, key: KeyType, addresses: Sequence[str], days: int) -> None:
    """Issue a certificate that a front end presents to clients beside its own, and say how the topology names it."""
    from sipmesh.topology.document.listeners import has_clients
    from sipmesh.topology.view import certificate_names, unknown_server

    loaded, ca, now, before = place.load(), place.ca(), datetime.now(UTC), links_of(place)
    pool, server = loaded.topology.pool_of(name), loaded.topology.server(name)
    if pool is None or server is None:
        raise unknown_server(loaded.topology, name, loaded.file)
    if not has_clients(pool):
        raise OperatorError(
            f"{name} is of role {pool.role}; phones connect to front ends, and to edges with remote_users"
        )
    numbers = [ip_address_of(address) for address in addresses]
    issued = ca.issue_for_clients(
        certificate_names(loaded.topology, name), now, timedelta(days=days), rsa=key is KeyType.RSA, addresses=numbers
    )
    stem = f"servers/{name}.clients-rsa" if key is KeyType.RSA else f"servers/{name}.clients"
    files = f"{stem}.pem", f"{stem}.key"
    issued.write(*(loaded.folder / file for file in files))
    number = f"{issued.certificate.serial_number:x}"
    note(place, AuditAct.ISSUE, server=name, serial=number, days=days)
    say(f"{name}: serial {number}, for clients, valid for {plural(days, 'day')}: {files[0]}", style=GOOD)
    if files in [(pair.certificate, pair.key) for pair in server.files_for_clients]:
        say_reloaded(reload(place, before))
        return
    say(
        f"To present it, add to {name} in the topology, and publish:",
        f"  client_certificates: [{{certificate: {files[0]}, key: {files[1]}}}]",
    )


def ip_address_of(text: str) -> str:
    """Return an IP address in its normal form; raises `OperatorError` for any other text."""
    from pydantic_core import PydanticCustomError

    from sipmesh.topology.document.names import address

    try:
        return address(text)
    except PydanticCustomError as wrong:
        raise OperatorError(f"--address {wrong.message()}; write an IPv4 or IPv6 address") from None


@app.command()
def revoke(
    server: Annotated[
        str,
        typer.Argument(
            help="The server, operator or user whose valid certificates are revoked: also the document signer of a server, and "
            "all devices of a user."
        ),
    ] = "",
    serial: Annotated[
        str,
        typer.Option(
            metavar="HEX",
            help="Revoke the certificate with this serial only. With the name of its server also if the CA does not know it.",
        ),
    ] = "",
    reason: Annotated[Reason, typer.Option(help="The reason that the CRL gives.")] = Reason.UNSPECIFIED,
    *,
    device: Annotated[str, typer.Option(metavar="NAME", help="Revoke those of this device of the user only.")] = "",
    yes: Yes = False,
    topology: TopologyFile = HERE,
) -> None:
    """Revoke certificates: sign a new CRL, send it to all running servers, and close the links.

    The one-time tokens and the ACME accounts of the name end too, and it renews no earlier certificate by EST. Tickets of its
    computer enrol nothing, also if all its certificates have expired. For the next certificate it needs a new token.

    If the serial is that of an issuing CA, the command says what it ends, tries the links with partners, and asks.

    A certificate that the CA's ledger has lost is revoked too, if the audit log or a file on this host has it.
    """
    if not server and not serial:
        raise typer.BadParameter("name a server, or give a --serial")
    from sipmesh.pki.ledger.refusals import UnrecordedRevocationError
    from sipmesh.server.management.revoking import owner_of
    from sipmesh.server.management.revoking import revoke as revoke_certificate

    place, name = Place(topology), server if "@" in server else server.lower()
    generations, now, faults = place.generations(), datetime.now(UTC), list[OperatorError]()
    for owner, owned in [owner_of(generations, _read_serial(serial), name)] if serial else [(name, device)]:
        _end_enrolment_if_possible(place, owner, now, owned, faults)
    serials = {_read_serial(serial): name} if serial else _certificates_of(place, generations, name, now, device)
    _ask_before_a_ca_ends(place, generations, serials, yes=yes)
    before = links_of(place)
    noting = partial(_note_if_possible, place, faults)
    for number, lost in serials.items():
        try:
            record = revoke_certificate(generations, number, reason, now, noting, lost)
        except UnrecordedRevocationError as wrong:
            faults.append(wrong)
            record = wrong.records[-1]
        say(f"Revoked: serial {record.serial_hex} of {_called(record)} ({record.reason}).", style=GOOD)
    _say_in_force(place, before)
    if server:
        _say_what_is_left(place, generations, name)
        say(f"Remove the old key from the machine first. Then get a new certificate: {_for_a_new_one(place, name)}")
    if faults:
        raise faults[0]


def _called(record: Record) -> str:
    if record.kind == CertificateKind.DEVICE:
        return f"{' '.join(record.names[1:])} of {record.names[0]}"
    return f"the document signer of {record.names[0]}" if record.kind == CertificateKind.SIGNER else record.names[0]


def _ask_before_a_ca_ends(place: Place, generations: CaGenerations, serials: Iterable[int], *, yes: bool) -> None:
    """Ask before the certificate of an issuing CA is revoked: all certificates of that CA end with it."""
    for ca in generations.alive:
        for issuing, owners in ((ca.issuing, "servers, phones and partners"), (ca.devices, "client ports")):
            if issuing is not None and issuing.serial_number in serials:
                name = issuing.subject.rfc4514_string()
                told = f"{name} is an issuing CA: {owners} refuse each certificate that it has issued, at once."
                then = "There is another one only with a new root: sipmesh ca root prepare."
                ask_first(place, [told, then], yes=yes)


def _note_if_possible(place: Place, faults: list[OperatorError], act: AuditAct, /, **about: object) -> None:
    """Add a line to the audit log; an error becomes one of *faults*, since a revocation must not wait for the log."""
    try:
        note(place, act, **about)
    except OperatorError as wrong:
        faults.append(wrong)


def _end_enrolment_if_possible(
    place: Place, name: str, now: datetime, device: str, faults: list[OperatorError]
) -> None:
    """End the enrolment of a name, "" for none; an error becomes one of *faults*, as that of a line in the audit log does."""
    from sipmesh.cli.ca.devices import end_enrolment_of

    try:
        if name:
            end_enrolment_of(place, name, now, device)
    except OperatorError as wrong:
        faults.append(wrong)


def _say_what_is_left(place: Place, generations: CaGenerations, name: str) -> None:
    """Say if a server presents a certificate that no CRL lists: neither ledger nor audit log may have it."""
    for member in reported_servers(place):
        shown = member.certificate
        if member.server == name and shown is not None:
            _say_if_not_revoked(generations, name, int(shown.serial or "0", 16))


def _say_if_not_revoked(generations: CaGenerations, name: str, serial: int) -> None:
    """Say so if no CRL lists *serial*, which the server *name* has reported as that of its certificate: it may lie."""
    from sipmesh.pki.ledger.records import can_be_listed
    from sipmesh.server.management.revoking import is_listed

    if not can_be_listed(serial):
        say(f"{name} reports a certificate that cannot exist: do not trust its reports.", style=BAD)
        return
    if is_listed(generations, serial):
        return
    _ca, record = generations.as_issued({serial}).get(serial, (None, None))
    if record is not None and record.names[0] != name:
        say(f"{name} reports the certificate of {record.names[0]} as its own: do not trust its reports.", style=BAD)
        return
    say(f"{name} presents a certificate that is NOT revoked: sipmesh ca revoke {name} --serial {serial:x}", style=BAD)


def _for_a_new_one(place: Place, name: str) -> str:
    issued = [record.kind for record in place.generations().records() if name in record.names[:1]]
    if CertificateKind.DEVICE in issued:
        return f"sipmesh ca issue --user {name} --device NAME"
    if CertificateKind.OPERATOR in issued:
        return f"sipmesh console certificate {name}"
    from sipmesh.server.management.issuing import has_its_key_elsewhere

    with suppress(OperatorError):  # the topology may not name the server now, or may have problems
        if has_its_key_elsewhere(place.load(), place.generations(), name):
            return f"on its machine: sipmesh join request {name}"
    return f"sipmesh ca issue {name}"


def _read_serial(text: str) -> int:
    try:
        return int(text.replace(":", ""), 16)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no serial number; to see them in hex: sipmesh ca status") from None


def _certificates_of(
    place: Place, generations: CaGenerations, name: str, now: datetime, device: str = ""
) -> dict[int, str]:
    """Return the serials to revoke of a server, operator or user, each with its name, also those that the ledger has lost.

    Raises `OperatorError` if there is none, but not for a server that enrols by tickets: those end by a line in the audit log.
    """
    from sipmesh.server.management.revoking import lost_certificates

    generations.wait_for_issuing()
    issued = [one for one in generations.records() if not CertificateKind(one.kind).is_ca and name in one.names[:1]]
    issued = [one for one in issued if not device or device in one.names[1:]]
    valid = [record.serial for record in issued if record.may_be_valid(now)]
    whose = {serial: record.names[0] for serial, (_ca, record) in generations.as_issued(valid).items()}
    found = {serial: name for serial in valid if whose.get(serial, name) == name}
    try:
        with audit_of(place) as audit:
            lost = lost_certificates(generations, {name}, audit, now)
            if audit is not None and audit.verify():
                say(
                    "The audit log was changed: a certificate may be missing in it. See: sipmesh audit verify",
                    style=BAD,
                )
    except OperatorError as wrong:
        say(f"Certificates that only the audit log names are not found: {wrong}", style=BAD)
        lost = lost_certificates(generations, {name}, None, now)
    if lost:
        say(f"The CA's ledger was changed: it has lost {plural(len(lost), 'certificate')} of {name}.", style=BAD)
    if not found and not lost and not device and name in _machines(place):
        note(place, AuditAct.REVOKE, server=name, tickets="ended")
        say(
            f"{name} has no valid certificate. Tickets of its computer enrol nothing until: sipmesh ca enrol {name}",
            style=GOOD,
        )
    elif not found and not lost:
        known = "all its certificates are revoked or expired" if issued else "this CA has issued no certificate for it"
        raise OperatorError(f"{name} has no certificate to revoke: {known}; see: sipmesh ca status --all")
    return {**lost, **found}


def _machines(place: Place) -> Sequence[str]:
    """Return the servers that enrol by tickets of a computer of the domain."""
    console = place.in_force().topology.console
    realm = console.enrolment.kerberos if console is not None and console.enrolment is not None else None
    return [machine.server for machine in realm.machines] if realm is not None else []


@app.command()
def crl(topology: TopologyFile = HERE) -> None:
    """Sign new CRLs.

    A running server with the CA folder does this itself, each day. A root whose key is on another machine is left out; its list
    needs `ca root request`.
    """
    from sipmesh.server.management.revoking import sign_crls

    place = Place(topology)
    now, before = datetime.now(UTC), links_of(place)
    for file, kind, number in sign_crls(place.generations(), now, partial(note, place)):
        if number is None:
            say(
                f"{file}: not signed. The root's key is on another machine: sipmesh ca root request list FILE",
                style="dim",
            )
        else:
            say(f"{file}: CRL {number} of the {kind} CA.", style=GOOD)
    _say_in_force(place, before)


def _say_in_force(place: Place, before: Sequence[LinkReply]) -> None:
    """Put new CRLs in force on this machine, and print which other servers management sends them to."""
    reloaded = reload(place, before, changed_only=True)
    say_reloaded(reloaded)
    say_given(place, reloaded.servers)
    _warn_of_size(place)


def _warn_of_size(place: Place) -> None:
    """Warn of a CRL of ours that management cannot send to servers, or soon cannot."""
    from sipmesh.server.replication import crl_store

    for ca in place.generations().alive:
        for file in sorted(ca.folder.glob("*.crl")):
            octets, most = file.stat().st_size, crl_store.LARGEST_GIVEN
            if octets > most * NEARLY:
                say(f"{file} has {octets:,} octets. Management sends servers a CRL of {most:,} at most.", style=WARN)
                say("  put it on a web server, and name its URL: sipmesh topology change network authority.crls+=URL")
