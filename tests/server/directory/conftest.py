"""The directory of the tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.directory_world import DirectoryWorld, directory_world


@pytest.fixture(name="world")
def _world(tmp_path: Path) -> Iterator[DirectoryWorld]:
    """A real OpenLDAP without people, and an organisation that names it."""
    with directory_world(tmp_path) as world:
        yield world
