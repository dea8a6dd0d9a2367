"""Organisations made by the commands themselves: one at rest, and a running one, which the tests that only read share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.public_ca import ROOTS, TODAY, preset, trust
from cli.world import EDGE, FE1, FE2, Organisation, sipmesh, uncommented
from sipmesh.topology.third_party import presets
from sipmesh.topology.third_party.presets import Presets, PresetSources
from support.model_ports import model_port


@pytest.fixture(name="organisation_model", scope="session")
def _organisation_model(tmp_path_factory: pytest.TempPathFactory) -> Organisation:
    """The organisation as it is copied for each test. Its copies have the same ports (`support.model_ports`)."""
    return Organisation.make(tmp_path_factory.mktemp("o") / "o", port=model_port)


@pytest.fixture(name="organisation")
def _organisation(organisation_model: Organisation, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Organisation]:
    """A fresh organisation without a running server; what a test starts is stopped after it."""
    made = organisation_model.copied(tmp_path_factory.mktemp("o") / "o")
    yield made
    made.stop()


@pytest.fixture(name="running", scope="session")
def _running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Organisation]:
    """Two front ends and an edge that run, with alice and bob; a test may use it and must not change it."""
    made = Organisation.make(tmp_path_factory.mktemp("r") / "r", whole=True)
    made.add_user("alice")
    made.add_user("bob")
    try:
        made.serve(FE1, FE2, EDGE)
        yield made
    finally:
        made.stop()


@pytest.fixture(name="system")
def _system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file with the roots of a system that trusts two public roots of three; a preset names the last two."""
    file = tmp_path / "system.pem"
    trust(file, *ROOTS[:2])
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    monkeypatch.setattr(
        presets, "presets", lambda: Presets(TODAY, PresetSources("there", "there"), (preset(*ROOTS[1:]),))
    )
    return file


@pytest.fixture(name="theirs", scope="session")
def _theirs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The CA folder of another organisation."""
    folder = tmp_path_factory.mktemp("p") / "p"
    assert sipmesh("init", "partner.test", "--dir", folder).code == 0
    return folder / "ca"


@pytest.fixture(name="open_model", scope="session")
def _open_model(organisation_model: Organisation, tmp_path_factory: pytest.TempPathFactory) -> Organisation:
    made = organisation_model.copied(tmp_path_factory.mktemp("o") / "o")
    made.file.write_text(uncommented(made.file.read_text()))
    made.publish("an edge")
    return made


@pytest.fixture(name="open_")
def _open(open_model: Organisation, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Organisation]:
    """An organisation with an edge and a federation, but no partner."""
    made = open_model.copied(tmp_path_factory.mktemp("o") / "o")
    yield made
    made.stop()
