"""An attacker who can write to the CA's ledger cannot keep a stolen certificate alive: `sipmesh ca revoke` finds it all the same.

The peer with the stolen key is real, and so are ledger and audit log. The command is typed as an operator does.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID

from sipmesh.database.shared import DATABASE
from sipmesh.demo import forkserver
from sipmesh.pki.crl.builder import Reason
from sipmesh.pki.issuance.profiles import LONGEST_LEAF_LIFETIME, CertificateKind
from sipmesh.pki.ledger.ledger import FILE
from sipmesh.server.agent import status_reporter
from sipmesh.storage.audit_act import AuditAct
from sipmesh.storage.management_db import ManagementDb
from sipmesh.trust.role import Role
from support.managed import MGMT, Managed, links_between, without
from support.network import EXAMPLE, FE1, FE2
from support.peer import HungUpError, Peer
from support.running import on_loop, until
from support.tiers import wide_after

SERVER_AUTH = ExtendedKeyUsageOID.SERVER_AUTH
CHANGES = {
    "row removed": "DELETE FROM certificates WHERE serial = ?",
    "another name": """UPDATE certificates SET der = NULL, names = '["other.example.test"]' WHERE serial = ?""",
    "another serial": "UPDATE certificates SET der = NULL, serial = 'abc' WHERE serial = ?",
    "expired": "UPDATE certificates SET der = NULL, not_after = '2020-01-01T00:00:00+00:00' WHERE serial = ?",
    "certificate removed": "UPDATE certificates SET der = NULL WHERE serial = ?",
    "of a CA": "UPDATE certificates SET der = NULL, kind = 'issuing', issuer = 'root' WHERE serial = ?",
    "serial with a zero": "UPDATE certificates SET serial = '0' || serial WHERE serial = ?",
    "name beside the certificate": """UPDATE certificates SET names = '["other.example.test"]' WHERE serial = ?""",
    "unreadable row": "UPDATE certificates SET serial = 'no number' WHERE serial = ?",
}
ADDED_ROW = """INSERT INTO certificates (rowid, serial, issuer, kind, names, not_before, not_after, reserved_at)
    SELECT (SELECT min(rowid) - 1 FROM certificates), '0' || serial, 'issuing', 'server', '["fe2.example.test"]',
        not_before, not_after, reserved_at FROM certificates WHERE serial = ?"""
NO_SERIAL = json.dumps(
    {
        "seq": 1,
        "at": datetime.now(UTC).isoformat(),
        "who": "ada (1)",
        "act": "issue",
        "about": {"server": FE2, "serial": "0"},
    }
)
TRIGGERS = {
    "update ignored": "CREATE TRIGGER t BEFORE UPDATE ON certificates BEGIN SELECT RAISE(IGNORE); END",
    "insert ignored": "CREATE TRIGGER t BEFORE INSERT ON certificates BEGIN SELECT RAISE(IGNORE); END",
    "revocation moved": """CREATE TRIGGER t AFTER UPDATE ON certificates WHEN new.revoked_at IS NOT NULL BEGIN
        UPDATE certificates SET issuer = 'root', kind = 'issuing', der = NULL WHERE serial = new.serial; END""",
}


def serial_of(managed: Managed, name: str) -> str:
    leaf = x509.load_pem_x509_certificate(managed.credentials(name)[0].read_bytes())
    return f"{leaf.serial_number:x}"


def change(managed: Managed, statement: str, serial: str) -> None:
    with closing(sqlite3.connect(managed.organisation.ca.folder / FILE)) as db, db:
        assert db.execute(statement, (serial,)).rowcount == 1


def forged(serial: int, name: str, until: datetime) -> x509.Certificate:
    """A certificate with this serial number and name that another key has signed."""
    key, subject = ec.generate_private_key(ec.SECP256R1()), x509.Name([])
    builder = x509.CertificateBuilder(subject, subject, key.public_key(), serial, until - LONGEST_LEAF_LIFETIME, until)
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=True)
    return builder.add_extension(x509.ExtendedKeyUsage([SERVER_AUTH]), critical=False).sign(key, hashes.SHA256())


def replace_certificate(managed: Managed, serial: str, name: str, until: datetime) -> None:
    """Put a forged certificate into the row of another one, and change all columns so that they fit."""
    made = forged(int(serial, 16), name, until)
    since, until, der = made.not_valid_before_utc, made.not_valid_after_utc, made.public_bytes(Encoding.DER)
    row = (der, f'["{name}"]', since.isoformat(), until.isoformat(), serial)
    with closing(sqlite3.connect(managed.organisation.ca.folder / FILE)) as db, db:
        statement = "UPDATE certificates SET der = ?, names = ?, not_before = ?, not_after = ? WHERE serial = ?"
        assert db.execute(statement, row).rowcount == 1


async def greet(peer: Peer) -> None:
    """Send a request; with TLS 1.3 a peer learns only then that its link is refused."""
    await peer.ask(peer.request("OPTIONS", f"sip:{EXAMPLE}"))


@pytest.mark.parametrize("statement", wide_after(1, CHANGES.values()), ids=CHANGES.keys())
@pytest.mark.parametrize("known_by", ["file", "audit log"])
@on_loop
async def test_revocation_by_name_finds_a_certificate_that_the_ledger_has_lost(
    managed: Managed, statement: str, known_by: str
) -> None:
    serial, stolen = serial_of(managed, FE2), managed.where / "stolen"
    stolen.mkdir()
    chain, key = (Path(shutil.copy(file, stolen / file.name)) for file in managed.credentials(FE2))
    if known_by == "audit log":
        managed.credentials(FE2)[0].unlink()
        management_db = ManagementDb(managed.folder(MGMT))
        about = {"server": FE2, "serial": serial}
        management_db.audit.append("ada (1)", AuditAct.ISSUE, about, at=datetime.now(UTC))
        management_db.close()
    async with managed:
        await managed.start(MGMT, FE1)
        mate = await managed.peer_with((chain, key), FE1)
        await greet(mate)
        change(managed, statement, serial)
        printed = await managed.type("ca", "revoke", FE2, "--reason", "key-compromise")
        assert f"serial {serial} of" in printed
        await until(lambda: not links_between(managed.nodes[FE1], FE2))
        with pytest.raises(HungUpError):
            await greet(await managed.peer_with((chain, key), FE1))


async def revoked(managed: Managed, change_ledger: Callable[[], object]) -> None:
    """FE2 is cut off by its name, after its row was changed, and the next CRL lists it too. Control: FE1 goes on."""
    serial = serial_of(managed, FE2)
    async with managed:
        await managed.start(MGMT, FE1)
        stolen = await managed.peer_with(managed.credentials(FE2), FE1)
        await greet(stolen)
        change_ledger()
        printed = await managed.type("ca", "revoke", FE2, "--reason", "key-compromise")
        assert f"serial {serial} of {FE2}" in printed
        await until(lambda: not links_between(managed.nodes[FE1], FE2))
        with pytest.raises(HungUpError):
            await greet(await managed.peer_with(managed.credentials(FE2), FE1))
        assert links_between(managed.nodes[MGMT], FE1)
    crls = managed.organisation.ca.crls
    crls.publish(datetime.now(UTC))
    assert crls.in_force().lists(int(serial, 16))


@pytest.mark.parametrize("trigger", wide_after(1, TRIGGERS.values()), ids=TRIGGERS.keys())
@on_loop
async def test_trigger_in_the_ledger_keeps_no_revocation_out_of_the_crl(managed: Managed, trigger: str) -> None:
    serial = serial_of(managed, FE2)

    def change_ledger() -> None:
        if "INSERT" in trigger:
            change(managed, CHANGES["row removed"], serial)
        with closing(sqlite3.connect(managed.organisation.ca.folder / FILE)) as db, db:
            db.execute(trigger)

    await revoked(managed, change_ledger)


REFUSING = {
    "revocation": "CREATE TRIGGER t BEFORE UPDATE ON certificates BEGIN SELECT RAISE(ABORT, 'no'); END",
    "crl": "CREATE TRIGGER t BEFORE INSERT ON lists BEGIN SELECT RAISE(ABORT, 'no'); END",
    "number of the crl": """INSERT INTO lists (issuer, number, this_update, next_update, revoked)
        SELECT issuer, 9000000000000000000, this_update, next_update, revoked FROM lists WHERE issuer = 'issuing' LIMIT 1""",
}


@pytest.mark.parametrize("statement", wide_after(1, REFUSING.values()), ids=REFUSING.keys())
@pytest.mark.parametrize("by", wide_after(1, ["name", "removal"]))
@on_loop
async def test_ledger_that_stores_nothing_keeps_no_revocation_away(managed: Managed, statement: str, by: str) -> None:
    """The CRL lists the certificate, and the links are closed. The ledger gets the revocation when it stores rows again."""
    serial, ca = serial_of(managed, FE2), managed.organisation.ca
    async with managed:
        await managed.start(MGMT, FE1)
        await greet(await managed.peer_with(managed.credentials(FE2), FE1))
        run_in_ledger(managed, statement)
        if by == "name":
            printed = " ".join((await managed.type("ca", "revoke", FE2, code=1)).split())
            assert f"Revoked: serial {serial} of {FE2}" in printed
            assert "not in the CA's ledger" in printed
        else:
            await managed.publish(without(FE2))
            [told] = managed.told[MGMT].events("servers were removed from the topology and revoked")
            assert "not in the CA's ledger" in told["why"]
        await until(lambda: not links_between(managed.nodes[FE1], FE2))
        with pytest.raises(HungUpError):
            await greet(await managed.peer_with(managed.credentials(FE2), FE1))
        assert links_between(managed.nodes[MGMT], FE1)
    assert serial in noted(managed)
    run_in_ledger(managed, "DELETE FROM lists WHERE number > 8000000000000000000")
    run_in_ledger(managed, "DROP TRIGGER IF EXISTS t")
    ca.revoke(int(serial, 16), Reason.KEY_COMPROMISE, datetime.now(UTC))
    assert [record.revoked_at is not None for record in ca.certificates if record.serial_hex == serial] == [True]
    assert ca.crls.in_force().lists(int(serial, 16))


def run_in_ledger(managed: Managed, statement: str) -> None:
    with closing(sqlite3.connect(managed.organisation.ca.folder / FILE)) as db, db:
        db.execute(statement)


def noted(managed: Managed) -> set[object]:
    """The serial numbers that the audit log calls revoked."""
    management_db = ManagementDb(managed.folder(MGMT))
    lines = management_db.audit.read()
    management_db.close()
    return {line.about["serial"] for line in lines if line.act == AuditAct.REVOKE}


@pytest.mark.parametrize("name", wide_after(1, [FE2, "other.example.test"]))
@pytest.mark.parametrize(
    "lifetime", wide_after(1, [LONGEST_LEAF_LIFETIME, -LONGEST_LEAF_LIFETIME]), ids=["valid", "expired"]
)
@on_loop
async def test_forged_certificate_in_the_ledger_keeps_no_revocation_away(
    managed: Managed, name: str, lifetime: timedelta
) -> None:
    ends = datetime.now(UTC).replace(microsecond=0) + lifetime
    await revoked(managed, lambda: replace_certificate(managed, serial_of(managed, FE2), name, ends))


@on_loop
async def test_audit_log_that_stores_no_line_stops_no_revocation(managed: Managed) -> None:
    """The command fails at its end, when all certificates are revoked and the links are closed."""
    signed = managed.organisation.ca.issue([FE2], Role.FRONT_END, datetime.now(UTC)).certificate
    serials = serial_of(managed, FE2), f"{signed.serial_number:x}"
    async with managed:
        await managed.start(MGMT, FE1)
        await greet(await managed.peer_with(managed.credentials(FE2), FE1))
        with closing(sqlite3.connect(managed.folder(MGMT) / DATABASE)) as db, db:
            db.execute("CREATE TRIGGER t BEFORE INSERT ON audit BEGIN SELECT RAISE(IGNORE); END")
        printed = await managed.type("ca", "revoke", FE2, code=1)
        assert "does not store the lines of the audit log" in printed
        await until(lambda: not links_between(managed.nodes[FE1], FE2))
    assert all(managed.organisation.ca.crls.in_force().lists(int(serial, 16)) for serial in serials)


@on_loop
async def test_certificate_that_nothing_on_this_host_knows_is_revoked_by_name_and_serial(managed: Managed) -> None:
    """The operator has the serial from the status: the server itself reports what it presents."""
    serial, statement = serial_of(managed, FE1), CHANGES["row removed"]
    async with managed:
        await managed.start(MGMT, FE1)
        managed.credentials(FE1)[0].unlink()
        change(managed, statement, serial)
        mine = managed.organisation.ca.issue([FE1], Role.FRONT_END, datetime.now(UTC))
        await until(lambda: FE1 in managed.master.reports.reports)
        printed = await managed.type("ca", "revoke", FE1)
        assert f"{mine.certificate.serial_number:x} of {FE1}" in printed
        wanted = f"presents a certificate that is NOT revoked: sipmesh ca revoke {FE1} --serial {serial}"
        assert wanted in " ".join(printed.split())
        printed = await managed.type("ca", "revoke", FE1, "--serial", serial)
        assert f"serial {serial} of {FE1}" in printed
        assert "NOT revoked" not in printed
    assert managed.organisation.ca.crls.in_force().lists(int(serial, 16))


@pytest.mark.parametrize("line", ["no JSON", NO_SERIAL], ids=["unreadable", "a serial that no certificate has"])
@on_loop
async def test_changed_audit_line_keeps_no_revocation_away(managed: Managed, line: str) -> None:
    async with managed:
        await managed.start(MGMT, FE1)
        await greet(await managed.peer_with(managed.credentials(FE2), FE1))
        with closing(sqlite3.connect(managed.folder(MGMT) / DATABASE)) as db, db:
            db.execute("DROP TRIGGER audit_keeps_rows")
            assert db.execute("UPDATE audit SET line = ? WHERE seq = 1", (line,)).rowcount == 1
        printed = await managed.type("ca", "revoke", FE2)
        assert "The audit log was changed" in printed
        assert f"serial {serial_of(managed, FE2)} of {FE2}" in printed
        await until(lambda: not links_between(managed.nodes[FE1], FE2))
        assert links_between(managed.nodes[MGMT], FE1)


@pytest.mark.parametrize("by", ["name", "removal"])
@pytest.mark.parametrize("kind", wide_after(1, ["issuing", "server"]))
@on_loop
async def test_row_with_the_serial_of_another_certificate_has_only_the_named_server_revoked(
    managed: Managed, kind: str, by: str
) -> None:
    """The row names FE2, and has the serial number of the issuing CA, or of FE1, in another spelling. It is the first one."""
    ca = managed.organisation.ca
    other = f"{ca.issuing.serial_number:x}" if kind == "issuing" else serial_of(managed, FE1)
    async with managed:
        await managed.start(MGMT, FE1)
        await greet(await managed.peer_with(managed.credentials(FE2), FE1))
        change(managed, ADDED_ROW, other)
        if by == "name":
            printed = await managed.type("ca", "revoke", FE2)
            assert f"serial {serial_of(managed, FE2)} of {FE2}" in printed
            assert other not in printed
        else:
            await managed.publish(without(FE2))
        await until(lambda: not links_between(managed.nodes[FE1], FE2))
        assert links_between(managed.nodes[MGMT], FE1)
    for crl in (ca.crls.in_force(), ca.crls.in_force(CertificateKind.ROOT)):
        assert not crl.lists(int(other, 16))
    assert ca.crls.in_force().lists(int(serial_of(managed, FE2), 16))


async def granted(managed: Managed, folder: Path) -> tuple[Path, Path]:
    """Join FE2 as on another machine, in *folder*: its key is there, and its certificate is nowhere else."""
    await asyncio.to_thread(folder.mkdir)
    code, printed = await asyncio.to_thread(forkserver.run, ("join", "request", FE2), folder, "")
    assert code == 0, printed
    await managed.type("join", "grant", str(folder / f"{FE2}.csr"), "--replace")
    ca = managed.organisation.ca
    made = next(record.der for record in reversed(ca.certificates) if record.names[0] == FE2)
    assert made is not None
    pem = [one.public_bytes(Encoding.PEM) for one in (x509.load_der_x509_certificate(made), ca.issuing)]
    (folder / f"{FE2}.pem").write_bytes(b"".join(pem))
    return folder / f"{FE2}.pem", folder / "servers" / f"{FE2}.key"


@on_loop
async def test_certificate_of_a_grant_is_found_in_the_audit_log(managed: Managed) -> None:
    """The server has joined on another machine, so no file on the host of management has its certificate."""
    async with managed:
        await managed.start(MGMT, FE1)
        before = serial_of(managed, FE2)
        chain, key = await granted(managed, managed.where / "new")
        serial = f"{x509.load_pem_x509_certificate(chain.read_bytes()).serial_number:x}"
        managed.credentials(FE2)[0].unlink()
        for one in (serial, before):
            change(managed, CHANGES["row removed"], one)
        await greet(await managed.peer_with((chain, key), FE1))
        printed = await managed.type("ca", "revoke", FE2)
        assert all(f"serial {one} of {FE2}" in printed for one in (serial, before))
        await until(lambda: not links_between(managed.nodes[FE1], FE2))
        with pytest.raises(HungUpError):
            await greet(await managed.peer_with((chain, key), FE1))
        assert links_between(managed.nodes[MGMT], FE1)


LIES = {
    "of another server": lambda managed: serial_of(managed, FE1),
    "of the issuing CA": lambda managed: f"{managed.organisation.ca.issuing.serial_number:x}",
    "no serial": lambda _: "",
    "zero": lambda _: "0",
    "endless": lambda _: "f" * 64,
}


@pytest.mark.parametrize("lie", wide_after(1, LIES.values()), ids=LIES.keys())
@on_loop
async def test_stolen_server_has_no_other_server_revoked_by_what_it_reports(
    managed: Managed, lie: Callable[[Managed], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It reports another serial number as its own: the command offers to revoke that one, and an operator would do so."""
    monkeypatch.setattr(status_reporter, "REPORT_EVERY_S", 3600.0)
    false, ends = lie(managed), datetime.now(UTC) + timedelta(days=9)
    certificate = {"serial": false, "ends": ends.isoformat(), "issuer": "", "under": ""}
    async with managed:
        await managed.start(MGMT, FE1, FE2)
        await managed.acknowledged(1)
        managed.member(FE2).reporter._outlet = None  # a true report would replace the false one
        managed.member(FE2)._subscriber.publish({"number": 1, "certificate": certificate})
        reports = managed.master.reports.reports
        await until(lambda: (shown := reports[FE2].status.certificate) is not None and shown.serial == false)
        printed = await managed.type("ca", "revoke", FE2)
        assert f"serial {serial_of(managed, FE2)} of {FE2}" in printed
        assert "--serial" not in printed
        assert "do not trust its reports" in printed
        if false:
            await managed.type("ca", "revoke", FE2, "--serial", false, code=1)
        await managed.type("ca", "status")
        await managed.type("ca", "revoke", FE1, "--serial", serial_of(managed, FE1))


@on_loop
async def test_removed_server_is_revoked_although_the_ledger_has_lost_its_certificate(managed: Managed) -> None:
    serial = serial_of(managed, FE2)
    change(managed, CHANGES["row removed"], serial)
    async with managed:
        await managed.start(MGMT, FE1)
        await managed.publish(without(FE2))
    assert managed.organisation.ca.crls.in_force().lists(int(serial, 16))


@on_loop
async def test_changed_row_of_another_server_keeps_no_removed_server_valid(managed: Managed) -> None:
    """The removal says that the ledger was changed, and revokes what it finds."""
    serial = serial_of(managed, FE2)
    change(managed, CHANGES["name beside the certificate"], serial_of(managed, FE1))
    async with managed:
        await managed.start(MGMT, FE1)
        await managed.publish(without(FE2))
        told = managed.told[MGMT].events(
            "servers were removed from the topology, but not all of their certificates may be revoked"
        )
        assert [line["servers"] for line in told] == [FE2]
    assert managed.organisation.ca.crls.in_force().lists(int(serial, 16))
