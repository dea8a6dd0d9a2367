"""An attacker who can write to the database of management changes no server's trust, not even that of a management server.

The databases are real: an SQLite file, and a PostgreSQL database that management servers share. The attacker is the owner of the
database, and removes its triggers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sql
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from sipmesh.database.shared import DATABASE, SharedDatabase
from sipmesh.demo.forge import Forge, Wish
from sipmesh.errors import OperatorError
from sipmesh.pki.ca_rotation import CaGenerations
from sipmesh.pki.crl.builder import Reason
from sipmesh.pki.ledger.ledger import FILE
from sipmesh.pki.ledger.refusals import UnrecordedRevocationError
from sipmesh.server.management.issuing import has_its_key_elsewhere
from sipmesh.server.management.peer_statuses import MANAGEMENT_DATABASE
from sipmesh.server.management.publishing.certificate_needs import certificate_needs
from sipmesh.server.management.publishing.publish import OF_HOST
from sipmesh.server.management.revoking import lost_certificates, revoke
from sipmesh.server.replication.published_version import PublishedVersion, document_in_force
from sipmesh.server.replication.topology_source import source_of
from sipmesh.storage.audit_act import AuditAct
from sipmesh.storage.history import digest_of
from sipmesh.storage.management_db import ManagementDb
from sipmesh.storage.management_move import move
from sipmesh.topology.versions.jose import open_signed, sign
from sipmesh.topology.versions.publication import KIND, Publication
from sipmesh.topology.view import certificate_names
from sipmesh.trust.revocation.crl import RevocationList
from sipmesh.trust.role import Role
from sipmesh.trust.x509.certificate import DOCUMENT_SIGNING
from support.approving import Approver, approve, drafted, rule
from support.control_plane import Plane
from support.managed import MGMT, Managed, servers_of, without
from support.network import EDGE, EXAMPLE, FE1, FE2, POOL
from support.running import on_loop
from support.tiers import wide_after

ADA, BEN = Approver("ada"), Approver("ben")
EVIL = "evil.example.test"


@dataclass
class Writer:
    """The owner of the database of *network*: its *engine* without triggers."""

    network: Managed
    engine: sql.Engine

    def replace(self, number: int, jws: bytes) -> None:
        """Put another document into the row of a version."""
        self._run("UPDATE versions SET jws = :jws WHERE number = :number", number, jws)

    def add(self, number: int, jws: bytes) -> None:
        """Add a version."""
        row = "VALUES (:number, :digest, '2026-01-01T00:00:00+00:00', 'mallory', 'why', false, :jws)"
        self._run("INSERT INTO versions (number, digest, at, who, why, forced, jws) " + row, number, jws)

    def remove(self, number: int) -> None:
        """Remove a version."""
        self._run("DELETE FROM versions WHERE number = :number", number, b"")

    def cut_log(self) -> None:
        """Remove the last line of the audit log."""
        with self.engine.begin() as db:
            self._unguard(db, "audit")
            assert db.exec_driver_sql("DELETE FROM audit WHERE seq = (SELECT max(seq) FROM audit)").rowcount == 1

    def _run(self, statement: str, number: int, jws: bytes) -> None:
        with self.engine.begin() as db:
            self._unguard(db)
            values = {"number": number, "jws": jws, "digest": digest_of(jws)}
            wanted = {name: value for name, value in values.items() if f":{name}" in statement}
            assert db.execute(sql.text(statement), wanted).rowcount == 1

    def _unguard(self, db: sql.Connection, table: str = "versions") -> None:
        if db.dialect.name == "postgresql":
            db.exec_driver_sql(f"ALTER TABLE {table} DISABLE TRIGGER ALL")
            return
        triggers = sql.text("SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = :name")
        for (name,) in db.execute(triggers, {"name": table}).all():
            db.exec_driver_sql(f"DROP TRIGGER {name}")


POSTGRESQL = pytest.param("postgresql", marks=pytest.mark.peer("postgresql"))
in_both = pytest.mark.parametrize("writer", ["sqlite", POSTGRESQL], indirect=True)
"""Both databases in `make test` too. The other tests have PostgreSQL in `make test-wide` alone: the attack is the same."""


@pytest.fixture(name="writer", params=wide_after(1, ["sqlite", POSTGRESQL]))
def _writer(request: pytest.FixtureRequest, managed: Managed) -> Iterator[Writer]:
    """The network at version 1, and its database."""
    folder = managed.folder(MGMT)
    url = f"sqlite:///{folder / DATABASE}"
    if request.param == "postgresql":
        url = request.getfixturevalue("postgres_url")
        move(folder, SharedDatabase(url, MGMT), "ada", datetime.now(UTC))
    engine = sql.create_engine(url, poolclass=sql.NullPool)
    yield Writer(managed, engine)
    engine.dispose()


def begun(managed: Managed) -> PublishedVersion:
    """What the management server loads at its start."""
    source = source_of(managed.organisation.file, MGMT)
    assert isinstance(source, PublishedVersion)
    return source


def topology_of(jws: bytes) -> str:
    return Publication.decode(open_signed(jws, KIND).payload).topology


async def leading(plane: Plane) -> int:
    """Let management lead; returns the version in force. In a pool it has signed version 1 again, under its fencing number."""
    if plane.controller._publishing_again is not None:
        await plane.controller._publishing_again
    plane.connect_all()
    return plane.number(MGMT)


@on_loop
async def test_old_version_in_the_row_of_the_new_one_is_not_signed_again(writer: Writer) -> None:
    """It has a good signature: without a check of the number a new leader would sign it again, for all servers."""
    managed = writer.network
    with Plane(managed, FE1) as plane:
        first = await leading(plane)
        old, publisher = managed.published(), plane.controller.publisher
        await plane.publish(without(FE2))
        rightful = managed.published()
        writer.replace(first + 1, old)
        assert (await publisher.publish_again("another leader")).version == first + 2
        assert (await publisher.block("ada", EVIL, OF_HOST)).version == first + 3
        assert all(f'"{FE2}"' not in topology_of(managed.published(first + number)) for number in (2, 3))
        with pytest.raises(OperatorError, match=f"version {first + 1} in the history was changed"):
            await publisher.rollback("ada", "", first + 1, first + 3, force=True, role=OF_HOST)
        writer.replace(first + 1, rightful)
        assert (
            await publisher.rollback("ada", "", first + 1, first + 3, force=True, role=OF_HOST)
        ).version == first + 4
        assert EVIL not in topology_of(managed.published())


@on_loop
async def test_old_version_in_the_row_of_the_accepted_one_is_not_loaded(writer: Writer) -> None:
    managed = writer.network
    old = managed.published()
    writer.add(2, rightful := managed.version(2))
    begun(managed).management_db.close()
    writer.replace(2, old)
    with pytest.raises(OperatorError, match="this is another history of versions"):
        begun(managed)
    writer.replace(2, rightful)
    source = begun(managed)
    assert source.documents.document() == rightful
    source.management_db.close()


def forged(managed: Managed, number: int) -> bytes:
    """A version under a root of the attacker."""
    forge = Forge(datetime.now(UTC))
    wish = Wish(MGMT, dns=(MGMT,), usages=(DOCUMENT_SIGNING,), ends=timedelta(days=90))
    mallory = forge.forge(wish, forge.organisation(EXAMPLE))
    key: Any = mallory.key
    return sign(managed.payload(number), KIND, mallory.chain, key)


def presented(managed: Managed, number: int) -> bytes:
    """A version that is signed with the key of a server, which is no signer."""
    return managed.signed(managed.payload(number), managed.credentials(FE1))


def of_a_revoked_signer(managed: Managed, number: int) -> bytes:
    """A version of a stolen signer that was revoked, with a time before that."""
    stolen = managed.signed(managed.payload(number))
    ca, signer = managed.organisation.ca, managed.credentials(f"{MGMT}.signer")
    renewed = ca.issue_signer(MGMT, datetime.now(UTC))
    serial = next(record.serial for record in ca.certificates if record.kind == "signer" and record.revoked_at is None)
    ca.revoke(serial, Reason.KEY_COMPROMISE, datetime.now(UTC))
    renewed.write(*signer)
    return stolen


def with_another_number(managed: Managed, number: int) -> bytes:
    """A version that says that it is a later one."""
    return managed.version(number + 7)


@pytest.mark.parametrize("make", [forged, presented, of_a_revoked_signer, with_another_number])
@on_loop
async def test_version_that_management_has_not_signed_is_refused_and_the_next_one_is_published(
    writer: Writer, make: Callable[[Managed, int], bytes]
) -> None:
    managed = writer.network
    managed.edit(lambda document: document["sip_domains"].append("evil.test"))
    number = 2 if writer.engine.name == "sqlite" else 3  # version 2 is version 1 again
    bad = make(managed, number)
    with Plane(managed, FE1) as plane:
        assert await leading(plane) == number - 1
        writer.add(number, bad)
        await plane.controller.follow()
        assert plane.number(MGMT) == number - 1
        assert (
            f"version {number} of the management database does not count"
            in plane.controller.own_faults.of_pool()[0].what
        )
        managed.edit(lambda document: document["sip_domains"].remove("evil.test"))
        assert (await plane.publish(without(FE2)))["version"] == number + 1
        assert (plane.number(MGMT), plane.number(FE1)) == (number + 1, number + 1)
        assert plane.controller.own_faults.of_pool() == []
    source = begun(managed)
    assert source.load().number == number + 1
    source.management_db.close()


@in_both
def test_version_of_the_leader_counts_at_the_start_of_another_server(writer: Writer) -> None:
    """The same as above, but management has signed it."""
    managed = writer.network
    writer.add(2, managed.version(2))
    source = begun(managed)
    assert (source.load().number, source.fault) == (2, "")
    source.management_db.close()


def test_start_loads_no_version_without_the_approvals_of_operators(writer: Writer) -> None:
    """The thief of another management host has a signer, and the database."""
    managed = writer.network
    managed.edit(lambda document: document.update(approvals=rule(ADA, BEN)))
    approve(managed, 1, ADA, BEN)
    approvals = {operator.name: operator.signs(drafted(managed, 1).encode()) for operator in (ADA, BEN)}
    writer.add(2, managed.version(2, serial=1, approvals=approvals))
    begun(managed).management_db.close()
    managed.edit(lambda document: document["sip_domains"].append("evil.test"))
    octets = drafted(managed, 2).encode()
    for number, operators in ((3, ()), (4, (ADA,))):
        signatures = {operator.name: operator.signs(octets) for operator in operators}
        writer.add(number, managed.version(number, serial=2, approvals=signatures))
        source = begun(managed)
        assert source.load().number == 2
        assert f"version {number} is not approved" in source.fault
        source.management_db.close()
    signatures = {operator.name: operator.signs(octets) for operator in (ADA, BEN)}
    writer.add(5, managed.version(5, serial=2, approvals=signatures))
    source = begun(managed)
    assert (source.load().number, source.fault) == (5, "")
    source.management_db.close()


@in_both
def test_overtaken_management_server_is_not_followed(writer: Writer) -> None:
    managed = writer.network
    writer.add(2, managed.signed(managed.payload(2), fencing=7))
    begun(managed).management_db.close()
    writer.add(3, managed.signed(managed.payload(3), fencing=6))
    source = begun(managed)
    assert source.load().number == 2
    assert "its signer led with fencing number 6" in source.fault
    source.management_db.close()
    writer.add(4, managed.signed(managed.payload(4), fencing=8))
    source = begun(managed)
    assert (source.load().number, source.documents.fencing) == (4, 8)
    source.management_db.close()


def test_history_without_the_accepted_version_is_not_loaded(writer: Writer) -> None:
    managed = writer.network
    writer.add(2, managed.version(2))
    begun(managed).management_db.close()
    writer.remove(2)
    with pytest.raises(OperatorError, match="this is another history of versions"):
        begun(managed)


def test_new_server_is_granted_the_version_in_force(writer: Writer) -> None:
    """Not the older version in its row, nor a newer version that management refuses."""
    managed = writer.network
    old = managed.published()
    managed.edit(lambda document: servers_of(document, POOL).pop())
    writer.add(2, rightful := managed.version(2))
    begun(managed).management_db.close()
    writer.replace(2, old)
    writer.add(3, forged(managed, 3))
    management_db = ManagementDb(managed.folder(MGMT))
    assert document_in_force(management_db) == rightful
    management_db.close()


@on_loop
async def test_revocation_stays_in_force_although_the_ledger_lost_it(writer: Writer) -> None:
    managed = writer.network
    ca = managed.organisation.ca
    serials = [
        x509.load_pem_x509_certificate(managed.credentials(name)[0].read_bytes()).serial_number for name in (FE2, EDGE)
    ]
    ca.revoke(serials[0], Reason.KEY_COMPROMISE, datetime.now(UTC))
    is_file = writer.engine.name == "sqlite"
    url = f"sqlite:///{ca.folder / FILE}" if is_file else writer.engine.url
    engine = sql.create_engine(url, poolclass=sql.NullPool)
    with engine.begin() as db:
        table = "certificates" if is_file else "ca1_certificates"
        db.exec_driver_sql(f"UPDATE {table} SET revoked_at = NULL, reason = NULL")  # noqa: S608 - our own table
    engine.dispose()
    with Plane(managed, FE1) as plane:
        await leading(plane)
        ca.revoke(serials[1], Reason.KEY_COMPROMISE, datetime.now(UTC))
        plane.controller.crls_changed(frozenset())
        plane.exchange()
    crl = RevocationList.load((managed.folder(FE1) / "ca" / "issuing.crl").read_bytes(), [ca.issuing])
    assert set(serials) <= crl.serials


@dataclass
class LedgerRow:
    """The row of fe2's certificate in the ledger, which the attacker changes."""

    engine: sql.Engine
    table: str
    serial: str

    @classmethod
    def of_fe2(cls, writer: Writer) -> LedgerRow:
        ca = writer.network.organisation.ca
        leaf = x509.load_pem_x509_certificate(writer.network.credentials(FE2)[0].read_bytes())
        is_file = writer.engine.name == "sqlite"
        url = f"sqlite:///{ca.folder / FILE}" if is_file else writer.engine.url
        table = "certificates" if is_file else "ca1_certificates"
        return cls(sql.create_engine(url, poolclass=sql.NullPool), table, f"{leaf.serial_number:x}")

    def read(self) -> dict[str, Any]:
        with self.engine.begin() as db:
            query = f"SELECT * FROM {self.table} WHERE serial = :serial"  # noqa: S608 - our own table
            row = db.execute(sql.text(query), {"serial": self.serial}).one()._asdict()
        return {name: value for name, value in row.items() if name != "seq"}

    def change(self, **columns: object) -> None:
        assigned = ", ".join(f"{name} = :{name}" for name in columns)
        statement = f"UPDATE {self.table} SET {assigned} WHERE serial = :_at"  # noqa: S608 - our own table
        with self.engine.begin() as db:
            assert db.execute(sql.text(statement), {**columns, "_at": self.serial}).rowcount == 1
        self.serial = str(columns.get("serial", self.serial))


