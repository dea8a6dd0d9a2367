"""Organisations made by the commands themselves: one at rest, and a running one, which the tests that only read share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from cli.world import EDGE, FE1, FE2, Organisation
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
