"""A backup: everything that the loss of a host would destroy, in one file, restored completely or not at all."""

from __future__ import annotations

import io
import shutil
import sqlite3
import stat
import threading
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from sipmesh.database.shared import DATABASE
from sipmesh.demo.organisation import Organisation
from sipmesh.errors import OperatorError
from sipmesh.server.management.publishing.offline_publish import publish_at_rest
from sipmesh.storage.backup.create import EXPORTED_USERS, Manifest, back_up, copy_users, snapshot
from sipmesh.storage.backup.restore import JUMP, Restored, restore
from sipmesh.storage.backup.vault import Opened, VaultError
from sipmesh.storage.users.user_database import Users
from storage.backups import PASSPHRASE, moved
from support.managed import build_published
from support.network import FE1
from support.postgres import Cluster


def test_only_the_owner_can_read_the_backup_and_it_is_encrypted(backup: Path, backed_up: Organisation) -> None:
    assert stat.S_IMODE(backup.stat().st_mode) == 0o600
    content = backup.read_bytes()
    for secret in (b"PRIVATE KEY", backed_up.domain.encode(), b"topology"):
        assert secret not in content
    assert [one.name for one in backup.parent.iterdir()] == [backup.name]


def test_backup_has_everything_that_cannot_be_created_again(
    backed_up: Organisation, back: tuple[Path, Restored]
) -> None:
    folder, _ = back
    old, new = (
        {one.relative_to(top).as_posix() for top in [root] for one in top.rglob("*") if one.is_file()}
        for root in (backed_up.folder, folder)
    )
    assert new == {
        name for name in old if not name.startswith("state/") and not name.endswith((".lock", "-wal", "-shm"))
    } | {"ca/.lock", "state/audit.head"}
    for name in ("topology.yaml", "ca/issuing.key", "ca/root.pem", f"servers/{FE1}.key", "ca/notes.bin"):
        assert (folder / name).read_bytes() == (backed_up.folder / name).read_bytes()
        assert (folder / name).stat().st_mode == (backed_up.folder / name).stat().st_mode
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert moved(backed_up, folder).load().faults == ()


@pytest.mark.parametrize(
    "content",
    [
        b"[]",
        b"{}",
        b'{"format":2,"organisation":"x","at":"2026-01-01T00:00:00+00:00","users":"","elsewhere":{}}',
        b'{"format":1,"organisation":"x","at":"2026-01-01","users":"","elsewhere":{}}',
    ],
)
def test_manifest_of_another_format_is_refused(content: bytes) -> None:
    with pytest.raises(OperatorError, match="another release"):
        Manifest.decode(content)


def test_backup_is_never_overwritten_or_incomplete(backed_up: Organisation, tmp_path: Path) -> None:
    file = tmp_path / "x.backup"
    file.write_text("the last one")
    with pytest.raises(OperatorError, match="does not overwrite"):
        back_up(backed_up.file, file, PASSPHRASE, datetime.now(UTC))
    with pytest.raises(OperatorError, match="12 characters"):
        back_up(backed_up.file, tmp_path / "y.backup", "short", datetime.now(UTC))
    assert [one.name for one in tmp_path.iterdir()] == ["x.backup"]
    assert file.read_text() == "the last one"


def test_database_in_use_is_copied_as_of_one_instant(tmp_path: Path) -> None:
    """Every change writes two equal rows: a copy never has one without the other."""
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


def test_backup_with_a_bad_draft_uses_the_newest_version(backed_up: Organisation, tmp_path: Path) -> None:
    """Without a readable version there is no backup: from the CA alone it is not known which files belong to it."""
    folder = tmp_path / "e"
    shutil.copytree(backed_up.folder, folder)
    (folder / "topology.yaml").write_text("sipmesh: 1\n")
    with pytest.raises(OperatorError):
        back_up(folder / "topology.yaml", tmp_path / "x.backup", PASSPHRASE, datetime.now(UTC))
    (folder / DATABASE).unlink()
    with pytest.raises(OperatorError):
        back_up(folder / "topology.yaml", tmp_path / "x.backup", PASSPHRASE, datetime.now(UTC))
    assert [one.name for one in tmp_path.iterdir()] == ["e"]