def forged_row(real: dict[str, Any]) -> dict[str, Any]:
    """A certificate of fe2 under a root of the attacker; the columns fit it."""
    leaf = x509.load_der_x509_certificate(bytes(real["der"]))
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    key = ec.generate_private_key(ec.SECP256R1())
    builder = x509.CertificateBuilder(
        leaf.issuer, leaf.subject, key.public_key(), 7, leaf.not_valid_before_utc, leaf.not_valid_after_utc
    )
    usages = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    made = builder.add_extension(names, critical=False).add_extension(usages, critical=False).sign(key, hashes.SHA256())
    return {"serial": "7", "der": made.public_bytes(Encoding.DER)}


@pytest.mark.parametrize(
    "make",
    [
        lambda _: {"serial": "1234567890abcdef"},
        lambda _: {"names": '["other.example.test"]'},
        lambda _: {"kind": "root"},
        lambda _: {"not_after": "2020-01-01T00:00:00+00:00"},
        forged_row,
        lambda _: {"names": "[]"},
        lambda _: {"not_before": "x"},
        lambda _: {"serial": "zz"},
    ],
)
def test_changed_row_is_never_taken_for_a_revocation(
    writer: Writer, make: Callable[[dict[str, Any]], dict[str, Any]]
) -> None:
    """Else it would be said to be in force, and the stolen key would still open links. The file names the certificate."""
    ca, row, now = writer.network.organisation.ca, LedgerRow.of_fe2(writer), datetime.now(UTC)
    generations, real = CaGenerations(ca.folder), row.read()
    serial = int(real["serial"], 16)
    row.change(**make(real))
    assert ca.revoke_servers([FE2], Reason.KEY_COMPROMISE, now) == {}
    assert lost_certificates(generations, {FE2}, None, now) == {serial: FE2}
    noted: list[AuditAct] = []

    def note(act: AuditAct, /, **_: object) -> None:
        noted.append(act)

    revoke(generations, serial, Reason.KEY_COMPROMISE, now, note, FE2)
    assert noted == [AuditAct.REVOKE]
    assert ca.crls.in_force().lists(serial)
    assert lost_certificates(generations, {FE2}, None, now) == {}
    row.engine.dispose()


