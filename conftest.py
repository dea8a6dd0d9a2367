"""A test that talks to a real peer is skipped where that peer is not installed; in CI that is a failure instead."""

from __future__ import annotations

import os
import shutil

import pytest
from hypothesis import settings

# The same examples in each run, and none is timed: a test that fails has to fail for whoever looks at it next.
settings.register_profile("sipmesh", derandomize=True, deadline=None)
settings.load_profile("sipmesh")

COMMANDS = {"baresip": "baresip", "kamailio": "kamailio", "knot": "knotd", "openssl": "openssl"}
"""The command that each peer of the marker `peer` is known by."""


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Look for the peers that a test names before it is set up."""
    for marker in item.iter_markers("peer"):
        for name in marker.args:
            if not installed(COMMANDS[name]):
                reason = f"the real peer {name} is not installed (as root: make peers)"
                if os.environ.get("CI"):
                    pytest.fail(reason, pytrace=False)
                pytest.skip(reason)


def installed(command: str) -> bool:
    """Tell whether a command is there; servers of Debian are not on everybody's PATH."""
    return shutil.which(command) is not None or shutil.which(command, path="/usr/sbin:/sbin") is not None
