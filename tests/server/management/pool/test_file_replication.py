"""The CA reaches each management host sealed, and neither the database nor who can write to it gets a key or plants a file."""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sql
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, mldsa
from cryptography.hazmat.primitives.serialization import Encoding

from sipmesh.database.number_ceilings import FILE_NUMBERS
from sipmesh.database.shared import FILE, SharedDatabase
from sipmesh.demo.forge import Forge, Wish
from sipmesh.errors import OperatorError, RemoteError
from sipmesh.pki import files
from sipmesh.pki.ca_rotation import CaGenerations
from sipmesh.pki.crl.builder import Reason
from sipmesh.pki.ledger import checked_records
from sipmesh.pki.offline.cross_certificate import CROSS
from sipmesh.pki.offline.request import DETACHED
from sipmesh.server.management.pool import file_replication
from sipmesh.server.management.pool.file_replication import KIND, FileGiver, FileReceiver, _opened, _payload
from sipmesh.server.management.pool.joining import join_pool
from sipmesh.server.management.publishing.document_signing import sign_as
from sipmesh.server.replication.document_store import DocumentStore
from sipmesh.storage.management_db import ManagementDb
from sipmesh.storage.management_files import StoredFile
from sipmesh.topology.versions.jose import open_signed
from sipmesh.topology.view import ServerView, view
from sipmesh.trust.role import Role
from support.managed import MGMT, MGMT2
from support.network import EXAMPLE, FE1, FE2
from support.pool import Pool

pytestmark = pytest.mark.peer("postgresql")
PLANTED = FILE_NUMBERS.at(datetime.now(UTC)) - 1
"""The number of a planted file: above all of the leader, and a number that a leader can have."""


@dataclass
class Ends:
    """Both ends: the leader's view and the folder of the other server, which has joined the network only."""

    pool: Pool
    leader: ManagementDb
    follower: ManagementDb
    view: ServerView
    giver: FileGiver
    receiver: FileReceiver

    def give(self) -> list[str]:
        return self.giver.give(self.view)

    def receive(self) -> list[str]:
        certificate, key = self.folder / "servers" / f"{MGMT2}.pem", self.folder / "servers" / f"{MGMT2}.key"
        return self.receiver.receive(self.view.loaded, certificate, key)

    @property
    def folder(self) -> Path:
        return self.pool.network.folder(MGMT2)

    def rows(self) -> list[StoredFile]:
        return list(self.leader.files.since(MGMT2, 0))

    def plant(self, name: str, document: bytes, number: int = PLANTED) -> None:
        """Write a row as who can write to the database."""
        engine = sql.create_engine(self.pool.url, poolclass=sql.NullPool)
        statement = "INSERT INTO management_files VALUES (:server, :name, :number, '', :document)"
        with engine.begin() as db:
            db.execute(sql.text(statement), {"server": MGMT2, "name": name, "number": number, "document": document})
        engine.dispose()


@pytest.fixture(name="ends")
def _ends(pool: Pool) -> Iterator[Ends]:
    organisation = pool.network.organisation
    pool.join()
    leader = ManagementDb(organisation.folder)
    leader.lease.must_lead()
    documents = DocumentStore(pool.network.folder(MGMT2), MGMT2)
    follower = ManagementDb(documents.folder, SharedDatabase(pool.url, MGMT2))
    ours = view(organisation.load(), MGMT)
    yield Ends(pool, leader, follower, ours, FileGiver(leader), FileReceiver(follower, documents))
    leader.close()
    follower.close()


@pytest.mark.wide
def test_each_file_of_the_ca_arrives_and_only_what_changes_is_sealed_again(ends: Ends) -> None:
    given = ends.give()
    assert f"{MGMT2}: ca/issuing.key" in given
    assert ends.give() == []
    received = ends.receive()
    assert {"ca/issuing.key", "ca/root.key", "ca/root.pem", "ca/issuing.pem"} <= set(received)
    assert ends.receive() == []
    key = ends.folder / "ca" / "issuing.key"
    assert key.read_bytes() == (ends.view.loaded.folder / "ca" / "issuing.key").read_bytes()
    assert key.stat().st_mode & 0o777 == 0o600
    ends.pool.network.organisation.ca.crls.publish(datetime.now(UTC))
    assert ends.give() == [f"{MGMT2}: ca/issuing.crl"]
    assert ends.receive() == ["ca/issuing.crl"]


