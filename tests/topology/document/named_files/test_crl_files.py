"""List files are read again one by one: only those that changed, with the faults of all of them."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from sipmesh.pki.authority import EnterpriseCa
from sipmesh.pki.crl.builder import Reason
from sipmesh.pki.issuance.profiles import CertificateKind
from sipmesh.trust.revocation.crl_set import RevocationLists
from topology.world import NOON

if TYPE_CHECKING:
    from pathlib import Path

    from sipmesh.topology.document.load import Loaded
    from topology.world import Place


@pytest.fixture(name="ca")
def _ca(place: Place, authorities: Path, tmp_path: Path) -> EnterpriseCa:
    """Our own CA with its keys, in the folder that the topology names."""
    shutil.copytree(authorities / "ca", tmp_path / "ca", dirs_exist_ok=True)
    return EnterpriseCa.open(tmp_path / "ca")


def of(lists: RevocationLists, number: int) -> list[str]:
    return [held.issuer.rfc4514_string() for held in lists if held.number == number]


def read_one(loaded: Loaded, file: Path) -> RevocationLists:
    """Read one file again that one authority names."""
    [(_, lists)] = loaded.read_lists({file})
    return lists


def test_only_the_file_that_changed_is_read(ca: EnterpriseCa, place: Place, tmp_path: Path) -> None:
    """A partner's list of a million serials is not read again for one of ours."""
    loaded = place.load()
    ca.crls.publish(NOON)
    lists = read_one(loaded, tmp_path / "ca" / "issuing.crl")
    assert len(of(lists, 2)) == 1
    kept = {id(held) for held in loaded.authority.lists} & {id(held) for held in lists}
    assert len(kept) == 1


def test_reading_crls_does_not_change_the_authority(ca: EnterpriseCa, place: Place, tmp_path: Path) -> None:
    loaded = place.load()
    before = loaded.authority.lists
    ca.crls.publish(NOON, CertificateKind.ROOT)
    [(authority, lists)] = loaded.read_lists({tmp_path / "ca" / "root.crl"})
    assert authority is loaded.authority
    assert authority.lists is before
    authority.use_crls(lists)
    assert loaded.authority.lists is lists


def test_every_crl_file_is_known_by_its_authority(place: Place, tmp_path: Path) -> None:
    loaded = place.load()
    assert loaded.lists == {
        tmp_path / "partners" / room / name for room in "bc" for name in ("root.crl", "issuing.crl")
    } | {tmp_path / "ca" / name for name in ("root.crl", "issuing.crl")}
    for partner, room in zip(loaded.partners, "bc", strict=True):
        [(authority, _)] = loaded.read_lists({tmp_path / "partners" / room / "issuing.crl"})
        assert authority is partner
    assert loaded.read_lists({tmp_path / "topology.yaml"}) == []


def test_unusable_file_is_a_fault_until_it_is_corrected(place: Place, tmp_path: Path) -> None:
    loaded, file = place.load(), tmp_path / "ca" / "issuing.crl"
    assert not loaded.faults_of_lists
    good = file.read_bytes()
    file.write_bytes(b"nothing")
    lists = read_one(loaded, file)
    assert len(lists) == 1
    fault = loaded.faults_of_lists[0]
    assert (fault.field, fault.line) == ("authority.crls[1]", place.line("ca/issuing.crl"))
    assert "not a readable CRL" in fault.reason
    assert any("authority.crls[1]" in told for told in lists.faults)
    file.write_bytes(good)
    assert len(read_one(loaded, file)) == 2
    assert not loaded.faults_of_lists


def test_revoked_serial_is_on_the_crl_that_is_read(ca: EnterpriseCa, place: Place, tmp_path: Path) -> None:
    loaded = place.load()
    ca.revoke(ca.issuing.serial_number, Reason.KEY_COMPROMISE, NOON)
    lists = read_one(loaded, tmp_path / "ca" / "root.crl")
    [root] = lists.of(ca.root.subject.public_bytes())
    assert ca.issuing.serial_number in root.serials
    assert lists.of(b"nobody") == ()