REFUSE = {
    "sqlite": ["CREATE TRIGGER t BEFORE {} ON {} BEGIN SELECT RAISE(ABORT, 'no'); END"],
    "postgresql": [
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no'; END $$",
        "CREATE CONSTRAINT TRIGGER t AFTER {} ON {} DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION refuse()",
    ],
}
"""Triggers that end a transaction with an error; that of PostgreSQL does so at its end."""


@in_both
@pytest.mark.parametrize(("act", "table"), wide_after(1, [("UPDATE", "certificates"), ("INSERT", "lists")]))
def test_ledger_that_refuses_a_revocation_does_not_keep_it_out_of_the_crl(writer: Writer, act: str, table: str) -> None:
    """Control: `test_row_as_it_was_issued_is_revoked_by_its_name`."""
    ca, row = writer.network.organisation.ca, LedgerRow.of_fe2(writer)
    serial, number = int(row.read()["serial"], 16), ca.crls.in_force().number
    with row.engine.begin() as db:
        for statement in REFUSE[writer.engine.name]:
            db.exec_driver_sql(statement.format(act, row.table.replace("certificates", table)))
    with pytest.raises(UnrecordedRevocationError) as refused:
        ca.revoke_servers([FE2], Reason.KEY_COMPROMISE, datetime.now(UTC))
    assert refused.value.servers[serial] == FE2
    assert ca.crls.in_force().lists(serial)
    assert ca.crls.in_force().number > number
    row.engine.dispose()