def test_root_key_that_was_moved_offline_leaves_each_host_and_the_database(ends: Ends) -> None:
    ends.give()
    ends.receive()
    ours, theirs = ends.view.loaded.folder / "ca", ends.folder / "ca"
    content = (theirs / "root.key").read_bytes()
    ends.leader.files.put(MGMT, [StoredFile("ca/root.key", 1, "", b"from the leader before")])
    (ours / DETACHED).write_text("{}\n")
    ends.give()
    assert "ca/root.key" not in {row.name for row in ends.rows()}
    assert ends.leader.files.since(MGMT, 0) == []
    assert "ca/root.detached.json" in ends.receive()
    assert not (theirs / "root.key").exists()
    assert (theirs / "issuing.key").exists()
    number = ends.rows()[-1].number + 1
    planted = _payload(MGMT2, "ca/root.key", number, content, _key_of(ends))
    signed = sign_as(ends.view, planted, KIND, datetime.now(UTC), ends.leader.lease.fencing)
    ends.plant("ca/root.key", signed, number)
    assert ends.receive() == []
    assert not (theirs / "root.key").exists()


def _key_of(ends: Ends) -> ec.EllipticCurvePublicKey:
    key = files.read_key(ends.folder / "servers" / f"{MGMT2}.key").public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    return key


@pytest.mark.wide
def test_database_has_no_key_in_the_clear(ends: Ends) -> None:
    ends.give()
    secrets = [file.read_bytes() for file in (ends.view.loaded.folder / "ca").glob("*.key")]
    assert secrets
    for row in ends.rows():
        signed = open_signed(row.document, KIND)
        sealed = b64decode(json.loads(signed.payload)["sealed"])
        assert not any(secret[:60] in part for secret in secrets for part in (row.document, signed.payload, sealed))


