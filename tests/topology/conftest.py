"""One small network on disk: a topology that loads, with real authorities, to be spoilt in one place by each test."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from topology.world import NOON, TOPOLOGY, Place, make_authorities

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path


@pytest.fixture(name="authorities", scope="session")
def _authorities(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three enterprises' CAs, made once."""
    return make_authorities(tmp_path_factory.mktemp("authorities"))


@pytest.fixture(name="place")
def _place(tmp_path: Path, authorities: Path) -> Place:
    """A folder with a topology that loads."""
    for found in (*authorities.rglob("*.pem"), *authorities.rglob("*.crl")):
        copy = tmp_path / found.relative_to(authorities)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(found.read_bytes())
    topology = tmp_path / "topology.yaml"
    topology.write_text(TOPOLOGY)
    return Place(topology)


@pytest.fixture(name="noon")
def _noon() -> datetime:
    return NOON
