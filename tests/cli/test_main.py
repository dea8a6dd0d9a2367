"""The command as a whole."""

import re
import subprocess
import sys
from importlib.machinery import ExtensionFileLoader
from pathlib import Path

import pytest
from OpenSSL import SSL

from cli.world import environment, sipmesh
from sipmesh import __version__
from sipmesh.transport.link import link

COMMANDS = (
    ("demo",),
    ("init",),
    ("serve",),
    *(("topology", sub) for sub in ("check", "show", "schema")),
    *(("ca", sub) for sub in ("status", "issue", "revoke", "crl")),
    *(("user", sub) for sub in ("add", "list", "password", "remove")),
    *(("partner", sub) for sub in ("add", "list", "block")),
    ("links",),
    ("explain",),
    ("register",),
    ("message",),
    ("call",),
)


def test_version_names_the_openssl_that_links_use() -> None:
    """A report of a fault has to tell it: it is the wheel's, and not the system's."""
    told = sipmesh("--version")
    assert told.code == 0
    for part in (__version__, SSL.OpenSSL_version(SSL.OPENSSL_VERSION).decode(), "pyOpenSSL"):
        assert part in told.out


def test_version_says_whether_it_runs_compiled_or_from_source() -> None:
    """The loader of a module on the way of a message knows."""
    compiled = isinstance(link.__loader__, ExtensionFileLoader)
    word = "compiled" if compiled else "source"
    assert re.search(rf"^sipmesh +{re.escape(__version__)} \({word}\)$", sipmesh("--version").out, re.MULTILINE)


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_explains_itself(command: tuple[str, ...]) -> None:
    told = sipmesh(*command, "--help")
    assert told.code == 0
    assert "Usage: sipmesh" in told.out


@pytest.mark.parametrize(
    "wrong", [("nothing",), ("trace",), ("ca", "issue"), ("ca", "revoke"), ("user", "add", "--bad")]
)
def test_a_command_that_cannot_be_read_leaves_with_two(wrong: tuple[str, ...]) -> None:
    assert sipmesh(*wrong).code == 2


def test_python_m_sipmesh_is_the_same_command() -> None:
    command = [sys.executable, "-m", "sipmesh", "--version"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment())
    assert done.stdout == sipmesh("--version").out


def test_step_that_takes_too_long_is_reported_in_a_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A TimeoutError has no text of its own."""

    def too_long(*_: object) -> None:
        raise TimeoutError

    monkeypatch.setattr("sipmesh.cli.place.Place.in_force", too_long)
    told = sipmesh("user", "add", "alice@example.com", topology=tmp_path / "topology.yaml")
    assert told.code == 1
    assert "error: a step took too long; run the command again when this machine is less busy" in told.err
