"""No command waits for a pipe or a terminal that stands where it wants a file; with the file itself it goes on."""

from __future__ import annotations

import ast
import os
import pty
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

import sipmesh.cli
from cli.world import Organisation
from sipmesh.cli.given_file import read_given
from sipmesh.cli.topology.approvals import _signed
from sipmesh.cli.trace.sinks import to_collector
from sipmesh.errors import OperatorError

COMMANDS = (
    ("topology", "import", "GIVEN", "--from", "csv"),
    ("topology", "import", "GIVEN", "--from", "skype-for-business"),
    ("topology", "import", "GIVEN", "--from", "kamailio-tls"),
    ("topology", "import", "GIVEN", "--from", "kamailio-dispatcher"),
    ("topology", "check", "-t", "GIVEN"),
    ("topology", "plan", "-t", "GIVEN"),
    ("topology", "publish", "-t", "GIVEN", "-m", "x"),
    ("topology", "review", "GIVEN"),
    ("topology", "approve", "GIVEN", "--key", "GIVEN"),
    ("topology", "reject", "GIVEN", "--key", "GIVEN", "-m", "x"),
    ("topology", "simulate", "--from", "fe1.example.com", "--to", "example.com", "--certificate", "GIVEN"),
    ("user", "import", "GIVEN"),
    ("user", "import", "GIVEN", "--passwords", "new"),
    ("partner", "add", "partner.test", "--ca", "GIVEN", "--crl", "http://crl.partner.test/a.crl"),
    ("partner", "add", "partner.test", "--ca", "ca/root.pem", "--crl", "GIVEN"),
    ("console", "certificate", "ada", "--request", "GIVEN"),
    ("join", "grant", "GIVEN"),
    ("join", "accept", "GIVEN"),
    ("ca", "root", "sign", "GIVEN"),
    ("ca", "root", "take", "GIVEN"),
    ("restore", "GIVEN", "--dir", "restored"),
    ("restore", "ca/root.pem", "--dir", "restored", "--passphrase-file", "GIVEN"),
    ("backup", "new.backup", "--passphrase-file", "GIVEN"),
    ("explain", "./GIVEN"),
    ("explain", "127.0.0.1:1", "--name", "fe1.example.com", "--ca", "GIVEN"),
    ("register", "--as", "alice@example.com", "--password-stdin", "--server", "127.0.0.1", "--ca", "GIVEN"),
)  # fmt: skip


@pytest.fixture(name="terminal", scope="module")
def _terminal() -> Iterator[str]:
    """A terminal on which nothing is typed."""
    controller, terminal = pty.openpty()
    yield os.ttyname(terminal)
    os.close(terminal)
    os.close(controller)


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: "-".join(command[:3]).replace("/", ""))
@pytest.mark.parametrize("kind", ["pipe", "terminal"])
def test_pipe_or_terminal_in_place_of_a_file_is_refused_with_its_name(
    organisation: Organisation, monkeypatch: pytest.MonkeyPatch, terminal: str, kind: str, command: tuple[str, ...]
) -> None:
    monkeypatch.chdir(organisation.folder)
    given = Path("given")
    if kind == "pipe":
        os.mkfifo(given, 0o600)
    else:
        given.symlink_to(terminal)
    done = organisation.type(*(word.replace("GIVEN", "given") for word in command))
    assert done.code in (1, 2)
    assert "given" in done.err


def test_regular_file_is_read_and_a_directory_is_not(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"content")
    assert read_given(tmp_path / "a", "refused", "name a file") == b"content"
    for given in (tmp_path, tmp_path / "b", Path("/dev/zero")):
        with pytest.raises(OperatorError, match="refused"):
            read_given(given, "refused", "name a file")


def test_root_of_a_collector_is_a_regular_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "root.pem")
    with ExitStack() as opened, pytest.raises(OperatorError, match="is not a regular file"):
        to_collector(opened, "127.0.0.1:1", tmp_path / "root.pem")


@pytest.mark.parametrize("name", ["key", "key.pub"])
def test_key_that_signs_a_proposal_is_a_regular_file(tmp_path: Path, name: str) -> None:
    """`ssh-keygen` would wait for a pipe too."""
    os.mkfifo(tmp_path / name, 0o600)
    with pytest.raises(OperatorError, match="the key cannot be used"):
        _signed(b"a proposal", "sipmesh-topology", tmp_path / name)


def test_no_command_reads_a_file_in_another_way() -> None:
    """`open_regular` and what is built on it wait for nothing."""
    waiting = {"read_text", "read_bytes"}
    folder = Path(sipmesh.cli.__file__).parent
    found = [
        f"{file.relative_to(folder)}:{node.lineno}"
        for file in sorted(folder.rglob("*.py"))
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Attribute) and node.attr in waiting
    ]
    assert found == []
