"""A replaced password never counts again: after any loss on the disk, a login is judged by what was accepted, or refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from sipmesh.errors import OperatorError
from sipmesh.pki.file_error import FileError
from sipmesh.routing.authentication.verifier import Verifier
from sipmesh.server.agent.users_at_start import load_users
from sipmesh.server.replication.document_store import DocumentStore
from sipmesh.server.replication.stored_users import MOST_NAMED, USERS, StoredUsers
from sipmesh.sip.digest import Algorithm
from sipmesh.storage.users.replicated_users import ReplicatedUsers
from sipmesh.storage.users.user_document import UserDocument
from support.full_disk import limited_to, small_disk
from support.managed import Managed
from support.network import EXAMPLE, FE1, POOL
from support.telling import Told

ALICE, BOB = (f"sip:{name}@{EXAMPLE}" for name in ("alice", "bob"))
OLD, NEW = "0" * 32, "f" * 32


@pytest.fixture(name="store")
def _store(managed: Managed) -> DocumentStore:
    """Return the store of fe1 after it has joined."""
    managed.join(FE1)
    return managed.holding(FE1)


def document(managed: Managed, number: int, since: int = 0, parts: tuple[int, int] = (1, 1), **passwords: str) -> bytes:
    """Return a signed document with the *passwords* (MD5 hashes) of users by name."""
    aors = {f"sip:{name}@{EXAMPLE}": ha1 for name, ha1 in passwords.items()}
    verifiers = {aor: Verifier(aor, number, {Algorithm.MD5: ha1}) for aor, ha1 in aors.items()}
    part, of = parts
    made = UserDocument("example.test", POOL, number, since, part, of, verifiers=verifiers)
    return managed.signed(made.encode(), kind=USERS)


def replace_alices_password(managed: Managed, users: StoredUsers) -> None:
    """Store alice and bob, then another password of alice, as a running server does."""
    users.keep([document(managed, 3, alice=OLD, bob=OLD)], whole=True)
    users.keep([document(managed, 4, since=3, alice=NEW)], whole=False)


def restarted(managed: Managed, told: Told | None = None) -> ReplicatedUsers:
    """Return the users as they are after a restart without management."""
    users = ReplicatedUsers("example.test", POOL)
    load_users(managed.holding(FE1).users, users, (told or Told()).log)
    return users


def password_of(users: ReplicatedUsers, aor: str) -> str:
    """Return the hash that a login is judged by; "refused" if no login of this user is judged."""
    if not users.ready or users.is_withheld(aor):
        return "refused"
    verifier = users.verifier(aor)
    return verifier.ha1[Algorithm.MD5] if verifier is not None else "unknown"


def test_stored_password_counts_after_a_restart(managed: Managed, store: DocumentStore) -> None:
    replace_alices_password(managed, store.users)
    told = Told()
    users = restarted(managed, told)
    assert (password_of(users, ALICE), password_of(users, BOB), users.number) == (NEW, OLD, 4)
    assert not told.lines


@pytest.mark.parametrize("step", [23, pytest.param(1, marks=pytest.mark.soak)])
def test_replaced_password_never_counts_after_a_cut_at_any_octet(
    managed: Managed, store: DocumentStore, step: int
) -> None:
    """The other users log in if only the last change is missing. Each cut near a border, and each *step* octets elsewhere."""
    replace_alices_password(managed, store.users)
    file, record = store.users.file, store._record.file
    whole, recorded = file.read_bytes(), record.read_bytes()
    store.users.keep([document(managed, 3, alice=OLD, bob=OLD)], whole=True)
    first = len(file.read_bytes())
    record.write_bytes(recorded)
    near = {at + by for at in (0, first, len(whole)) for by in range(-25, 26)}
    for size in sorted({*range(0, len(whole), step), *near} & {*range(len(whole))}):
        file.write_bytes(whole[:size])
        told = Told()
        users = restarted(managed, told)
        assert password_of(users, ALICE) == "refused"
        assert password_of(users, BOB) == (OLD if size >= first else "refused"), size
        assert [line["file"] for line in told.lines] == [str(file)]
        again = restarted(managed)  # the cut file is read like the damaged one
        assert (password_of(again, ALICE), password_of(again, BOB)) == ("refused", password_of(users, BOB))


@pytest.mark.parametrize("step", [29, pytest.param(1, marks=pytest.mark.soak)])
def test_replaced_password_never_counts_after_a_changed_octet(
    managed: Managed, store: DocumentStore, step: int
) -> None:
    replace_alices_password(managed, store.users)
    whole = store.users.file.read_bytes()
    for at in range(0, len(whole), step):
        changed = bytearray(whole)
        changed[at] ^= 1 << at % 8
        store.users.file.write_bytes(bytes(changed))
        assert password_of(restarted(managed), ALICE) == "refused"
        store.users.file.with_name(f"{FE1}.users-behind").unlink(missing_ok=True)
    store.users.file.write_bytes(whole)
    assert password_of(restarted(managed), ALICE) == NEW


def test_changed_octet_of_the_record_stops_the_server(managed: Managed, store: DocumentStore) -> None:
    """With a lower number in the record, an older file would be accepted."""
    replace_alices_password(managed, store.users)
    file = store._record.file
    whole = file.read_bytes()
    for at in range(len(whole)):
        changed = bytearray(whole)
        changed[at] ^= 1
        file.write_bytes(bytes(changed))
        with pytest.raises(OperatorError, match="sipmesh join"):
            managed.holding(FE1).users.read()


def test_half_written_change_that_the_record_does_not_know_refuses_all(managed: Managed, store: DocumentStore) -> None:
    """A release without announcements wrote the record last. The refusal outlasts another restart, until the users arrive."""
    users = store.users
    users.keep([document(managed, 3, alice=OLD, bob=OLD)], whole=True)
    with users.file.open("ab") as opened:
        opened.write(document(managed, 4, since=3, alice=NEW)[:-40])
    for _ in range(2):
        assert password_of(restarted(managed), ALICE) == password_of(restarted(managed), BOB) == "refused"
    again = managed.holding(FE1).users
    assert again.open().number == 0
    again.keep([document(managed, 4, alice=NEW, bob=OLD)], whole=True)
    assert password_of(restarted(managed), ALICE) == NEW


def test_file_of_an_earlier_release_is_read_and_rewritten(managed: Managed, store: DocumentStore) -> None:
    replace_alices_password(managed, store.users)
    lines = [document(managed, 3, alice=OLD, bob=OLD), document(managed, 4, since=3, alice=NEW)]
    store.users.file.write_bytes(b"".join(line + b"\n" for line in lines))
    for _ in range(2):
        assert password_of(restarted(managed), ALICE) == NEW
        assert store.users.file.read_bytes().startswith(b"sipmesh-records-1\n")
    store.users.file.write_bytes(lines[0] + b"\n" + lines[1][:100])
    assert (password_of(restarted(managed), ALICE), password_of(restarted(managed), BOB)) == ("refused", OLD)


def test_missing_middle_and_incomplete_parts_are_found(managed: Managed, store: DocumentStore) -> None:
    first, second, third = (document(managed, n, since=n - 1 if n > 3 else 0, alice=NEW) for n in (3, 4, 5))
    store.users.keep([first], whole=True)
    store.users.keep([second], whole=False)
    store.users.keep([third], whole=False)
    store.users._log.replace([first, third])
    assert password_of(restarted(managed), ALICE) == "refused"
    part = document(managed, 6, parts=(1, 2), alice=OLD)
    store.users._log.replace([first, second, third, part])
    held = managed.holding(FE1).users.read()
    assert (held.number, held.documents, held.fault) == (0, (), "the last document is not complete")


@pytest.mark.parametrize("room", [0, 600])
def test_change_that_does_not_fit_on_the_disk_is_in_doubt(managed: Managed, store: DocumentStore, room: int) -> None:
    """With no room at all, not even the record can be written: then the documents are renamed, which needs no room."""
    users = store.users
    users.keep([document(managed, 3, alice=OLD, bob=OLD)], whole=True)
    change = document(managed, 4, since=3, alice=NEW)
    with limited_to(room), pytest.raises(FileError):
        users.keep([change], whole=False)
    assert password_of(restarted(managed), ALICE) == "refused"
    assert password_of(restarted(managed), BOB) == (OLD if room else "refused")
    users.keep([change], whole=False)
    assert (password_of(restarted(managed), ALICE), password_of(restarted(managed), BOB)) == (NEW, OLD)


def test_second_change_keeps_the_doubt_about_the_first(managed: Managed, store: DocumentStore) -> None:
    """Two changes were announced, and the disk had room for neither."""
    users = store.users
    users.keep([document(managed, 3, alice=OLD, bob=OLD, carol=OLD)], whole=True)
    both = [document(managed, 4, since=3, alice=NEW), document(managed, 5, since=4, bob=NEW)]
    for change in both:
        with limited_to(700), pytest.raises(FileError):
            users.keep([change], whole=False)
    found = restarted(managed)
    assert [password_of(found, aor) for aor in (ALICE, BOB, f"sip:carol@{EXAMPLE}")] == ["refused", "refused", OLD]


def test_record_names_a_limited_number_of_changed_users(managed: Managed, store: DocumentStore) -> None:
    """With one more, all users wait after a crash."""
    users = store.users
    users.keep([document(managed, 3, alice=OLD)], whole=True)
    for count, named in ((MOST_NAMED, MOST_NAMED), (MOST_NAMED + 1, None)):
        aors = frozenset(f"sip:{n}@{EXAMPLE}" for n in range(count))
        change = managed.signed(UserDocument("example.test", POOL, 3 + count, 3, gone=aors).encode(), kind=USERS)
        with limited_to(120_000), pytest.raises(FileError):
            users.keep([change] * 8, whole=False)
        record = store.record
        assert record is not None
        assert (len(record.users_changed) if record.users_changed is not None else None) == named


def test_users_fit_again_when_a_full_disk_has_room(managed: Managed, store: DocumentStore, tmp_path: Path) -> None:
    """A real file system: what was written of a record before it was full is cut off again."""
    with small_disk(tmp_path / "disk", 128 << 10) as disk:
        users = StoredUsers(disk.folder / "users", store._record, store._pinned)
        users.keep([document(managed, 3, alice=OLD)], whole=True)
        whole = users.file.read_bytes()
        disk.fill()
        change = document(managed, 4, since=3, alice=NEW)
        with pytest.raises(
            FileError, match="users cannot be written: No space left on device; make room on the disk of"
        ):
            users.keep([change] * 2, whole=False)
        assert users.file.read_bytes() == whole
        disk.empty()
        users.keep([change], whole=False)
        assert users.read().number == 4
