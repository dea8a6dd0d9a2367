"""The CRLs of one machine: which are given to other servers, and which may replace a stored one."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from sipmesh.distribution.items import Item, ItemKind
from sipmesh.errors import RemoteError
from sipmesh.pki import files
from sipmesh.pki.authority import EnterpriseCa
from sipmesh.pki.issuance.profiles import BACKDATED
from sipmesh.pki.issuance.profiles import CertificateKind as Profile
from sipmesh.server.replication.crl_store import (
    LARGEST_GIVEN,
    CrlStore,
    NotBegunError,
    is_portable,
    too_large,
)
from sipmesh.topology.document.load import Loaded
from topology.world import NOON, TOPOLOGY, Place, make_authorities

NAME = "ca/issuing.crl"
HOUR = timedelta(hours=1)


@pytest.fixture(name="authorities", scope="module")
def _authorities(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Our CA and those of two partners, made once."""
    return make_authorities(tmp_path_factory.mktemp("authorities"))


@pytest.fixture(name="loaded")
def _loaded(tmp_path: Path, authorities: Path) -> Loaded:
    shutil.copytree(authorities, tmp_path, dirs_exist_ok=True)
    (tmp_path / "topology.yaml").write_text(TOPOLOGY)
    return Place(tmp_path / "topology.yaml").load()


def newer(loaded: Loaded, after: timedelta = HOUR) -> Item:
    """Return the next CRL of our CA; the file does not change."""
    file = loaded.folder / NAME
    before = file.read_bytes()
    EnterpriseCa.open(loaded.folder / "ca").crls.publish(NOON + after)
    item = Item(ItemKind.LIST, file.read_bytes(), NAME)
    file.write_bytes(before)
    return item


def test_every_crl_that_the_topology_names_is_given(loaded: Loaded) -> None:
    store = CrlStore(loaded.folder)
    items = {item.name: item for item in store.items(loaded)}
    assert set(items) == set(loaded.list_names)
    assert items[NAME].body == (loaded.folder / NAME).read_bytes()
    assert {id(item) for item in store.items(loaded)} == {id(item) for item in items.values()}


def test_crl_that_has_changed_is_read_again(loaded: Loaded) -> None:
    store = CrlStore(loaded.folder)
    before = {item.name: item.digest for item in store.items(loaded)}
    (loaded.folder / NAME).write_bytes(newer(loaded).body)
    changed = {item.name for item in store.items(loaded) if item.digest != before[item.name]}
    assert changed == {NAME}


def test_missing_or_too_large_crl_is_left_out(loaded: Loaded) -> None:
    (loaded.folder / NAME).unlink()
    (loaded.folder / "ca/root.crl").write_bytes(b"x" * (LARGEST_GIVEN + 1))
    names = {item.name for item in CrlStore(loaded.folder).items(loaded)}
    assert names == set(loaded.list_names) - {NAME, "ca/root.crl"}
    assert too_large(loaded) == [("ca/root.crl", LARGEST_GIVEN + 1)]
    padded = (loaded.folder / "partners/b/root.crl").read_bytes()
    (loaded.folder / "ca/root.crl").write_bytes(padded + b"\n" * (LARGEST_GIVEN - len(padded)))
    assert {item.name for item in CrlStore(loaded.folder).items(loaded)} == set(loaded.list_names) - {NAME}
    assert too_large(loaded) == []


def numbered(loaded: Loaded, fencing: int, after: timedelta) -> Item:
    """Return the next CRL of our CA, after its numbers have jumped to those of *fencing*."""
    EnterpriseCa.open(loaded.folder / "ca").crls.jump(0, fencing)
    return newer(loaded, after)


def test_crl_of_an_overtaken_leader_replaces_none_with_any_time(loaded: Loaded) -> None:
    """The clock of that host may be ahead. The next CRL of the leader is accepted."""
    store, at = CrlStore(loaded.folder), NOON + 3 * HOUR
    overtaken = newer(loaded, 3 * HOUR)
    assert store.put(numbered(loaded, 2, HOUR), loaded, at)
    with pytest.raises(RemoteError, match="of a management server that was overtaken"):
        store.put(overtaken, loaded, at)
    assert store.put(newer(loaded, 2 * HOUR), loaded, at)
    assert (
        store.put(numbered(loaded, 3, HOUR), loaded, at) is False
    )  # older by its time, so it can wait for the next one


