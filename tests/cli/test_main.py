"""The command as a whole."""

import ssl
import subprocess
import sys

import pytest
from OpenSSL import SSL

from cli.world import environment, sipmesh
from sipmesh import __version__

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


def test_version_names_both_builds_of_openssl() -> None:
    """Two builds live in one process; a report of a fault has to tell both."""
    told = sipmesh("--version")
    assert told.code == 0
    for part in (__version__, ssl.OPENSSL_VERSION, SSL.OpenSSL_version(SSL.OPENSSL_VERSION).decode(), "pyOpenSSL"):
        assert part in told.out


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_explains_itself(command: tuple[str, ...]) -> None:
    told = sipmesh(*command, "--help")
    assert told.code == 0
    assert "Usage: sipmesh" in told.out


@pytest.mark.parametrize(
    "wrong", [("nothing",), ("init",), ("ca", "issue"), ("ca", "revoke"), ("user", "add", "--bad")]
)
def test_a_command_that_cannot_be_read_leaves_with_two(wrong: tuple[str, ...]) -> None:
    assert sipmesh(*wrong).code == 2


def test_python_m_sipmesh_is_the_same_command() -> None:
    command = [sys.executable, "-m", "sipmesh", "--version"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment())
    assert done.stdout == sipmesh("--version").out
