"""The documents of a server: newer versions that management signed, the users, and never an older version."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509

from sipmesh.database.number_ceilings import VERSIONS
from sipmesh.distribution.items import Item, ItemKind
from sipmesh.errors import OperatorError, RemoteError
from sipmesh.pki.file_error import FileError
from sipmesh.routing.authentication.verifier import Verifier
from sipmesh.server.replication.document_store import (
    DocumentStore,
    held_in,
    signers_of,
)
from sipmesh.server.replication.revocation_push import REVOKED
from sipmesh.server.replication.stored_users import USERS, HeldUsers
from sipmesh.sip.digest import Algorithm
from sipmesh.storage.users.user_document import UserDocument
from support.managed import MGMT, Managed
from support.network import BEGAN, EXAMPLE, FE1, POOL


@pytest.fixture(name="store")
def _store(managed: Managed) -> DocumentStore:
    """Return the store of fe1 after it has joined."""
    managed.join(FE1)
    return restarted(managed)


def restarted(managed: Managed) -> DocumentStore:
    """Open the store as a server does at its start."""
    return managed.holding(FE1)


def now() -> datetime:
    return datetime.now(UTC)


def users(managed: Managed, number: int, *names: str, since: int = 0) -> bytes:
    """Return a signed users' document of the pool."""
    aors = [f"sip:{name}@{EXAMPLE}" for name in names]
    verifiers = {aor: Verifier(aor, 1, {Algorithm.MD5: "ab" * 16}) for aor in aors}
    document = UserDocument("example.test", POOL, number, since, verifiers=verifiers)
    return managed.signed(document.encode(), kind=USERS)


def test_joined_server_has_the_version(managed: Managed, store: DocumentStore) -> None:
    assert store.is_there
    assert store.is_whole
    assert (store.document(), store.highest) == (managed.published(), 1)
    assert store.load().number == 1
    assert held_in(store.folder) == [FE1]


def test_server_that_has_not_joined_has_no_version(managed: Managed) -> None:
    store = restarted(managed)
    assert (store.is_there, store.is_whole, store.highest, store.users.read()) == (False, False, 0, HeldUsers())
    with pytest.raises(OperatorError, match="cannot be read"):
        store.load()


def test_newer_version_survives_a_restart(managed: Managed, store: DocumentStore) -> None:
    jws = managed.version(5)
    loaded = store.newer(jws, store.load(), now())
    assert (loaded.number, store.known_to_exist) == (5, 5)
    assert store.highest == 1
    store.keep(jws, store.read(jws))
    again = restarted(managed)
    assert (again.load().number, again.highest, again.document()) == (5, 5, jws)


def test_version_that_is_not_newer_is_refused(managed: Managed, store: DocumentStore) -> None:
    jws = managed.version(5)
    in_force = store.newer(jws, store.load(), now())
    store.keep(jws, in_force)
    for number in (1, 4, 5):
        with pytest.raises(RemoteError, match="a server does not load an older version") as refused:
            store.newer(managed.version(number), in_force, now())
        assert refused.value.status == 488
    assert store.newer(managed.version(6), in_force, now()).number == 6


def test_version_beyond_the_clock_is_refused_and_the_next_after_the_highest_counts(
    managed: Managed, store: DocumentStore
) -> None:
    in_force = store.load()
    with pytest.raises(RemoteError, match=r"version 9007199254740991 is beyond \d+, the highest one by the clock here"):
        store.newer(managed.version(2**53 - 1), in_force, now())
    assert store.known_to_exist == 0
    at = now()
    top = VERSIONS.at(at)
    store.keep(jws := managed.version(top), in_force := store.newer(jws, in_force, at))
    before = at - timedelta(days=900)  # the clock was set back
    assert store.newer(managed.version(top + 1), in_force, max(before, BEGAN)).number == top + 1


def test_version_that_could_not_be_written_is_accepted_again(managed: Managed, store: DocumentStore) -> None:
    """The record is written first, so that nothing older is loaded; only the same version may be accepted again."""
    jws, in_force = managed.version(5), store.load()
    in_the_way = store.state / f".{FE1}.topology.new"
    in_the_way.mkdir()
    with pytest.raises(FileError, match="topology cannot be written: Is a directory"):
        store.keep(jws, store.newer(jws, in_force, now()))
    in_the_way.rmdir()
    assert (store.highest, restarted(managed).load().number, restarted(managed).highest) == (5, 1, 5)
    with pytest.raises(RemoteError, match="a server does not load an older version"):
        store.newer(managed.version(5, why="another"), in_force, now())
    store.keep(jws, store.newer(jws, in_force, now()))
    assert restarted(managed).load().number == 5


