"""Restoring a backup: completely or not at all, and with numbers that were never used."""

from __future__ import annotations

import io
import os
import shutil
import stat
import tarfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509

from sipmesh.demo.organisation import Organisation
from sipmesh.errors import OperatorError
from sipmesh.pki.crl.builder import Reason
from sipmesh.pki.issuance.profiles import CertificateKind
from sipmesh.pki.ledger.ledger import FENCED
from sipmesh.storage.audit_act import AuditAct
from sipmesh.storage.backup.create import Manifest, back_up
from sipmesh.storage.backup.restore import JUMP, Restored, restore
from sipmesh.storage.backup.vault import CHUNK, ENTROPY_BYTES, TAG, Sealing
from sipmesh.storage.management_db import ManagementDb
from sipmesh.storage.users.user_database import Users
from sipmesh.topology.view import certificate_names
from sipmesh.trust.role import Role
from storage.backups import CHEAP_LOG_N, LATER, PASSPHRASE, listed, moved
from storage.publishing import made
from support.network import FE1

HEADER = 42


def test_restored_ca_uses_no_number_twice(backed_up: Organisation, back: tuple[Path, Restored]) -> None:
    folder, restored = back
    assert restored.jump >= JUMP + LATER.total_seconds()
    for kind in (CertificateKind.ROOT, CertificateKind.ISSUING):
        assert listed(folder, kind).number > listed(backed_up.folder, kind).number + restored.jump
    again, at = moved(backed_up, folder), datetime.now(UTC) + 2 * LATER
    known = {one.serial for one in backed_up.ca.certificates}
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


def test_version_number_jumps_and_the_audit_log_records_it(back: tuple[Path, Restored]) -> None:
    folder, restored = back
    management_db = ManagementDb(folder)
    *_, last = management_db.audit.read()
    assert (last.act, last.who) == (AuditAct.RESTORE, "ada (1000)")
    assert management_db.history.verify() == []
    assert restored.next_version == 2 + restored.jump
    assert management_db.lease.fencing == restored.jump
    assert listed(folder).number // FENCED == restored.jump
    assert management_db.history.publish(2, made, "ada", "after", at=datetime.now(UTC)).number == restored.next_version
    assert management_db.history.verify() == []
    management_db.close()


def test_users_are_restored_with_an_unused_number(backed_up: Organisation, back: tuple[Path, Restored]) -> None:
    folder, restored = back
    old, new = Users(backed_up.load().users_url), Users(moved(backed_up, folder).load().users_url)
    for aor in ("sip:alice@example.test", "sip:bob@example.test"):
        assert new.verifier(aor) == old.verifier(aor) is not None
    assert new.number == old.number + restored.jump
    assert new.add("dora@example.test", "dora-pw").generation > new.number
    for users in (old, new):
        users.close()


def refused(file: Path, folder: Path, why: str, passphrase: str = PASSPHRASE) -> None:
    before = sorted(folder.parent.rglob("*"))
    with pytest.raises(OperatorError, match=why):
        restore(file, folder, passphrase, "ada", datetime.now(UTC))
    assert sorted(folder.parent.rglob("*")) == before


def test_another_passphrase_restores_nothing(backup: Path, tmp_path: Path) -> None:
    refused(backup, tmp_path / "new", "passphrase is wrong", PASSPHRASE + "!")


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
    backup: Path, tmp_path: Path, spoil: Callable[[bytes], bytes]
) -> None:
    """Up to the end of the last chunk: the earlier chunks were complete, and must not be restored all the same."""
    spoilt = tmp_path / "spoilt.backup"
    spoilt.write_bytes(spoil(backup.read_bytes()))
    refused(spoilt, tmp_path / "new", "cannot be opened")


@pytest.mark.parametrize("content", [b"", b"PK\3\4 some other file", b"sipmesh-vault-1\n"])
def test_other_file_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x").write_bytes(content)
    refused(tmp_path / "x", tmp_path / "new", "not a backup")
    refused(tmp_path / "not there", tmp_path / "new", "cannot be read")


