"""All that would be lost with a host, in one file, and put back: whole or not at all."""

from __future__ import annotations

import io
import os
import shutil
import sqlite3
import stat
import tarfile
import threading
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from sipmesh.demo.organisation import Organisation
from sipmesh.errors import OperatorError
from sipmesh.pki.crl.builder import Reason
from sipmesh.pki.issuance.profiles import CertificateKind
from sipmesh.storage.audit import AuditAct
from sipmesh.storage.backup import EXPORTED_USERS, Manifest, back_up, copy_users, snapshot
from sipmesh.storage.management_db import DATABASE, ManagementDb
from sipmesh.storage.restore import JUMP, Restored, restore
from sipmesh.storage.users import Users
from sipmesh.storage.vault import CHUNK, ENTROPY_BYTES, TAG, Opened, Sealing, VaultError
from sipmesh.topology.view import certificate_names
from sipmesh.trust.revocation.crl import RevocationList
from sipmesh.trust.role import Role
from storage.publishing import made
from support.network import FE1, build_example

PASSPHRASE = "correct horse battery staple"
HEADER = 42
LATER = timedelta(seconds=100)


@pytest.fixture(name="organisation", scope="module")
def _organisation(tmp_path_factory: pytest.TempPathFactory) -> Organisation:
    """An organisation with two versions of its topology, and enough in its ledger for several chunks."""
    organisation = build_example(tmp_path_factory.mktemp("old") / "example.test")
    management_db = ManagementDb(organisation.folder)
    for base in range(2):
        management_db.history.publish(base, made, "ada", "because", at=datetime.now(UTC))
    management_db.close()
    (organisation.folder / "ca" / "notes.bin").write_bytes(os.urandom(2 * CHUNK))
    (organisation.folder / "state").mkdir()
    (organisation.folder / "state" / "fe1.token-key").write_bytes(b"secret of a start")
    return organisation