@in_both
def test_row_as_it_was_issued_is_revoked_by_its_name(writer: Writer) -> None:
    ca, row = writer.network.organisation.ca, LedgerRow.of_fe2(writer)
    serial = int(row.read()["serial"], 16)
    assert serial in ca.revoke_servers([FE2], Reason.KEY_COMPROMISE, datetime.now(UTC))
    assert ca.crls.in_force().lists(serial)
    row.engine.dispose()


@on_loop
async def test_row_of_a_version_that_cannot_be_read_is_a_fault_and_ends_nothing(writer: Writer) -> None:
    managed = writer.network
    with Plane(managed, FE1) as plane:
        first = await leading(plane)
        with writer.engine.begin() as db:
            row = "VALUES (50, 'd', 'not a time', 'x', 'y', false, 'abc')"
            db.exec_driver_sql(f"INSERT INTO versions (number, digest, at, who, why, forced, jws) {row}")
        await plane.controller.follow()
        told = [fault.what for fault in plane.controller.own_faults.of_pool()]
        assert any("version 50 in the history cannot be read" in what for what in told)
        assert plane.number(FE1) == first
        assert (await plane.publish(without(FE2)))["version"] == 51
        assert (plane.number(MGMT), plane.number(FE1)) == (51, 51)
        assert plane.controller.own_faults.of_pool() == []


