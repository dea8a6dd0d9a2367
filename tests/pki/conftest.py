"""A CA made at noon; tests that change it get a copy of their own."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from sipmesh.pki.authority import EnterpriseCa
from sipmesh.pki.issued import Issued
from sipmesh.trust.role import Role

if TYPE_CHECKING:
    from pathlib import Path

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


@pytest.fixture(name="noon")
def _noon() -> datetime:
    return NOON


@pytest.fixture(name="pristine", scope="session")
def _pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pki") / "ca"
    EnterpriseCa.create(folder, "Example", NOON, crl_base="http://crl.example.test/")
    return folder


@pytest.fixture(name="ca")
def _ca(tmp_path: Path, pristine: Path) -> EnterpriseCa:
    shutil.copytree(pristine, tmp_path / "ca")
    return EnterpriseCa.open(tmp_path / "ca")


@pytest.fixture(name="issued")
def _issued(ca: EnterpriseCa, noon: datetime) -> Issued:
    """The certificate of fe1."""
    return ca.issue(("fe1.example.test", "pool1.example.test", "example.test"), Role.FRONT_END, noon)