@pytest.fixture(name="file", scope="module")
def _file(organisation: Organisation, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("kept") / "example.backup"
    back_up(organisation.file, file, PASSPHRASE, datetime.now(UTC))
    return file


@pytest.fixture(name="back", scope="module")
def _back(file: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Restored]:
    """The backup, restored once for all who only look."""
    folder = tmp_path_factory.mktemp("new") / "example.test"
    return folder, restore(file, folder, PASSPHRASE, "ada (1000)", datetime.now(UTC) + LATER)


def moved(organisation: Organisation, folder: Path) -> Organisation:
    """The same organisation in the folder that it was restored to."""
    return Organisation(folder, organisation.domain, organisation.host, organisation.ports, organisation.document)


def listed(folder: Path, kind: CertificateKind = CertificateKind.ISSUING) -> RevocationList:
    return RevocationList.load((folder / "ca" / f"{kind}.crl").read_bytes())


def test_backup_is_for_its_owner_alone_and_shows_nothing(file: Path, organisation: Organisation) -> None:
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    content = file.read_bytes()
    for secret in (b"PRIVATE KEY", organisation.domain.encode(), b"topology"):
        assert secret not in content
    assert [one.name for one in file.parent.iterdir()] == [file.name]


def test_everything_is_back_that_cannot_be_made_anew_and_nothing_else(
    organisation: Organisation, back: tuple[Path, Restored]
) -> None:
    folder, _ = back
    old, new = (
        {one.relative_to(top).as_posix() for top in [root] for one in top.rglob("*") if one.is_file()}
        for root in (organisation.folder, folder)
    )
    assert new == {
        name for name in old if not name.startswith("state/") and not name.endswith((".lock", "-wal", "-shm"))
    } | {"ca/.lock"}
    for name in ("topology.yaml", "ca/issuing.key", "ca/root.pem", f"servers/{FE1}.key", "ca/notes.bin"):
        assert (folder / name).read_bytes() == (organisation.folder / name).read_bytes()
        assert (folder / name).stat().st_mode == (organisation.folder / name).stat().st_mode
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert moved(organisation, folder).load().faults == ()


def test_restored_ca_goes_on_and_gives_no_number_twice(organisation: Organisation, back: tuple[Path, Restored]) -> None:
    folder, restored = back
    assert restored.jump >= JUMP + LATER.total_seconds()
    for kind in (CertificateKind.ROOT, CertificateKind.ISSUING):
        assert listed(folder, kind).number > listed(organisation.folder, kind).number + restored.jump
    again, at = moved(organisation, folder), datetime.now(UTC) + 2 * LATER
    known = {one.serial for one in organisation.ca.certificates}
    assert known == {one.serial for one in again.ca.certificates}
    issued = again.ca.issue(certificate_names(again.load().topology, FE1), Role.FRONT_END, at)
    assert issued.certificate.serial_number not in known
    before = listed(folder).number
    old = x509.load_pem_x509_certificates((folder / "servers" / f"{FE1}.pem").read_bytes())[0]
    again.ca.revoke(old.serial_number, Reason.SUPERSEDED, at)
    assert listed(folder).number == before + 1
    assert listed(folder).serials == {old.serial_number}
    assert listed(folder).signed_by(again.ca.issuing)
    assert again.ca.crls.due(at) == ()


def test_versions_jump_and_the_audit_log_goes_on_and_tells_of_it(back: tuple[Path, Restored]) -> None:
    folder, restored = back
    management_db = ManagementDb(folder)
    *_, last = management_db.audit.read()
    assert (last.act, last.who) == (AuditAct.RESTORE, "ada (1000)")
    assert management_db.history.verify() == []
    assert restored.next_version == 2 + restored.jump
    assert management_db.history.publish(2, made, "ada", "after", at=datetime.now(UTC)).number == restored.next_version
    assert management_db.history.verify() == []
    management_db.close()


def test_users_are_back_under_a_number_that_nobody_has_seen(
    organisation: Organisation, back: tuple[Path, Restored]
) -> None:
    folder, restored = back
    old, new = Users(organisation.load().users_url), Users(moved(organisation, folder).load().users_url)
    for aor in ("sip:alice@example.test", "sip:bob@example.test"):
        assert new.verifier(aor) == old.verifier(aor) is not None
    assert new.number == old.number + restored.jump
    assert new.add("dora@example.test", "dora-pw").generation > new.number
    for users in (old, new):
        users.close()


# What is refused leaves nothing behind


def refused(file: Path, folder: Path, why: str, passphrase: str = PASSPHRASE) -> None:
    before = sorted(folder.parent.rglob("*"))
    with pytest.raises(OperatorError, match=why):
        restore(file, folder, passphrase, "ada", datetime.now(UTC))
    assert sorted(folder.parent.rglob("*")) == before


def test_another_passphrase_restores_nothing(file: Path, tmp_path: Path) -> None:
    refused(file, tmp_path / "new", "passphrase is wrong", PASSPHRASE + "!")


@pytest.mark.parametrize(
    "spoil",
    [
        lambda content: content[:HEADER],
        lambda content: content[: HEADER + CHUNK + TAG],
        lambda content: content[: HEADER + 2 * (CHUNK + TAG)],
        lambda content: content[:-1],
        lambda content: content + b"\0",
        lambda content: content[:-20] + bytes([content[-20] ^ 1]) + content[-19:],
        lambda content: content[:HEADER] + content[HEADER + CHUNK + TAG :],
    ],
    ids=[
        "header alone",
        "one chunk",
        "two chunks",
        "last byte gone",
        "one more",
        "a bit in the last chunk",
        "first gone",
    ],
)
def test_backup_that_was_changed_or_cut_off_restores_nothing(
    file: Path, tmp_path: Path, spoil: Callable[[bytes], bytes]
) -> None:
    """Up to the end of the last chunk: what came before it was whole, and must not be put in place all the same."""
    spoilt = tmp_path / "spoilt.backup"
    spoilt.write_bytes(spoil(file.read_bytes()))
    refused(spoilt, tmp_path / "new", "cannot be opened")


@pytest.mark.parametrize("content", [b"", b"PK\3\4 some other file", b"sipmesh-vault-1\n"])
def test_what_is_no_backup_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x").write_bytes(content)
    refused(tmp_path / "x", tmp_path / "new", "not a backup")
    refused(tmp_path / "absent", tmp_path / "new", "cannot be read")


def test_folder_that_holds_anything_is_left_alone_and_an_empty_one_is_taken(
    file: Path, tmp_path: Path, organisation: Organisation
) -> None:
    full, empty = tmp_path / "full", tmp_path / "empty"
    full.mkdir()
    empty.mkdir()
    (full / "kept").write_text("mine")
    refused(file, full, "is not empty")
    restore(file, empty, PASSPHRASE, "ada", datetime.now(UTC))
    assert moved(organisation, empty).ca.organisation == organisation.domain


def entry(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    found = tarfile.TarInfo(name)
    found.type, found.linkname, found.mode = kind, link, 0o4777
    found.size = 4 if kind == tarfile.REGTYPE else 0
    return found


def packed(file: Path, organisation: Organisation, *more: tarfile.TarInfo) -> Path:
    """A backup by somebody who knows the passphrase and adds entries of their own."""
    with file.open("wb") as stream:
        sealing = Sealing(stream, PASSPHRASE, os.urandom(ENTROPY_BYTES), log_n=4)
        with tarfile.open(fileobj=sealing, mode="w|") as tar:
            manifest = Manifest(organisation.domain, datetime.now(UTC), "", {}).encode()
            first = tarfile.TarInfo("backup.json")
            first.size = len(manifest)
            tar.addfile(first, io.BytesIO(manifest))
            for name in ("root.pem", "root.key", "issuing.pem", "issuing.key", "ledger.db"):
                tar.add(organisation.folder / "ca" / name, f"ca/{name}")
            for one in more:
                tar.addfile(one, io.BytesIO(b"evil") if one.isreg() else None)
        sealing.finish()
    return file


@pytest.mark.parametrize(
    "one",
    [
        entry("../outside"),
        entry("ca/../../outside"),
        entry("/tmp/outside"),  # noqa: S108 - where it must not go
        entry(""),
        entry("link", tarfile.SYMTYPE, "/etc"),
        entry("hard", tarfile.LNKTYPE, "ca/root.key"),
        entry("pipe", tarfile.FIFOTYPE),
        entry("device", tarfile.CHRTYPE),
        entry("folder", tarfile.DIRTYPE),
    ],
    ids=lambda one: one.name or "no name",
)
def test_entry_that_would_leave_the_folder_or_is_no_file_restores_nothing(
    organisation: Organisation, tmp_path: Path, one: tarfile.TarInfo
) -> None:
    spoilt = packed(tmp_path / "x.backup", organisation, one)
    refused(spoilt, tmp_path / "deep" / "new", "not restored|already|no readable archive")
    assert not (tmp_path / "outside").exists()


def test_entry_twice_restores_nothing_and_the_rightful_twin_does(organisation: Organisation, tmp_path: Path) -> None:
    """The twin is in the folder, and loses the rights that a file of ours never has."""
    with pytest.raises(OperatorError, match="twice"):
        restore(
            packed(tmp_path / "x.backup", organisation, entry("ca/root.pem")),
            tmp_path / "a",
            PASSPHRASE,
            "x",
            datetime.now(UTC),
        )
    assert not (tmp_path / "a").exists()
    rightful = packed(tmp_path / "y.backup", organisation, entry("more/file"))
    restored = restore(rightful, tmp_path / "b", PASSPHRASE, "x", datetime.now(UTC))
    assert restored.next_version is None
    assert (tmp_path / "b" / "more" / "file").read_bytes() == b"evil"
    assert stat.S_IMODE((tmp_path / "b" / "more" / "file").stat().st_mode) == 0o644


def test_archive_that_is_none_and_one_without_its_description_are_refused(tmp_path: Path) -> None:
    for content, why in ((b"x" * 2000, "no readable archive"), (tarfile.NUL * 10_240, "sipmesh did not make it")):
        file = tmp_path / "x.backup"
        with file.open("wb") as stream:
            sealing = Sealing(stream, PASSPHRASE, os.urandom(ENTROPY_BYTES), log_n=4)
            sealing.write(content)
            sealing.finish()
        refused(file, tmp_path / "new", why)


@pytest.mark.parametrize(
    "content",
    [
        b"[]",
        b"{}",
        b'{"format":2,"organisation":"x","at":"2026-01-01T00:00:00+00:00","users":"","elsewhere":{}}',
        b'{"format":1,"organisation":"x","at":"2026-01-01","users":"","elsewhere":{}}',
    ],
)
def test_description_of_another_format_is_refused(content: bytes) -> None:
    with pytest.raises(OperatorError, match="another release"):
        Manifest.decode(content)


# Making one


def test_backup_is_never_overwritten_nor_left_half_made(organisation: Organisation, tmp_path: Path) -> None:
    file = tmp_path / "x.backup"
    file.write_text("the last one")
    with pytest.raises(OperatorError, match="does not overwrite"):
        back_up(organisation.file, file, PASSPHRASE, datetime.now(UTC))
    with pytest.raises(OperatorError, match="12 characters"):
        back_up(organisation.file, tmp_path / "y.backup", "short", datetime.now(UTC))
    assert [one.name for one in tmp_path.iterdir()] == ["x.backup"]
    assert file.read_text() == "the last one"


def test_databases_that_are_written_to_meanwhile_are_copied_as_they_were_at_one_instant(tmp_path: Path) -> None:
    """Every change writes two rows that must be the same: a copy never shows one without the other."""
    file = tmp_path / "x.db"
    with closing(sqlite3.connect(file)) as db:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("CREATE TABLE both (id INTEGER PRIMARY KEY, n INTEGER, ballast BLOB)")
        db.executemany("INSERT INTO both VALUES (?, 0, zeroblob(400000))", [(0,), (1,)])
        db.commit()
    stop = threading.Event()

    def write() -> None:
        with closing(sqlite3.connect(file, timeout=30)) as db:
            while not stop.is_set():
                with db:
                    db.execute("UPDATE both SET n = n + 1, ballast = randomblob(400000) WHERE id = 0")
                    db.execute("UPDATE both SET n = n + 1 WHERE id = 1")

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for turn in range(25):
            copy = tmp_path / f"{turn}.db"
            copy.write_bytes(snapshot(file))
            with closing(sqlite3.connect(copy)) as db:
                first, second = (n for (n,) in db.execute("SELECT n FROM both ORDER BY id"))
                assert first == second
                assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    finally:
        stop.set()
        writer.join()


def test_backup_of_a_draft_that_is_not_in_order_goes_by_the_draft_before(
    organisation: Organisation, tmp_path: Path
) -> None:
    """Without a version that can be read there is none; with the CA alone nobody knows which files belong to it."""
    folder = tmp_path / "e"
    shutil.copytree(organisation.folder, folder)
    (folder / "topology.yaml").write_text("sipmesh: 1\n")
    with pytest.raises(OperatorError):
        back_up(folder / "topology.yaml", tmp_path / "x.backup", PASSPHRASE, datetime.now(UTC))
    (folder / DATABASE).unlink()
    with pytest.raises(OperatorError):
        back_up(folder / "topology.yaml", tmp_path / "x.backup", PASSPHRASE, datetime.now(UTC))
    assert [one.name for one in tmp_path.iterdir()] == ["e"]


def test_files_that_the_topology_names_elsewhere_come_along_and_are_told(
    organisation: Organisation, tmp_path: Path
) -> None:
    folder, away = tmp_path / "e", tmp_path / "away"
    shutil.copytree(organisation.folder, folder)
    away.mkdir()
    (away / "root.pem").write_bytes((folder / "ca" / "root.pem").read_bytes())
    (folder / "users.db").rename(away / "people.db")
    text = (folder / "topology.yaml").read_text().replace("ca/root.pem", "../away/root.pem")
    (folder / "topology.yaml").write_text(f"{text}\nstorage: {{users: 'sqlite:///{away}/people.db'}}\n")
    file = tmp_path / "x.backup"
    manifest = back_up(folder / "topology.yaml", file, PASSPHRASE, datetime.now(UTC))
    assert manifest.elsewhere == {
        f"{away}/root.pem": "elsewhere/1-root.pem",
        f"{away}/people.db": "elsewhere/2-people.db",
    }
    restored = restore(file, tmp_path / "new", PASSPHRASE, "ada", datetime.now(UTC))
    assert restored.manifest.users == "elsewhere/2-people.db"
    users = Users(tmp_path / "new" / "elsewhere" / "2-people.db")
    assert users.number > JUMP
    users.close()


def test_root_key_that_is_kept_elsewhere_is_not_missed_by_the_backup_and_told_by_the_restore(
    organisation: Organisation, tmp_path: Path
) -> None:
    folder = tmp_path / "e"
    shutil.copytree(organisation.folder, folder)
    (folder / "ca" / "root.key").unlink()
    file = tmp_path / "x.backup"
    back_up(folder / "topology.yaml", file, PASSPHRASE, datetime.now(UTC))
    restored = restore(file, tmp_path / "new", PASSPHRASE, "ada", datetime.now(UTC))
    assert restored.keys_missing == (CertificateKind.ROOT,)
    assert (
        listed(tmp_path / "new", CertificateKind.ROOT).number
        == listed(organisation.folder, CertificateKind.ROOT).number
    )
    assert listed(tmp_path / "new").number > JUMP


def test_users_are_copied_into_a_database_without_users_only(organisation: Organisation, tmp_path: Path) -> None:
    """So do users who are in PostgreSQL travel: by their rows."""
    url = organisation.load().users_url
    assert copy_users(url, tmp_path / EXPORTED_USERS) == 3
    copied, original = Users(tmp_path / EXPORTED_USERS), Users(url)
    assert copied.list() == original.list()
    assert copied.number == original.number
    with pytest.raises(OperatorError, match="already has users"):
        copied.copy_to(original)
    for users in (copied, original):
        users.close()


@pytest.mark.peer("postgresql")
def test_users_in_postgresql_come_along_by_their_rows(
    organisation: Organisation, tmp_path: Path, postgres_url: str
) -> None:
    folder = tmp_path / "e"
    shutil.copytree(organisation.folder, folder)
    count = copy_users(folder / "users.db", postgres_url)
    with (folder / "topology.yaml").open("a") as draft:
        draft.write(f"\nstorage: {{users: '{postgres_url}'}}\n")
    file = tmp_path / "x.backup"
    back_up(folder / "topology.yaml", file, PASSPHRASE, datetime.now(UTC))
    restored = restore(file, tmp_path / "new", PASSPHRASE, "ada", datetime.now(UTC))
    assert restored.manifest.users == EXPORTED_USERS
    exported, original = Users(tmp_path / "new" / EXPORTED_USERS), Users(postgres_url)
    assert list(exported.list()) == list(original.list())
    assert len(exported.list()) == count
    assert exported.number >= original.number + JUMP
    for users in (exported, original):
        users.close()


def test_vault_error_is_one_that_an_operator_understands(file: Path) -> None:
    with pytest.raises(VaultError, match="passphrase is wrong"), file.open("rb") as stream:
        io.BufferedReader(Opened(stream, "something else entirely")).read()


def test_last_step_that_fails_leaves_nothing_behind(file: Path, tmp_path: Path) -> None:
    def fails(made: Path) -> None:
        assert (made / "topology.yaml").is_file()
        raise OperatorError("no")

    with pytest.raises(OperatorError, match="no"):
        restore(file, tmp_path / "new", PASSPHRASE, "ada", datetime.now(UTC), last=fails)
    assert list(tmp_path.iterdir()) == []