GARBAGE = {
    "certificate": {"names": "no JSON"},
    "certificate that differs": {"not_after": "2020-01-01T00:00:00+00:00"},
    "serial": {"serial": "zz"},
}


@pytest.mark.parametrize("change", GARBAGE.values(), ids=GARBAGE.keys())
@on_loop
async def test_changed_row_of_one_server_stops_no_certificate_of_another_one(
    writer: Writer, change: dict[str, Any]
) -> None:
    """The status names the row. Control: all rows as they were issued, and no fault."""
    managed, row = writer.network, LedgerRow.of_fe2(writer)
    real = row.read()
    with Plane(managed, FE1) as plane:
        await leading(plane)
        await plane.controller._issuing.check_ledger()
        assert plane.controller.own_faults.of_pool() == []
        row.change(**change)
        generations, now = CaGenerations(managed.folder(MGMT) / "ca"), datetime.now(UTC)
        loaded = plane.hosts[MGMT].view.loaded
        issued = generations.current.issue(certificate_names(loaded.topology, FE1), Role.FRONT_END, now)
        assert generations.has_issued(issued.certificate)
        assert FE1 not in [need.server for need in certificate_needs(loaded, generations, now)]
        assert not has_its_key_elsewhere(loaded, generations, FE1)
        assert [one.record.names[0] for one in generations.current.status(now).servers].count(FE1) == 2
        generations.current.crls.reissue(now)
        await plane.controller._issuing.check_ledger()
        [fault] = plane.controller.own_faults.of_pool()
        assert "the CA's ledger was changed" in fault.what
        row.change(**real)
        await plane.controller._issuing.check_ledger()
        assert plane.controller.own_faults.of_pool() == []
    row.engine.dispose()