def test_nothing_is_sealed_for_a_key_without_a_certificate_that_counts(
    ends: Ends, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A row in the ledger is not enough: the issuing CA must have signed it, and its CRL must not list it."""
    theirs = Forge(datetime.now(UTC)).organisation(EXAMPLE)
    forged = Forge(datetime.now(UTC)).forge(Wish(MGMT2, dns=(MGMT2,), ends=timedelta(days=9)), theirs)
    ledger = ends.pool.network.organisation.ca
    real = next(
        record for record in reversed(ledger.certificates) if record.names[0] == MGMT2 and record.kind == "server"
    )
    assert real.der is not None
    engine = sql.create_engine(ends.pool.url, poolclass=sql.NullPool)

    def replaced(der: bytes) -> None:
        with engine.begin() as db:
            update = sql.text("UPDATE ca1_certificates SET der = :der WHERE serial = :serial")
            db.execute(update, {"der": der, "serial": real.serial_hex})

    replaced(forged.certificate.public_bytes(Encoding.DER))
    assert ends.give() == []
    with monkeypatch.context() as patched:
        patched.setattr(checked_records, "why_record_differs", lambda _: "")
        assert ends.give() == []
    replaced(real.der)
    ends.giver = FileGiver(ends.leader)
    assert ends.give()
    ledger.revoke(real.serial, Reason.KEY_COMPROMISE, datetime.now(UTC))
    with engine.begin() as db:
        db.exec_driver_sql("UPDATE ca1_certificates SET revoked_at = NULL, reason = NULL")
    engine.dispose()
    ends.giver = FileGiver(ends.leader)
    assert ends.give() == []


@pytest.mark.parametrize("is_compared", [True, False])
def test_nothing_is_sealed_for_the_key_of_another_server(
    ends: Ends, monkeypatch: pytest.MonkeyPatch, *, is_compared: bool
) -> None:
    """An attacker with the key of a front end, and the database, puts its certificate into the row of a management server.

    Neither its key nor a new certificate for it is given, also if the rows are not compared with their certificates.
    """
    if not is_compared:
        monkeypatch.setattr(checked_records, "why_record_differs", lambda _: "")
    monkeypatch.setattr(file_replication, "is_due", lambda *_: True)
    records = ends.pool.network.organisation.ca.certificates
    theirs = next(record.der for record in records if record.names[0] == FE2 and record.kind == "server")
    real = next(record for record in reversed(records) if record.names[0] == MGMT2 and record.kind == "server")
    engine = sql.create_engine(ends.pool.url, poolclass=sql.NullPool)
    statement = sql.text("UPDATE ca1_certificates SET der = :der WHERE serial = :serial")
    with engine.begin() as db:
        db.execute(statement, {"der": theirs, "serial": real.serial_hex})
    assert ends.give() == []
    assert ends.rows() == []
    with engine.begin() as db:
        assert db.exec_driver_sql("SELECT count(*) FROM ca1_certificates").scalar_one() == len(records)
        db.execute(statement, {"der": real.der, "serial": real.serial_hex})
    engine.dispose()
    assert f"{MGMT2}: ca/root.key" in FileGiver(ends.leader).give(ends.view)


def test_expired_certificate_in_a_row_with_other_dates_does_not_count(
    ends: Ends, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No file is sealed to its key, and no new certificate is issued for it."""
    ca = ends.pool.network.organisation.ca
    after = max(record.not_after for record in ca.certificates if record.kind == "server") + timedelta(seconds=1)
    engine = sql.create_engine(ends.pool.url, poolclass=sql.NullPool)
    with engine.begin() as db:
        ends_at = (after + timedelta(days=99)).isoformat()
        db.execute(sql.text("UPDATE ca1_certificates SET not_after = :at WHERE kind = 'server'"), {"at": ends_at})
    engine.dispose()
    monkeypatch.setattr(checked_records, "why_record_differs", lambda _: "")
    with monkeypatch.context() as later:
        later.setattr(file_replication, "now_utc", lambda: after)
        assert ends.give() == []
    assert ends.rows() == []
    assert f"{MGMT2}: ca/root.key" in FileGiver(ends.leader).give(ends.view)


def test_nothing_is_opened_with_a_key_to_which_nothing_can_be_sealed() -> None:
    with pytest.raises(OperatorError, match="sealed to keys of ECDSA"):
        _opened(b"{}", MGMT2, PLANTED, mldsa.MLDSA44PrivateKey.generate())


def test_planted_file_is_refused_and_those_of_the_leader_are_written(ends: Ends) -> None:
    network = ends.pool.network
    ends.give()
    ends.receive()
    theirs = x509.load_pem_x509_certificates((ends.folder / "servers" / f"{MGMT2}.pem").read_bytes())[0]
    public = files.read_key(ends.folder / "servers" / f"{MGMT2}.key").public_key()
    assert isinstance(public, ec.EllipticCurvePublicKey)
    assert theirs.public_key() == public
    payload = _payload(MGMT2, "ca/root.pem", PLANTED, b"another root", public)
    fencing = ends.leader.lease.fencing
    outside = _payload(MGMT2, "ca/../servers/x.key", PLANTED, b"x", public)
    for document in (
        network.signed(payload, network.credentials(FE1), KIND, fencing),
        network.signed(payload, kind=KIND, fencing=fencing - 1),
        network.signed(_payload(MGMT, "ca/root.pem", PLANTED, b"x", public), kind=KIND, fencing=fencing),
        network.signed(_payload(MGMT2, "ca/root.pem", PLANTED - 1, b"x", public), kind=KIND, fencing=fencing),
        network.signed(outside, kind=KIND, fencing=fencing),
        network.signed(b"[]", kind=KIND, fencing=fencing),
        b"nothing",
    ):
        ends.plant("planted", document)
        with pytest.raises(RemoteError):
            ends.receive()
        with sql.create_engine(ends.pool.url, poolclass=sql.NullPool).begin() as db:
            db.exec_driver_sql("DELETE FROM management_files WHERE name = 'planted'")
    assert (ends.folder / "ca" / "root.pem").read_bytes() == (ends.view.loaded.folder / "ca" / "root.pem").read_bytes()
    ends.plant("planted", network.signed(payload, kind=KIND, fencing=fencing))
    assert ends.receive() == ["ca/root.pem"]


def test_number_of_a_file_beyond_the_clock_is_refused_at_both_ends(ends: Ends) -> None:
    """Otherwise no later file would count, such as the CRL of a stolen server."""
    number, leaf = 2**63 - 9, ends.folder / "servers" / f"{MGMT2}.pem"
    public = x509.load_pem_x509_certificates(leaf.read_bytes())[0].public_key()
    assert isinstance(public, ec.EllipticCurvePublicKey)
    ends.give()
    ends.receive()
    payload = _payload(MGMT2, "ca/root.pem", number, b"x", public)
    ends.plant("planted", ends.pool.network.signed(payload, kind=KIND, fencing=ends.leader.lease.fencing), number)
    with pytest.raises(RemoteError, match=f"file of number {number} is beyond"):
        ends.receive()
    ends.giver = FileGiver(ends.leader)
    (ends.view.loaded.folder / "ca" / "root.crl").write_bytes(crl := b"a later one")
    with pytest.raises(
        OperatorError, match=f"file of number {number} is beyond .* remove the rows of management_files"
    ):
        ends.give()
    with sql.create_engine(ends.pool.url, poolclass=sql.NullPool).begin() as db:
        db.exec_driver_sql("DELETE FROM management_files WHERE name = 'planted'")
    assert ends.give() == [f"{MGMT2}: ca/root.crl"]
    assert ends.receive() == ["ca/root.crl"]
    assert (ends.folder / "ca" / "root.crl").read_bytes() == crl


def test_join_forgets_the_number_of_a_file_that_no_leader_can_have(ends: Ends) -> None:
    ends.give()
    file = ends.folder / "servers" / f"{MGMT2}.files"
    file.write_bytes(b"%d" % 2**62)
    assert ends.receive() == []
    assert join_pool(ends.folder, SharedDatabase(ends.pool.url, MGMT2))
    assert int(file.read_bytes()) < FILE_NUMBERS.at(datetime.now(UTC))


@pytest.mark.wide
def test_root_that_a_lost_host_has_prepared_does_not_stop_the_other_one(ends: Ends) -> None:
    """The shared database has the ledger of that root, and no other host has its key."""
    ends.give()
    shared, now = SharedDatabase(ends.pool.url, MGMT2), datetime.now(UTC)
    assert join_pool(ends.folder, shared)
    lost = CaGenerations(ends.view.loaded.folder / "ca").prepare(now)
    ends.leader.lease.release()
    assert ends.follower.lease.claim()
    generations = CaGenerations(ends.folder / "ca")
    made = generations.prepare(now)
    assert (lost.folder.name, made.folder.name) == ("2", "3")
    issued = generations.current.issue((FE1,), Role.FRONT_END, now).certificate.serial_number
    generations.current.revoke(issued, Reason.SUPERSEDED, now)
    assert [ca.crls.in_force().lists(issued) for ca in generations.alive] == [True, False]
    assert generations.activate().folder == made.folder


@pytest.mark.wide
def test_host_that_follows_shows_the_new_root_after_the_switch(ends: Ends) -> None:
    """It keeps the file of the cross-certificate, whose root no server trusts once the old root is removed."""
    generations, now = CaGenerations(ends.view.loaded.folder / "ca"), datetime.now(UTC)
    generations.prepare(now)
    generations.activate()
    ends.give()
    ends.receive()
    files.write(ends.folder / FILE, SharedDatabase(ends.pool.url, MGMT2).encode(), files.SECRET)
    follower = CaGenerations(ends.folder / "ca")
    assert (follower.is_crossed, follower.current.shown) == (True, generations.current.shown)
    generations.switch()
    ends.give()
    ends.receive()
    assert (follower.current.folder / CROSS).exists()
    assert (follower.is_crossed, follower.current.shown) == (False, generations.current.issuing)


@pytest.mark.wide
def test_files_of_a_ca_that_is_not_complete_are_not_given(ends: Ends) -> None:
    beside = ends.view.loaded.folder / "ca" / ".2.abcd"
    beside.mkdir()
    (beside / "root.key").write_bytes(b"half of a CA")
    ends.give()
    assert not [row.name for row in ends.rows() if "abcd" in row.name]


@pytest.mark.wide
def test_server_with_another_key_gets_an_error_about_it(ends: Ends) -> None:
    ends.give()
    files.write(ends.folder / "servers" / f"{MGMT2}.key", files.key_pem(files.new_key()), files.SECRET)
    with pytest.raises(OperatorError, match="sealed to another key"):
        ends.receive()


@pytest.mark.wide
def test_certificate_of_the_other_server_is_renewed_for_its_key(ends: Ends, monkeypatch: pytest.MonkeyPatch) -> None:
    ends.give()
    ends.receive()
    before = x509.load_pem_x509_certificates((ends.folder / "servers" / f"{MGMT2}.pem").read_bytes())[0]
    monkeypatch.setattr(file_replication, "is_due", lambda leaf, _: leaf == before)
    ends.giver = FileGiver(ends.leader)
    assert f"{MGMT2}: certificate" in ends.give()
    ends.receive()
    after = x509.load_pem_x509_certificates((ends.folder / "servers" / f"{MGMT2}.pem").read_bytes())[0]
    assert after.serial_number != before.serial_number
    assert after.public_key() == before.public_key()
    assert ends.pool.network.organisation.ca.certificates[-1].serial == after.serial_number
    assert ends.leader.audit.read()[-1].about["server"] == MGMT2


def test_overtaken_leader_seals_nothing(ends: Ends) -> None:
    assert ends.give()
    with sql.create_engine(ends.pool.url, poolclass=sql.NullPool).begin() as db:
        db.exec_driver_sql("UPDATE management_lease SET until = 0")
    assert ends.follower.lease.claim()
    ends.pool.network.organisation.file.touch()
    ends.giver = FileGiver(ends.leader)
    (ends.view.loaded.folder / "ca" / "notes.pem").write_bytes(b"changed")
    with pytest.raises(OperatorError, match=f"{MGMT2} leads"):
        ends.give()


@pytest.mark.wide
def test_earlier_file_of_the_leader_does_not_count_again(ends: Ends) -> None:
    """An attacker who can write to the database keeps its rows, and puts one back, also with no row left."""
    ends.give()
    ends.receive()
    [old] = [row for row in ends.rows() if row.name == "ca/issuing.crl"]
    ends.pool.network.organisation.ca.crls.publish(datetime.now(UTC))
    assert ends.give() == [f"{MGMT2}: ca/issuing.crl"]
    assert ends.receive() == ["ca/issuing.crl"]
    new = (ends.folder / "ca" / "issuing.crl").read_bytes()
    with sql.create_engine(ends.pool.url, poolclass=sql.NullPool).begin() as db:
        db.exec_driver_sql("DELETE FROM management_files")
    ends.plant("ca/issuing.crl", old.document, old.number)
    ends.receiver = FileReceiver(ends.follower, DocumentStore(ends.folder, MGMT2))  # as after a restart
    assert ends.receive() == []
    ends.giver = FileGiver(ends.leader)
    assert f"{MGMT2}: ca/issuing.crl" in ends.give()
    assert ends.receive() == []
    assert (ends.folder / "ca" / "issuing.crl").read_bytes() == new


def test_older_crl_is_not_written_under_a_new_number(ends: Ends) -> None:
    ends.give()
    ends.receive()
    file, network = ends.folder / "ca" / "issuing.crl", ends.pool.network
    old = file.read_bytes()
    network.organisation.ca.crls.publish(datetime.now(UTC))
    ends.give()
    assert ends.receive() == ["ca/issuing.crl"]
    public = files.read_key(ends.folder / "servers" / f"{MGMT2}.key").public_key()
    assert isinstance(public, ec.EllipticCurvePublicKey)
    document = network.signed(
        _payload(MGMT2, "ca/issuing.crl", PLANTED, old, public), kind=KIND, fencing=ends.leader.lease.fencing
    )
    ends.plant("planted", document)
    assert ends.receive() == []
    assert file.read_bytes() != old