def test_version_of_another_organisation_or_another_signer_is_refused(managed: Managed, store: DocumentStore) -> None:
    in_force = store.load()
    with pytest.raises(RemoteError, match="and this server belongs to"):
        store.newer(managed.version(2, organisation="Other"), in_force, now())
    with pytest.raises(RemoteError, match="which is not trusted"):
        store.newer(managed.signed(managed.payload(2), managed.credentials(FE1)), in_force, now())
    with pytest.raises(RemoteError, match="rejected"):
        store.newer(managed.signed(managed.payload(2), kind=USERS), in_force, now())
    with pytest.raises(RemoteError, match="rejected"):
        store.newer(managed.signed(b"{}"), in_force, now())
    assert store.newer(managed.version(2), in_force, now()).number == 2


def test_version_changed_on_disk_is_not_loaded(managed: Managed, store: DocumentStore) -> None:
    file = store.state / f"{FE1}.topology"
    file.write_bytes(managed.version(1))
    with pytest.raises(OperatorError, match="is not version 1"):
        restarted(managed).load()
    file.write_bytes(b"nothing")
    with pytest.raises(OperatorError, match="loads only signed and accepted documents"):
        restarted(managed).load()
    file.write_bytes(managed.published())
    assert restarted(managed).load().number == 1


@pytest.mark.parametrize("content", [b"", b"-----BEGIN CERTIFICATE-----\n!\n"])
def test_anchors_changed_on_disk_are_not_loaded(managed: Managed, store: DocumentStore, content: bytes) -> None:
    (store.state / f"{FE1}.anchors").write_bytes(content)
    with pytest.raises(OperatorError, match="contains no"):
        restarted(managed).load()
    (store.state / f"{FE1}.anchors").unlink()
    with pytest.raises(OperatorError, match="cannot be read"):
        restarted(managed).load()


def test_operator_cannot_load_an_older_version(managed: Managed, store: DocumentStore) -> None:
    jws = managed.version(5)
    store.keep(jws, store.newer(jws, store.load(), now()))
    anchors = list(store.load().authority.anchors)
    with pytest.raises(OperatorError, match="does not load an older version"):
        restarted(managed).begin(managed.published(), anchors)
    restarted(managed).begin(managed.version(6), anchors)
    assert restarted(managed).load().number == 6


@pytest.mark.parametrize(("version", "number"), [(2**53 - 1, 3), (1, 2**62)])
def test_join_lowers_a_number_that_management_cannot_reach(
    managed: Managed, store: DocumentStore, version: int, number: int
) -> None:
    """An earlier release has accepted such a number: nothing could follow it."""
    store.users.keep([users(managed, number, "alice")], whole=True)
    assert store.record is not None
    store._record.write(replace(store.record, number=version))
    (store.folder / "servers" / f"{FE1}.fencing").write_bytes(b"%d" % (2**53 - 1))
    anchors = list(managed.organisation.load().authority.anchors)
    restarted(managed).begin(managed.signed(managed.payload(2), fencing=3), anchors)
    again = restarted(managed)
    assert (again.load().number, again.highest, again.fencing, again.users.open()) == (2, 2, 3, HeldUsers())
    later = managed.signed(managed.payload(3), fencing=3)
    assert again.newer(later, again.load(), now()).number == 3


def test_join_lowers_no_number_that_management_can_reach(managed: Managed, store: DocumentStore) -> None:
    top = VERSIONS.at(now())
    store.keep(jws := managed.version(top), store.newer(jws, store.load(), now()))
    anchors = list(store.load().authority.anchors)
    with pytest.raises(OperatorError, match="does not load an older version"):
        restarted(managed).begin(managed.version(6), anchors)
    restarted(managed).begin(managed.version(top + 1), anchors)
    assert restarted(managed).load().number == top + 1


def test_join_repairs_an_unreadable_record(managed: Managed, store: DocumentStore) -> None:
    (store.folder / "servers" / f"{FE1}.held").write_bytes(b"nothing")
    with pytest.raises(OperatorError, match="it is not known which version"):
        restarted(managed).load()
    restarted(managed).begin(managed.published(), list(managed.organisation.load().authority.anchors))
    assert restarted(managed).load().number == 1


def test_record_is_written_for_a_version_of_an_earlier_release(managed: Managed, store: DocumentStore) -> None:
    (store.folder / "servers" / f"{FE1}.held").unlink()
    again = restarted(managed)
    assert again.record is None
    again.adopt()
    again.adopt()
    assert again.record is not None
    assert again.record.number == 1


