"""The certificates by which a simulation decides."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.world import FE1, Organisation
from sipmesh.cli.place import Place
from sipmesh.cli.topology.simulation.chains import chain_of, read_chain
from sipmesh.errors import OperatorError
from sipmesh.trust.evidence import LinkKind


def serials(organisation: Organisation) -> list[int]:
    place = Place(organisation.file)
    return [one.serial_number for one in chain_of(place, place.load(), FE1, LinkKind.SERVER)]


def test_chain_is_that_of_the_file_else_of_the_ledger(organisation: Organisation) -> None:
    from_file = serials(organisation)
    assert len(from_file) == 2
    (organisation.folder / "servers" / f"{FE1}.pem").unlink()
    assert serials(organisation) == from_file


def test_machine_without_the_ca_knows_the_files_only(organisation: Organisation, tmp_path: Path) -> None:
    loaded, elsewhere = Place(organisation.file).load(), Place(tmp_path / "topology.yaml")
    assert len(chain_of(elsewhere, loaded, FE1, LinkKind.SERVER)) == 2
    (organisation.folder / "servers" / f"{FE1}.pem").unlink()
    assert chain_of(elsewhere, loaded, FE1, LinkKind.SERVER) == []


def test_file_without_a_certificate_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "x.pem").write_text("nothing")
    with pytest.raises(OperatorError, match="no certificate to judge"):
        read_chain(tmp_path / "x.pem")