def test_files_outside_the_folder_are_included_and_listed(backed_up: Organisation, tmp_path: Path) -> None:
    folder, away = tmp_path / "e", tmp_path / "away"
    shutil.copytree(backed_up.folder, folder)
    away.mkdir()
    for name in ("fullchain.pem", "privkey.pem"):
        (away / name).write_bytes(name.encode())
    document = YAML(typ="safe").load((folder / "topology.yaml").read_text())
    server = next(pool for pool in document["pools"] if pool["role"] == "front-end")["servers"][0]
    pair = {"certificate": f"{away}/fullchain.pem", "key": f"{away}/privkey.pem"}
    server["client_certificates"] = [pair]
    YAML().dump(document, folder / "topology.yaml")
    file = tmp_path / "x.backup"
    manifest = back_up(folder / "topology.yaml", file, PASSPHRASE, datetime.now(UTC))
    assert manifest.elsewhere == {
        f"{away}/fullchain.pem": "elsewhere/1-fullchain.pem",
        f"{away}/privkey.pem": "elsewhere/2-privkey.pem",
    }
    restored = restore(file, tmp_path / "new", PASSPHRASE, "ada", datetime.now(UTC))
    assert restored.manifest.elsewhere == manifest.elsewhere
    assert (tmp_path / "new" / "elsewhere" / "2-privkey.pem").read_bytes() == b"privkey.pem"


def test_users_of_a_database_that_only_the_draft_names_are_not_read(tmp_path: Path) -> None:
    """A user who may change the draft would choose where each backup connects to."""
    organisation, file = build_published(tmp_path / "e"), tmp_path / "x.backup"
    with organisation.file.open("a") as draft:
        draft.write("\nstorage: {users: 'postgresql+psycopg://nobody@127.0.0.1:1/users'}\n")
    assert back_up(organisation.file, file, PASSPHRASE, datetime.now(UTC)).users == "users.db"


def test_secrets_that_the_topology_names_are_included(backed_up: Organisation, tmp_path: Path) -> None:
    """Without them, a restored server would not start."""
    of_general = ("secrets/valkey", "servers/store.pem", "servers/store.key")
    folder, names = tmp_path / "e", (*of_general, "secrets/turn", "secrets/of-pool")
    shutil.copytree(backed_up.folder, folder)
    (folder / "secrets").mkdir()
    (folder / "servers").mkdir(exist_ok=True)
    for name in names:
        (folder / name).write_bytes(name.encode())
        (folder / name).chmod(0o600)
    password, chain, key, turn, of_pool = names
    valkey = f"{{password_file: {password}, anchors: [ca/root.pem], certificate: {chain}, key: {key}}}"
    text = (folder / "topology.yaml").read_text()
    text += f"\nstorage: {{bindings: 'valkeys://store.example.test', valkey: {valkey}}}\n"
    text += f"turn: {{servers: ['turn:turn.example.test'], secret_file: {turn}}}\n"
    (folder / "topology.yaml").write_text(text)
    loaded = YAML(typ="safe").load(text)
    loaded["pools"][0]["storage"] = {"bindings": "valkey://127.0.0.1", "valkey": {"password_file": of_pool}}
    YAML().dump(loaded, folder / "topology.yaml")
    file = tmp_path / "x.backup"
    back_up(folder / "topology.yaml", file, PASSPHRASE, datetime.now(UTC))
    restore(file, tmp_path / "new", PASSPHRASE, "ada", datetime.now(UTC))
    for name in names:
        assert (tmp_path / "new" / name).read_bytes() == name.encode()
        assert stat.S_IMODE((tmp_path / "new" / name).stat().st_mode) == 0o600


def test_users_are_copied_into_a_database_without_users_only(backed_up: Organisation, tmp_path: Path) -> None:
    """Users in PostgreSQL are copied like this too: row by row."""
    url = backed_up.load().users_url
    assert copy_users(url, tmp_path / EXPORTED_USERS) == 3
    copied, original = Users(tmp_path / EXPORTED_USERS), Users(url)
    assert copied.list() == original.list()
    assert copied.number == original.number
    with pytest.raises(OperatorError, match="already has users"):
        copied.copy_to(original)
    for users in (copied, original):
        users.close()


@pytest.mark.peer("postgresql")
@pytest.mark.wide
def test_users_in_postgresql_are_exported(tmp_path: Path, postgres_url: str) -> None:
    folder = build_published(tmp_path / "e").folder
    count = copy_users(folder / "users.db", postgres_url)
    with (folder / "topology.yaml").open("a") as draft:
        draft.write(f"\nstorage: {{users: '{Cluster.public(postgres_url)}'}}\n")
    publish_at_rest(
        folder / "topology.yaml",
        "ada",
        "PostgreSQL",
        datetime.now(UTC),
        lambda *_, **__: None,
        base=1,
        digest="",
        force=True,
    )
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


def test_vault_error_is_an_operator_error(backup: Path) -> None:
    with pytest.raises(VaultError, match="passphrase is wrong"), backup.open("rb") as stream:
        io.BufferedReader(Opened(stream, "something else entirely")).read()