def test_newer_crl_replaces_an_older_one_only(loaded: Loaded) -> None:
    store, at = CrlStore(loaded.folder), NOON + HOUR
    [older] = [item for item in store.items(loaded) if item.name == NAME]
    item = newer(loaded)
    assert store.put(item, loaded, at)
    assert (loaded.folder / NAME).read_bytes() == item.body
    assert not store.put(item, loaded, at)
    assert not store.put(older, loaded, at)
    assert (loaded.folder / NAME).read_bytes() == item.body


def test_crl_that_has_not_begun_replaces_none_that_is_valid(loaded: Loaded) -> None:
    """It would have every certificate refused until it begins. A file without a valid CRL gets it at once."""
    store, minute, before = CrlStore(loaded.folder), timedelta(minutes=1), (loaded.folder / NAME).read_bytes()
    item = newer(loaded, BACKDATED + 2 * minute)
    with pytest.raises(NotBegunError, match="its thisUpdate is") as refused:
        store.put(item, loaded, NOON)
    assert (refused.value.begins, (loaded.folder / NAME).read_bytes()) == (NOON + 2 * minute, before)
    assert store.put(item, loaded, NOON + 2 * minute)
    (loaded.folder / NAME).unlink()
    assert store.put(item, loaded, NOON)


@pytest.mark.parametrize("content", [None, b"nothing"])
def test_missing_or_unreadable_file_is_written(loaded: Loaded, content: bytes | None) -> None:
    item, file = newer(loaded), loaded.folder / NAME
    file.unlink()
    if content is not None:
        file.write_bytes(content)
    assert CrlStore(loaded.folder).put(item, loaded, NOON + HOUR)
    assert file.read_bytes() == item.body


def test_crl_of_an_unknown_issuer_does_not_replace_a_valid_one(
    loaded: Loaded, tmp_path_factory: pytest.TempPathFactory
) -> None:
    stranger = tmp_path_factory.mktemp("stranger")
    EnterpriseCa.create(stranger / "ca", "Stranger", NOON, crl_base="http://crl.test")
    item = Item(ItemKind.LIST, (stranger / NAME).read_bytes(), NAME)
    with pytest.raises(RemoteError, match="and not CN="):
        CrlStore(loaded.folder).put(item, loaded, NOON)
    (loaded.folder / NAME).unlink()
    assert CrlStore(loaded.folder).put(item, loaded, NOON)


def test_crl_of_a_known_ca_does_not_replace_a_valid_one_of_another_ca(loaded: Loaded) -> None:
    """The root is known here, and the issuing CA is not. After that CRL has expired, only the issuing CA replaces it."""
    ca, store = EnterpriseCa.open(loaded.folder / "ca"), CrlStore(loaded.folder)
    root = Item(ItemKind.LIST, ca.crls.publish(NOON + HOUR, Profile.ROOT).read_bytes(), NAME)
    with pytest.raises(RemoteError, match=r"its issuer is CN=Example Root CA.* and not CN=Example Issuing CA"):
        store.put(root, loaded, NOON + HOUR)
    later = NOON + timedelta(days=400)
    with pytest.raises(RemoteError, match="its issuer is CN=Example Root CA"):
        store.put(Item(ItemKind.LIST, ca.crls.publish(later, Profile.ROOT).read_bytes(), NAME), loaded, later)
    assert store.put(newer(loaded, timedelta(days=400)), loaded, later)


