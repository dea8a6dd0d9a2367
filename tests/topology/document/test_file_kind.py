"""Where a file of each kind lives, and whose files the names in a topology are."""

from __future__ import annotations

from pathlib import Path

import pytest

from sipmesh.topology.document import file_kind
from sipmesh.topology.document.file_kind import FileKind, NamePlace, is_reserved

FE1, OTHER = "fe1.example.test", "a.fe1.example.test"
KINDS = [kind for kind in vars(file_kind).values() if isinstance(kind, FileKind)]


@pytest.fixture(name="place")
def _place(tmp_path: Path) -> NamePlace:
    return NamePlace(tmp_path, {FE1, OTHER, "mgmt.example.test"})


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: f"{kind.what} {kind.on_host}")
def test_each_kind_has_a_place_and_no_key_of_a_ca_is_there(place: NamePlace, kind: FileKind) -> None:
    suffix = kind.suffixes[0] if kind.suffixes else ""
    assert place.fault(f"{kind.folders[0]}/x{suffix}", kind) == ""
    for name in ("ca/root.key", "ca/issuing.key", "ca/2/root.key", "ca/ledger.db", "management.json", "users.db"):
        assert place.fault(name, kind)
    assert place.fault(f"{kind.folders[0]}/x.exe", kind) or not kind.suffixes


def test_file_of_a_server_is_its_own(place: NamePlace) -> None:
    """The longest name decides: a.fe1.example.test is another server than fe1.example.test."""
    assert place.fault(f"servers/{FE1}.key", file_kind.KEY, FE1) == ""
    assert place.fault(f"servers/{FE1}.clients.key", file_kind.HOST_KEY, FE1) == ""
    assert place.fault(f"servers/{OTHER}.key", file_kind.KEY, FE1) == f"is a file of {OTHER}"
    assert place.fault(f"servers/{FE1.upper()}.key", file_kind.KEY, OTHER) == f"is a file of {FE1}"
    assert place.fault(f"servers/{FE1}.key", file_kind.HOST_KEY) == f"is a file of {FE1}"
    assert "signs versions" in place.fault(f"servers/{FE1}.signer.key", file_kind.KEY, FE1)


def test_public_files_of_our_ca_are_named_where_our_authority_is(place: NamePlace) -> None:
    for name in ("ca/root.pem", "ca/2/root.pem"):
        assert place.fault(name, file_kind.OUR_ANCHOR) == ""
        assert place.fault(name, file_kind.ANCHOR)
    for name in ("ca/root.crl", "ca/issuing.crl", "ca/2/issuing.crl"):
        assert place.fault(name, file_kind.OUR_CRL) == ""
        assert place.fault(name, file_kind.CRL)
    assert place.fault("ca/issuing.pem", file_kind.OUR_ANCHOR)


def test_remedy_moves_no_file_that_stays_where_it_is(place: NamePlace, tmp_path: Path) -> None:
    for name in ("ca/root.key", "ca/issuing.crl", "state/x.key", "servers/mgmt.example.test.signer.key", "../x.key"):
        for kind in KINDS:
            assert not place.remedy(name, kind).startswith("on each server")
    moved = f"mv {tmp_path}/ca/valkey.pem {tmp_path}/partners/valkey.pem"
    assert place.remedy("ca/valkey.pem", file_kind.ANCHOR).startswith(f"on each server that has it: {moved};")


def test_link_is_judged_by_what_it_leads_to(place: NamePlace, tmp_path: Path) -> None:
    (tmp_path / "partners").mkdir()
    (tmp_path / "partners" / "loop.crl").symlink_to(tmp_path / "partners" / "loop.crl")
    (tmp_path / "partners" / "folder").symlink_to(tmp_path / "ca")
    for name in ("partners/loop.crl", "partners/folder/issuing.crl"):
        fault = place.fault(name, file_kind.CRL)
        assert fault == "" if "loop" in name else "is a link to ca/issuing.crl" in fault


@pytest.mark.parametrize("name", ["secrets/x", "../x", "turn.secret"])
def test_reserved_is_what_is_ours(tmp_path: Path, name: str) -> None:
    assert not is_reserved(tmp_path / name, tmp_path)
    assert is_reserved(tmp_path / "ca" / "issuing.key", tmp_path)
    assert is_reserved(tmp_path / "secrets" / ".." / "management.json", tmp_path)
