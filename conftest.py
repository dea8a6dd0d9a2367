"""What holds for every test: real peers are there or it is skipped, and what is tested is what was asked for.

In CI a test whose real peer is not installed fails.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest
from hypothesis import settings

from support import commands

MEMORY = Path("/dev/shm")  # noqa: S108 - pytest makes a private folder in it
ROOM = 4 << 30
"""So many octets must be free in memory for the tests to keep their files there; they use less than one GiB."""


def _keep_files_in_memory() -> None:
    """Have pytest, and each process that a test starts, make temporary files in memory: nobody then waits for a disk."""
    if "TMPDIR" not in os.environ and MEMORY.is_dir() and shutil.disk_usage(MEMORY).free >= ROOM:
        os.environ["TMPDIR"] = os.environ["PYTEST_DEBUG_TEMPROOT"] = str(MEMORY)


_keep_files_in_memory()

# The same examples in each run, and none is timed: a test that fails has to fail for whoever looks at it next.
settings.register_profile("sipmesh", derandomize=True, deadline=None)
settings.load_profile("sipmesh")

COMMANDS = {
    "baresip": "baresip",
    "kamailio": "kamailio",
    "knot": "knotd",
    "linphone": "linphone-daemon",
    "openssl": "openssl",
    "postgresql": "initdb",
    "sslscan": "sslscan",
    "testssl": "testssl",
}
"""The command that each peer of the marker `peer` is known by."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let `make test-compiled` say what it wants to test."""
    parser.addoption("--compiled", action="store_true", help="refuse to test anything but a compiled install")


def pytest_sessionstart(session: pytest.Session) -> None:
    """With ``--compiled`` nothing of this checkout's sources may be what is tested."""
    if session.config.getoption("compiled"):
        from sipmesh.cli.versions import __file__ as found
        from sipmesh.cli.versions import built

        if Path(sys.prefix) not in Path(found).parents or built() != "compiled":
            raise pytest.UsageError(f"not compiled, or not in {sys.prefix}: {found}")


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Look for the peers that a test names before it is set up."""
    for marker in item.iter_markers("peer"):
        for name in marker.args:
            if commands.found(COMMANDS[name]) is None:
                reason = f"the real peer {name} is not installed (as root: make peers)"
                if os.environ.get("CI"):
                    pytest.fail(reason, pytrace=False)
                pytest.skip(reason)
