"""The file of the bindings: what becomes of it when a process dies, and when it is spoiled."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from sipmesh.errors import LocalError, OperatorError
from sipmesh.routing.registrar.binding import Binding
from sipmesh.storage.location_service.bindings import SCHEMA_VERSION, BindingStore
from sipmesh.storage.location_service.locations import NOTHING_YET, Write
from sipmesh.storage.location_service.version_table import slot_of
from storage.members import ALICE, BOB, FE1, FE2, PHONE
from support.full_disk import small_disk


@pytest.fixture(name="store")
def _store(tmp_path: Path) -> Iterator[BindingStore]:
    """A store in which incarnation 7 of fe1 runs."""
    store = BindingStore(tmp_path / "bindings.db")
    store.begin(FE1, 7)
    yield store
    store.close()


def change(*put: Binding, drop: tuple[Binding, ...] = ()) -> Write:
    """A write without a waiting caller."""
    return Write((put or drop)[0].aor, put, drop, lambda _: None)


def rows(store: BindingStore, aor: str = ALICE) -> list[Binding]:
    """The live rows of a user, asked for by fe1."""
    return list(store.find([aor], FE1, 7)[0].rows)


def test_changes_of_one_batch_are_made_whole_or_not_at_all(store: BindingStore) -> None:
    store.write([change(PHONE)], FE1, 7)
    broken = replace(PHONE, cseq=2, instance="<urn:uuid:2>", flow=1 << 70)
    with pytest.raises((LocalError, OverflowError)):
        store.write([change(drop=(PHONE,)), change(broken)], FE1, 7)
    assert rows(store) == [PHONE]


def test_batch_renews_the_lease_of_its_server(store: BindingStore) -> None:
    store.begin(FE2, 3)
    store.write([change(PHONE)], FE1, 7)
    store.write([], FE1, 7)
    assert store.renewals() == {FE1: (7, 2), FE2: (3, 0)}


def test_incarnation_that_was_dropped_is_noticed_by_its_next_write(store: BindingStore) -> None:
    assert store.write([change(PHONE)], FE1, 7)[1] is False
    store.end(FE1, 7)
    assert store.find([ALICE], FE1, 7)[0].remembered is False
    assert store.write([], FE1, 7)[1] is True
    assert store.find([ALICE], FE1, 7)[0].remembered is True


def test_end_marks_the_rows_that_it_drops_and_no_others(store: BindingStore) -> None:
    store.begin(FE2, 3)
    store.write([change(PHONE)], FE1, 7)
    store.write([change(replace(PHONE, aor=BOB, server=FE2, incarnation=3))], FE2, 3)
    alice, bob = (store.versions.values[slot_of(aor)] for aor in (ALICE, BOB))
    store.end(FE1, 7)
    assert store.versions.values[slot_of(ALICE)] != alice
    assert store.versions.values[slot_of(BOB)] == bob


def test_first_server_that_begins_in_an_empty_store_clears_the_versions(store: BindingStore) -> None:
    """So the first login of each user needs no lookup; where another server has rows, they stay."""
    store.write([change(PHONE)], FE1, 7)
    store.begin(FE2, 3)
    assert store.versions.values[slot_of(ALICE)] != NOTHING_YET
    store.begin(FE1, 8)
    assert store.versions.values[slot_of(ALICE)] == NOTHING_YET
    assert rows(store) == []


def test_end_of_an_incarnation_leaves_the_rows_of_a_later_one(store: BindingStore) -> None:
    """Such as of a process that ends late, or was taken for gone while its server was being started again."""
    store.begin(FE1, 8)
    later = replace(PHONE, incarnation=8)
    store.write([change(later)], FE1, 8)
    store.end(FE1, 7)
    assert rows(store) == [later]
    assert store.write([], FE1, 8)[1] is False
    store.end(FE1, 8)
    assert rows(store) == []


@pytest.mark.parametrize("was_killed", [True, False])
def test_start_after_a_kill_has_all_rows_read_again(store: BindingStore, *, was_killed: bool) -> None:
    """The kill may have come after a commit and before its mark: then a mate would use what it has read for ever."""
    store.begin(FE2, 3)
    store.write([change(replace(PHONE, server=FE2, incarnation=3))], FE2, 3)
    before = store.versions.values[slot_of(ALICE)]
    if not was_killed:
        store.end(FE1, 7)
    store.begin(FE1, 8)
    assert (store.versions.values[slot_of(ALICE)] != before) is was_killed
    assert len(rows(store)) == 1


def test_process_whose_server_was_started_again_stores_nothing_any_more(store: BindingStore) -> None:
    """Its row would replace the present row of the device, and lead to a flow that is dead for all others."""
    store.begin(FE1, 8)
    later = replace(PHONE, incarnation=8)
    store.write([change(later)], FE1, 8)
    with pytest.raises(OperatorError, match="another process has started fe1"):
        store.write([change(replace(PHONE, cseq=2))], FE1, 7)
    assert rows(store) == [later]
    assert store.write([change(replace(later, cseq=2))], FE1, 8)[1] is False


def test_table_of_versions_that_was_cut_off_says_nothing_of_the_rows(store: BindingStore) -> None:
    """As a full disk leaves it behind. Zeros would say that there is no row, and each user would be unreachable."""
    store.write([change(PHONE)], FE1, 7)
    table = store.path.with_name("bindings.db.versions")
    table.unlink()
    table.write_bytes(b"")
    again = BindingStore(store.path)
    assert again.versions.values[slot_of(ALICE)] != NOTHING_YET
    again.close()


def test_new_table_of_versions_beside_rows_says_nothing_of_them(store: BindingStore) -> None:
    store.write([change(PHONE)], FE1, 7)
    store.path.with_name("bindings.db.versions").unlink()
    again = BindingStore(store.path)
    assert again.versions.values[slot_of(ALICE)] != NOTHING_YET
    again.close()


def test_reader_is_not_held_up_by_who_has_the_write_lock_and_a_writer_is_for_a_moment(store: BindingStore) -> None:
    store.write([change(PHONE)], FE1, 7)
    with closing(sqlite3.connect(store.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert rows(store) == [PHONE]
        with pytest.raises(OperatorError, match="database is locked"):
            store.write([change(drop=(PHONE,))], FE1, 7)
        other.execute("ROLLBACK")
    store.write([change(drop=(PHONE,))], FE1, 7)
    assert rows(store) == []


def test_only_the_owner_may_read_the_files(store: BindingStore) -> None:
    assert {path.stat().st_mode & 0o777 for path in store.path.parent.iterdir()} == {0o600}


def test_servers_that_reach_the_file_by_different_paths_share_all_of_it(store: BindingStore, tmp_path: Path) -> None:
    (tmp_path / "fe2").mkdir()
    (tmp_path / "fe2" / "bindings.db").symlink_to(store.path)
    other = BindingStore(tmp_path / "fe2" / "bindings.db")
    store.write([change(PHONE)], FE1, 7)
    assert other.versions.values[slot_of(ALICE)] == store.versions.values[slot_of(ALICE)] != NOTHING_YET
    assert rows(other) == [PHONE]
    other.close()


WRITER = """
import sys
from dataclasses import replace
from itertools import count
from pathlib import Path
from sipmesh.storage.location_service.bindings import SCHEMA_VERSION, BindingStore
from storage.members import BOB, FE1, PHONE
from storage.location_service.test_bindings import change
store = BindingStore(Path(sys.argv[1]))
for cseq in count(1):
    store.write([change(replace(PHONE, cseq=cseq)), change(replace(PHONE, aor=BOB, cseq=cseq))], FE1, 7)
    print(cseq, flush=True)
