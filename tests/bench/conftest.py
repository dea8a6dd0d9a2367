from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import sipmesh
from sipmesh.demo.ports import HOST, free_port

BENCH = Path(__file__).parents[2] / "bench"
SOURCES = Path(sipmesh.__file__).parents[1]
"""Where the sipmesh lies that is tested: this checkout, or a compiled install."""

START_S = 60.0

Ran = subprocess.CompletedProcess[str]
Run = Callable[..., Ran]


@pytest.fixture(name="run", scope="session")
def _run() -> Run:
    """Runs a command with the sipmesh that is tested, and gives what it said."""

    def run(*command: object) -> Ran:
        environment = {
            **os.environ,
            "PYTHONPATH": f"{SOURCES}{os.pathsep}{BENCH.parent}",
            "SIPMESH_PYTHON": sys.executable,
        }
        return subprocess.run(
            list(map(str, command)), env=environment, capture_output=True, text=True, timeout=60, check=False
        )

    return run


@pytest.fixture(name="pki", scope="session")
def _pki(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The certificates of the bench."""
    folder = tmp_path_factory.mktemp("bench-pki")
    made = run(sys.executable, BENCH / "pki.py", folder, "--revoked", 3)
    assert made.returncode == 0, made.stderr
    return folder


@pytest.fixture(name="load", scope="session")
def _load(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The load generator, compiled; the Makefile takes every warning for an error."""
    missing = [command for command in ("cc", "make") if shutil.which(command) is None]
    if missing or run("sh", "-c", "echo '#include <openssl/ssl.h>' | cc -E -").returncode:
        reason = "there is no C compiler, no make, or no header of OpenSSL (as root: bench/setup)"
        if os.environ.get("CI"):
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)
    binary = tmp_path_factory.mktemp("bench-load") / "load"
    made = run("make", "-C", BENCH / "load", f"OUT={binary}")
    assert made.returncode == 0, made.stderr
    return binary


@pytest.fixture(name="ports", scope="module")
def _ports() -> dict[str, int]:
    """Ports of the kernel's choice, since several tests run at once."""
    return {name: free_port(HOST) for name in ("client", "server", "sink", "floor")}


@pytest.fixture(name="where", scope="module")
def _where(pki: Path, ports: dict[str, int], tmp_path_factory: pytest.TempPathFactory) -> list[object]:
    """What `bench/sut` and `organisation.py` have to be told to use those."""
    addresses: list[object] = ["--host", HOST, "--sink-host", HOST, "--users", 8]
    for name in ("client", "server", "sink"):
        addresses += [f"--{name}-port", ports[name]]
    return ["--pki", pki, "--run", tmp_path_factory.mktemp("bench-run"), *addresses]


@pytest.fixture(name="topology", scope="module")
def _topology(run: Run, where: list[object]) -> Path:
    """The topology of the bench, written."""
    made = run(sys.executable, BENCH / "organisation.py", *where)
    assert made.returncode == 0, made.stderr
    return Path(str(where[3])) / "sipmesh" / "topology.yaml"


def wait_for(port: int, host: str = HOST) -> None:
    """Wait until a process listens."""
    end = time.monotonic() + START_S
    while time.monotonic() < end:
        with socket.socket() as probe:
            if probe.connect_ex((host, port)) == 0:
                return
        time.sleep(0.05)
    pytest.fail(f"nobody listens on port {port}")
