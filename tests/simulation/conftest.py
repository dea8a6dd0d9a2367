from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from simulation.organisations import Folders


def pytest_ignore_collect(config: pytest.Config) -> bool | None:
    """Run from source only: a class that replaces a compiled one cannot be made (the TLS adapter)."""
    return True if config.getoption("compiled") else None


@pytest.fixture(name="folders", scope="session")
def _folders(tmp_path_factory: pytest.TempPathFactory) -> Folders:
    """The organisations of all runs of this process."""
    from simulation.organisations import Folders

    folders = Folders(tmp_path_factory.mktemp("simulation"))
    folders.build()
    return folders