def test_version_below_the_highest_number_is_not_loaded_without_a_record(
    managed: Managed, store: DocumentStore
) -> None:
    (store.folder / "servers" / f"{FE1}.held").unlink()
    (store.state / f"{FE1}.highest").write_text("7\n")
    with pytest.raises(OperatorError, match="loads only signed and accepted documents"):
        restarted(managed).load()


def test_management_records_its_version(managed: Managed) -> None:
    store = managed.holding(MGMT)
    store.follow(3, b"version 3")
    store.follow(2, b"version 2")
    assert store.highest == 3
    assert store.is_there


def test_users_survive_a_restart(managed: Managed, store: DocumentStore) -> None:
    whole, change = users(managed, 3, "alice", "bob"), users(managed, 4, "carol", since=3)
    payload = store.newer_users(whole, store.load(), now())
    assert UserDocument.decode(payload).number == 3
    store.users.keep([whole], whole=True)
    store.users.keep([change], whole=False)
    assert [held.number for held in restarted(managed).users.read().documents] == [3, 4]
    store.users.keep([users(managed, 5)], whole=True)
    assert [held.number for held in restarted(managed).users.read().documents] == [5]


def test_truncated_or_wrongly_signed_users_are_not_loaded(managed: Managed, store: DocumentStore) -> None:
    """Management then sends all users again."""
    store.users.keep([users(managed, 3, "alice"), users(managed, 4, "bob", since=3)], whole=True)
    file = store.state / f"{FE1}.users"
    whole = file.read_bytes()
    file.write_bytes(whole[:-100])
    assert restarted(managed).users.read().documents == ()
    document = UserDocument("example.test", POOL, 9).encode()
    file.write_bytes(managed.signed(document, managed.credentials(FE1), USERS) + b"\n")
    assert restarted(managed).users.read().documents == ()
    file.write_bytes(whole)
    assert len(restarted(managed).users.read().documents) == 2


def test_other_documents_are_accepted_only_from_management(managed: Managed, store: DocumentStore) -> None:
    in_force = store.load()
    assert signers_of(in_force) == {MGMT}
    signed = managed.signed(b"payload", kind=REVOKED)
    assert store.signed_by_management(signed, REVOKED, in_force, now()) == b"payload"
    with pytest.raises(RemoteError, match="rejected"):
        store.signed_by_management(signed, USERS, in_force, now())
    with pytest.raises(RemoteError, match="which is not trusted"):
        store.signed_by_management(
            managed.signed(b"payload", managed.credentials(FE1), REVOKED), REVOKED, in_force, now()
        )


def test_document_of_a_leader_that_was_overtaken_is_refused_for_ever(managed: Managed, store: DocumentStore) -> None:
    """Controls: each document of the present leader is accepted, also the next leader's."""
    in_force = store.load()
    later, earlier = (managed.signed(managed.payload(number), fencing=led) for number, led in ((5, 3), (6, 2)))
    assert store.newer(later, in_force, now()).number == 5
    for opened in (store, restarted(managed)):
        assert opened.fencing == 3
        with pytest.raises(RemoteError, match="led with fencing number 2, and management leads with 3 now"):
            opened.newer(earlier, in_force, now())
        with pytest.raises(RemoteError, match="led with fencing number 0"):
            opened.newer_users(users(managed, 3, "alice"), in_force, now())
        signed = managed.signed(b"payload", kind=USERS, fencing=3)
        assert opened.newer_users(signed, in_force, now()) == b"payload"


def test_grant_of_a_leader_that_was_overtaken_is_not_installed(managed: Managed, store: DocumentStore) -> None:
    anchors = x509.load_pem_x509_certificates(managed.organisation.root.read_bytes())
    store.signed_by_management(managed.signed(b"payload", kind=REVOKED, fencing=7), REVOKED, store.load(), now())
    with pytest.raises(OperatorError, match="a management server that was overtaken"):
        store.begin(managed.signed(managed.payload(5), fencing=6), anchors)
    store.begin(managed.signed(managed.payload(5), fencing=7), anchors)
    assert store.load().number == 5


def test_forged_document_raises_no_fencing_number(managed: Managed, store: DocumentStore) -> None:
    """Otherwise any server could shut management out."""
    forged = managed.signed(b"payload", managed.credentials(FE1), REVOKED, fencing=9)
    with pytest.raises(RemoteError, match="which is not trusted"):
        store.signed_by_management(forged, REVOKED, store.load(), now())
    assert store.fencing == 0


def test_item_of_the_store_is_the_document_that_is_sent(managed: Managed, store: DocumentStore) -> None:
    item = Item(ItemKind.TOPOLOGY, store.document(), number=1)
    assert item.body == managed.published()