LAST = 2**53 - 1
"""The last number of a version, and of a leader."""


def run(engine: sql.Engine, statement: str, number: int = 0) -> None:
    """Run a statement as the owner of the database, with ``:number`` in it."""
    with engine.begin() as db:
        db.execute(sql.text(statement), {"number": number} if ":number" in statement else {})


@on_loop
async def test_fencing_number_that_the_database_raises_is_signed_by_no_server(writer: Writer) -> None:
    """Otherwise no management server could sign anything any more that a server accepts."""
    managed = writer.network
    with Plane(managed, FE1) as plane:
        first, fencing = await leading(plane), plane.management_db.lease.fencing
        run(writer.engine, "DELETE FROM management_lease")
        run(writer.engine, "INSERT INTO management_lease VALUES (1, '', :number, 0, 0)", LAST - 1)
        with pytest.raises(OperatorError, match=f"fencing number {LAST - 1} is beyond .* to {fencing}$"):
            await plane.publish(without(FE2))
        await plane.controller.leadership.keep()
        assert (plane.number(MGMT), plane.number(FE1), managed.holding(FE1).fencing) == (first, first, fencing)
        if writer.engine.name == "postgresql":
            assert (fault := plane.controller.own_faults.of_databases().get(MANAGEMENT_DATABASE)) is not None
            assert "set `fencing` of management_lease" in fault.remedy
        run(writer.engine, "UPDATE management_lease SET fencing = :number", fencing)
        await plane.controller.leadership.keep()
        if plane.controller.leadership._taking_over is not None:
            await plane.controller.leadership._taking_over
        version = (await plane.publish(without(FE2)))["version"]
        assert (plane.number(MGMT), plane.number(FE1)) == (version, version)