def test_crl_of_an_unknown_issuer_does_not_replace_an_expired_one_of_a_known_ca(
    loaded: Loaded, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """No server can check its signature. Over an expired CRL of another unknown CA, only one of the known CA is written."""
    root, later, store = "ca/root.crl", NOON + timedelta(days=400), CrlStore(loaded.folder)
    first, second = (stranger(tmp_path_factory, name, later, root) for name in ("First", "Second"))
    with pytest.raises(RemoteError, match="and not CN="):
        store.put(first, loaded, later)
    before = (loaded.folder / root).read_bytes()
    EnterpriseCa.open(loaded.folder / "ca").crls.publish(later, Profile.ROOT)
    item = Item(ItemKind.LIST, (loaded.folder / root).read_bytes(), root)
    (loaded.folder / root).write_bytes(before)
    assert store.put(item, loaded, later)
    (loaded.folder / root).write_bytes(stranger(tmp_path_factory, "Before", NOON, root).body)
    with pytest.raises(RemoteError, match="and not CN="):
        store.put(second, loaded, later)
    assert store.put(item, loaded, later)


def test_forged_crl_keeps_out_that_of_the_ca_only_until_the_ca_is_known(loaded: Loaded) -> None:
    """A stolen front end has made it, with the name of a CA that is not known here, and a later time."""
    ca, store, file = EnterpriseCa.open(loaded.folder / "ca"), CrlStore(loaded.folder), loaded.folder / NAME
    rightful, at = Item(ItemKind.LIST, file.read_bytes(), NAME), NOON + HOUR
    builder = x509.CertificateRevocationListBuilder(ca.issuing.subject, at, at + timedelta(days=900))
    builder = builder.add_extension(x509.CRLNumber(99), critical=False)
    forged = builder.sign(files.new_key(), hashes.SHA256()).public_bytes(Encoding.DER)
    file.unlink()
    assert store.put(Item(ItemKind.LIST, forged, NAME), loaded, at)
    loaded.read_lists({file})
    assert not store.put(rightful, loaded, at)
    [(_, in_force)] = [(where, crl) for where, crl in loaded.list_files[0].lists if crl.number == 99]
    assert not in_force.signed_by(ca.issuing)  # as the judge finds out in a handshake
    assert store.put(rightful, loaded, at)
    assert file.read_bytes() == rightful.body
    loaded.read_lists({file})
    assert loaded.list_files[0].found_in(file) is not in_force


def stranger(tmp_path_factory: pytest.TempPathFactory, name: str, at: datetime, file: str) -> Item:
    """Return the CRL of a CA that is not known."""
    folder = tmp_path_factory.mktemp("stranger")
    EnterpriseCa.create(folder / "ca", name, at, crl_base="http://crl.test")
    return Item(ItemKind.LIST, (folder / file).read_bytes(), file)


@pytest.mark.parametrize(
    ("change", "after", "why"),
    [
        (lambda _: Item(ItemKind.LIST, b"nothing", NAME), HOUR, "not a readable"),
        (lambda item: item, timedelta(days=400), "its nextUpdate has passed"),
        (lambda item: item, timedelta(0), "its thisUpdate is"),
        (lambda item: Item(ItemKind.LIST, item.body, "../outside.crl"), HOUR, "out of the folder"),
        (lambda item: Item(ItemKind.LIST, item.body, "/etc/outside.crl"), HOUR, "out of the folder"),
    ],
    ids=["unreadable", "ended", "not begun", "above", "absolute"],
)
def test_unusable_crl_is_refused(loaded: Loaded, change: Callable[[Item], Item], after: timedelta, why: str) -> None:
    """It must not replace a CRL that works; the right CRL is accepted."""
    before, item = (loaded.folder / NAME).read_bytes(), newer(loaded)
    with pytest.raises(RemoteError, match=why) as refused:
        CrlStore(loaded.folder).put(change(item), loaded, NOON + after)
    assert (refused.value.status, (loaded.folder / NAME).read_bytes()) == (488, before)
    assert CrlStore(loaded.folder).put(item, loaded, NOON + HOUR)


def test_crl_with_a_wrong_signature_is_refused(loaded: Loaded) -> None:
    store, name = CrlStore(loaded.folder), "ca/root.crl"
    EnterpriseCa.open(loaded.folder / "ca").crls.publish(NOON + HOUR, Profile.ROOT)
    rightful = x509.load_pem_x509_crl((loaded.folder / name).read_bytes()).public_bytes(Encoding.DER)
    (loaded.folder / name).unlink()
    with pytest.raises(RemoteError, match="is not signed by"):
        store.put(Item(ItemKind.LIST, rightful[:-1] + bytes([rightful[-1] ^ 1]), name), loaded, NOON + HOUR)
    assert not (loaded.folder / name).exists()
    assert store.put(Item(ItemKind.LIST, rightful, name), loaded, NOON + HOUR)


@pytest.mark.parametrize(
    ("name", "portable"), [("ca/root.crl", True), ("root.crl", True), ("/ca/root.crl", False), ("ca/../../x", False)]
)
def test_only_names_below_the_folder_are_portable(name: str, *, portable: bool) -> None:
    assert is_portable(name) is portable