def test_only_an_empty_or_missing_folder_is_accepted(backup: Path, tmp_path: Path, backed_up: Organisation) -> None:
    full, empty = tmp_path / "full", tmp_path / "empty"
    full.mkdir()
    empty.mkdir()
    (full / "kept").write_text("mine")
    refused(backup, full, "is not empty")
    restore(backup, empty, PASSPHRASE, "ada", datetime.now(UTC))
    assert moved(backed_up, empty).ca.organisation == backed_up.domain


def entry(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    found = tarfile.TarInfo(name)
    found.type, found.linkname, found.mode = kind, link, 0o4777
    found.size = 4 if kind == tarfile.REGTYPE else 0
    return found


def packed(file: Path, organisation: Organisation, *more: tarfile.TarInfo) -> Path:
    """A backup by a user who knows the passphrase and adds other entries."""
    with file.open("wb") as stream:
        sealing = Sealing(stream, PASSPHRASE, os.urandom(ENTROPY_BYTES), log_n=CHEAP_LOG_N)
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
        entry("/tmp/outside"),  # noqa: S108 - a path that must not be written
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
    backed_up: Organisation, tmp_path: Path, one: tarfile.TarInfo
) -> None:
    spoilt = packed(tmp_path / "x.backup", backed_up, one)
    refused(spoilt, tmp_path / "deep" / "new", "not restored|already|no readable archive")
    assert not (tmp_path / "outside").exists()


def test_duplicate_entry_restores_nothing_and_a_single_one_does(backed_up: Organisation, tmp_path: Path) -> None:
    """The control is in the folder, and loses the rights that our files never have."""
    with pytest.raises(OperatorError, match="twice"):
        restore(
            packed(tmp_path / "x.backup", backed_up, entry("ca/root.pem")),
            tmp_path / "a",
            PASSPHRASE,
            "x",
            datetime.now(UTC),
        )
    assert not (tmp_path / "a").exists()
    rightful = packed(tmp_path / "y.backup", backed_up, entry("more/file"))
    restored = restore(rightful, tmp_path / "b", PASSPHRASE, "x", datetime.now(UTC))
    assert restored.next_version is None
    assert (tmp_path / "b" / "more" / "file").read_bytes() == b"evil"
    assert stat.S_IMODE((tmp_path / "b" / "more" / "file").stat().st_mode) == 0o644


def test_file_without_an_archive_or_a_manifest_is_refused(tmp_path: Path) -> None:
    for content, why in ((b"x" * 2000, "no readable archive"), (tarfile.NUL * 10_240, "sipmesh did not make it")):
        file = tmp_path / "x.backup"
        with file.open("wb") as stream:
            sealing = Sealing(stream, PASSPHRASE, os.urandom(ENTROPY_BYTES), log_n=CHEAP_LOG_N)
            sealing.write(content)
            sealing.finish()
        refused(file, tmp_path / "new", why)


def test_offline_root_key_is_not_needed_by_the_backup_and_named_by_the_restore(
    backed_up: Organisation, tmp_path: Path
) -> None:
    folder = tmp_path / "e"
    shutil.copytree(backed_up.folder, folder)
    (folder / "ca" / "root.key").unlink()
    file = tmp_path / "x.backup"
    back_up(folder / "topology.yaml", file, PASSPHRASE, datetime.now(UTC))
    restored = restore(file, tmp_path / "new", PASSPHRASE, "ada", datetime.now(UTC))
    assert restored.keys_missing == (CertificateKind.ROOT,)
    assert (
        listed(tmp_path / "new", CertificateKind.ROOT).number == listed(backed_up.folder, CertificateKind.ROOT).number
    )
    assert listed(tmp_path / "new").number > JUMP


def test_failed_last_step_leaves_no_files(backup: Path, tmp_path: Path) -> None:
    def fails(made: Path) -> None:
        assert (made / "topology.yaml").is_file()
        raise OperatorError("no")

    with pytest.raises(OperatorError, match="no"):
        restore(backup, tmp_path / "new", PASSPHRASE, "ada", datetime.now(UTC), last=fails)
    assert list(tmp_path.iterdir()) == []
