from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from simulation.organisations import Folders
    from simulation.simulation import Result


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


@pytest.fixture(name="run", scope="session")
def _run(folders: Folders) -> Callable[[str, int], Result]:
    """Run a seed of a profile, once for each process of tests."""
    from simulation.simulation import PROFILES, simulate

    return lru_cache(maxsize=None)(lambda name, seed: simulate(folders, seed, settings=PROFILES[name].settings))