@pytest.mark.parametrize("number", [LAST, 2**62])
@on_loop
async def test_next_version_that_the_database_raises_is_not_published(writer: Writer, number: int) -> None:
    managed = writer.network
    with Plane(managed, FE1) as plane:
        first = await leading(plane)
        run(writer.engine, "INSERT INTO versions_floors VALUES (:number)", number)
        with pytest.raises(
            OperatorError, match=f"version {number} is beyond .* remove the rows of versions_floors over"
        ):
            await plane.publish(without(FE2))
        assert (plane.number(MGMT), plane.number(FE1)) == (first, first)
        run(writer.engine, "DELETE FROM versions_floors WHERE at_least = :number", number)
        assert (await plane.publish(without(FE2)))["version"] == first + 1
        assert plane.number(FE1) == first + 1


@on_loop
async def test_row_of_the_last_version_takes_no_number_from_the_next_one(writer: Writer) -> None:
    managed = writer.network
    with Plane(managed, FE1) as plane:
        first = await leading(plane)
        writer.add(LAST, managed.signed(managed.payload(LAST), fencing=plane.management_db.lease.fencing))
        await plane.controller.follow()
        assert f"version {LAST} is beyond" in plane.controller.own_faults.of_pool()[0].what
        assert (await plane.publish(without(FE2)))["version"] == first + 1
        assert (plane.number(MGMT), plane.number(FE1)) == (first + 1, first + 1)


@in_both
@on_loop
async def test_line_that_was_cut_off_the_log_is_found_after_the_next_lines_too(writer: Writer) -> None:
    """The next line has its number, and the next version has the hash of a line that is there."""
    managed = writer.network
    with Plane(managed, FE1) as plane:
        await leading(plane)
        log = plane.management_db.audit
        log.append("mallory", AuditAct.USER, {"user": "sip:mallory@example.test"}, at=datetime.now(UTC))
        head = log.head()
        assert plane.management_db.history.verify() == []
        writer.cut_log()
        await plane.publish(without(FE2))
        [fault] = plane.management_db.history.verify()
        assert f"audit.head carries the hash {head[:12]}" in fault


@on_loop
async def test_row_of_a_user_that_cannot_be_read_keeps_no_other_user_from_the_servers(managed: Managed) -> None:
    """It is named in the log, and its user can log in nowhere."""
    engine = sql.create_engine(f"sqlite:///{managed.folder(MGMT)}/users.db", poolclass=sql.NullPool)
    with Plane(managed, FE1) as plane:
        run(engine, "UPDATE users SET ha1_sha256 = 'secret' WHERE aor = 'sip:bob@example.test'")
        plane.connect_all()
        await plane.controller.refresh_users()
        plane.exchange()
        plane.users.remove(f"sip:alice@{EXAMPLE}")
        await plane.controller.refresh_users()
        plane.exchange()
        front_end = plane.hosts[FE1]
        assert front_end.number == plane.users.number
        assert front_end.users is not None
        assert f"sip:alice@{EXAMPLE}" in front_end.users.gone
        [line] = plane.hosts[MGMT].told.events("user cannot be read, and is left out")
        assert line["user"] == f"sip:bob@{EXAMPLE}"
    engine.dispose()


@on_loop
async def test_number_of_the_users_that_the_database_raises_reaches_no_server(managed: Managed) -> None:
    """Otherwise no server would learn of a removed user or a new password."""
    engine = sql.create_engine(f"sqlite:///{managed.folder(MGMT)}/users.db", poolclass=sql.NullPool)
    with Plane(managed, FE1) as plane:
        plane.connect_all()
        await plane.controller.refresh_users()
        plane.exchange()
        known, front_end = plane.users.number, plane.hosts[FE1]
        assert front_end.number == known
        run(engine, "UPDATE users_version SET version = :number", 2**62)
        await plane.controller.refresh_users()
        plane.exchange()
        assert front_end.number == known
        assert any("users_version" in str(line) for line in plane.hosts[MGMT].told.lines)
        run(engine, "UPDATE users_version SET version = :number", known)
        plane.users.remove(f"sip:alice@{EXAMPLE}")
        await plane.controller.refresh_users()
        plane.exchange()
        assert front_end.number == known + 1
        assert front_end.users is not None
        assert f"sip:alice@{EXAMPLE}" in front_end.users.gone
    engine.dispose()
