"""A hosts file for one phone: for phones that have no setting for a DNS server."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

NAMESPACE = ("unshare", "--map-root-user", "--mount")


def with_hosts(folder: Path, command: str, *names: str) -> tuple[str, ...]:
    """Write the hosts file into *folder*; gives the arguments that run *command* with it, in a mount namespace of its own."""
    (folder / "hosts").write_text(f"127.0.0.1 localhost {' '.join(names)}\n")
    return (*NAMESPACE, "sh", "-c", f"mount --bind {folder}/hosts /etc/hosts && exec {command}")


def require_namespaces() -> None:
    """Skip a test where a container forbids mount namespaces; in CI that is a failure, as a missing peer is."""
    if subprocess.run((*NAMESPACE, "true"), capture_output=True, check=False).returncode:
        reason = "this phone needs a mount namespace for its hosts file (unshare --map-root-user --mount)"
        if os.environ.get("CI"):
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)