"""


def test_kill_9_in_the_middle_of_writes_loses_nothing_acknowledged(store: BindingStore) -> None:
    paths = os.pathsep.join([str(Path(__file__).parent.parent), *filter(None, sys.path)])
    command = [sys.executable, "-c", WRITER, str(store.path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": paths}) as writer:
        assert writer.stdout is not None
        acknowledged = [int(next(writer.stdout)) for _ in range(200)]
        writer.send_signal(signal.SIGKILL)
        acknowledged += [int(line) for line in writer.stdout if line.endswith(b"\n")]
    again = BindingStore(store.path)
    [alice], [bob] = rows(again), rows(again, BOB)
    again.close()
    assert alice.cseq == bob.cseq >= acknowledged[-1]


@pytest.mark.parametrize("content", [b"not a database" * 1000, None])
def test_file_that_is_spoiled_or_of_another_version_is_set_aside(tmp_path: Path, content: bytes | None) -> None:
    """Bindings are of no use after a power cut; an operator who has to come and delete a file is worse."""
    file = tmp_path / "bindings.db"
    BindingStore(file).close()
    if content is not None:
        file.write_bytes(content)
    else:
        with closing(sqlite3.connect(file)) as other:
            other.execute("PRAGMA user_version = 1")
    store = BindingStore(file)
    assert rows(store) == []
    store.close()
    assert (tmp_path / "bindings.db.spoiled").exists()


@pytest.mark.parametrize("content", [b"-----BEGIN PRIVATE KEY-----\nMII\n-----END PRIVATE KEY-----\n", b"\0" * 8192])
def test_file_that_was_never_ours_is_not_set_aside(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "issuing.key"
    file.touch(0o600)
    file.write_bytes(content)
    for _ in range(2):
        with pytest.raises(OperatorError, match="it is no file of registrations"):
            BindingStore(file)
    assert file.read_bytes() == content
    assert {found.name for found in tmp_path.iterdir()} <= {"issuing.key", "issuing.key.lock"}


def test_database_of_another_program_is_not_written(tmp_path: Path) -> None:
    file = tmp_path / "other.db"
    file.touch(0o600)
    with closing(sqlite3.connect(file)) as other:
        other.execute("CREATE TABLE bookings (name TEXT)")
    before = file.read_bytes()
    with pytest.raises(OperatorError, match="it is a database of another program: it has the table 'bookings'"):
        BindingStore(file)
    assert file.read_bytes() == before


def test_file_of_an_earlier_release_is_known_by_its_tables(store: BindingStore) -> None:
    store.close()
    with closing(sqlite3.connect(store.path)) as earlier:
        earlier.execute("PRAGMA application_id = 0")
    again = BindingStore(store.path)
    assert again.identity == store.identity
    again.close()


EARLIEST = """
PRAGMA journal_mode = WAL;
CREATE TABLE incarnations (server TEXT PRIMARY KEY, incarnation INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE bindings (aor TEXT NOT NULL, name TEXT NOT NULL, contact TEXT, PRIMARY KEY (aor, name)) WITHOUT ROWID;
INSERT INTO incarnations VALUES ('fe2.example.test', 3);
PRAGMA user_version = 1;
"""


def test_file_of_the_earliest_format_is_set_aside_while_a_server_of_that_release_uses_it(tmp_path: Path) -> None:
    """That release kept no file of versions beside it. Its server goes on with its own file until it is restarted."""
    file = tmp_path / "bindings.db"
    file.touch(0o600)
    with closing(sqlite3.connect(file, isolation_level=None)) as earlier:
        earlier.executescript(EARLIEST)
        store = BindingStore(file)
        store.write([change(PHONE)], FE1, 7)
        assert rows(store) == [PHONE]
        assert earlier.execute("SELECT incarnation FROM incarnations").fetchall() == [(3,)]
        store.close()


def test_folder_that_is_not_there_is_the_operators_problem(tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match=r"cannot be used.*free space"):
        BindingStore(tmp_path / "none" / "bindings.db")


def test_store_has_one_identity_for_all_that_open_it(tmp_path: Path) -> None:
    """Servers with different identities do not know each other's users."""
    one, again = BindingStore(tmp_path / "bindings.db"), BindingStore(tmp_path / "bindings.db")
    other = BindingStore(tmp_path / "other.db")
    assert one.identity == again.identity != other.identity
    assert len(one.identity) == 32
    for store in (one, again, other):
        store.close()
    later = BindingStore(tmp_path / "bindings.db")
    assert later.identity == one.identity
    later.close()


@pytest.mark.usefixtures("reserve")
def test_full_disk_refuses_no_registration_as_long_as_the_room_lasts(tmp_path: Path) -> None:
    """The control has no room from the start: its disk is too small for that."""
    for octets, stored in ((24 << 20, True), (2 << 20, False)):
        with small_disk(tmp_path / str(octets), octets) as disk:
            store = BindingStore(disk.folder / "bindings.db")
            store.begin(FE1, 7)
            disk.fill()
            assert _stores(store, 300) is stored
            store.close()


def _stores(store: BindingStore, count: int) -> bool:
    """Tell whether the file takes *count* further registrations, each in a transaction of its own."""
    try:
        for number in range(count):
            store.write([change(replace(PHONE, aor=f"sip:user{number}@example.test"))], FE1, 7)
    except OperatorError:
        return False
    return True


def test_file_of_a_newer_release_is_refused_and_stays(tmp_path: Path) -> None:
    file = tmp_path / "bindings.db"
    BindingStore(file).close()
    with closing(sqlite3.connect(file)) as db:
        db.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    with pytest.raises(
        OperatorError, match=r"have format 3, and this release of sipmesh knows formats up to 2; install.* remove "
    ):
        BindingStore(file)
    assert not list(tmp_path.glob("*.spoiled"))
    file.unlink()
    BindingStore(file).close()
