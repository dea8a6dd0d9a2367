"""The files of a generation, as the topology names them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from sipmesh.cli.ca.generation_files import names_of
from sipmesh.cli.place import Place
from sipmesh.pki.authority import EnterpriseCa
from sipmesh.pki.ca_rotation import CaGenerations
from sipmesh.pki.importing.bundle import read_bundle
from sipmesh.pki.importing.subordinate import import_ca, request_ca
from support.other_ca import OtherCa, bundled

if TYPE_CHECKING:
    from pathlib import Path


def test_crls_of_a_root_of_others_are_not_ours(tmp_path: Path) -> None:
    own = EnterpriseCa.create(tmp_path / "ca", "Example", datetime.now(UTC), crl_base="http://crl.example.test")
    corp, generations = OtherCa(tmp_path, "corp").made(), CaGenerations(own.folder)
    (tmp_path / "ours.csr").write_bytes(request_ca(generations))
    file = bundled(tmp_path / "all.pem", corp.sign(tmp_path / "ours.csr", tmp_path / "ours.pem"), corp.pem)
    theirs = import_ca(
        generations, read_bundle(file.read_bytes(), file, str), ("fe1.example.test",), (), datetime.now(UTC)
    )
    place = Place(tmp_path / "topology.yaml")
    assert names_of(place, own) == ("ca/root.pem", ("ca/root.crl", "ca/issuing.crl"), ())
    assert names_of(place, theirs) == ("ca/2/root.pem", ("http://pki.corp.test/corp.crl", "ca/2/issuing.crl"), ())
