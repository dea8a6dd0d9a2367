"""What the first tutorial says, typed by a test: its own words, with other ports, since 5061 may be taken."""

import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.world import FE1, Organisation, Result, end, environment, sipmesh, until
from sipmesh.server.process.fork_server import die_with_parent
from support.checkout import ROOT

TUTORIAL = ROOT / "docs/tutorial/first-hour.md"
PHONES = ROOT / "docs/howto/phones.md"
PASSWORDS = {"alice": "alice-secret", "bob": "bob-secret"}
EXPECTED = {
    "message": 0,
    "call": 0,
    "registrations": 0,
    "links": 0,
    "explain bob@example.com": 0,
    "explain 127.0.0.1:5061": 0,
    "explain 127.0.0.1:5062": 1,
}
"""Which command of the third terminal leaves with what."""


def blocks(page: Path, begin: str, end: str) -> list[str]:
    """The shell blocks of *page* between two headings."""
    text = page.read_text().partition(f"## {begin}")[2].partition(f"## {end}")[0]
    return re.findall(r"```sh\n(.*?)```", text, re.DOTALL)


def lines(begin: str, end: str) -> list[str]:
    """The commands of the tutorial between two headings."""
    return "".join(blocks(TUTORIAL, begin, end)).splitlines()


class Terminal:
    """Types the lines of the tutorial in the folder of an organisation, on ports that are free."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.organisation = Organisation(folder)

    def type(self, line: str) -> Result:
        words = shlex.split(self.ported(line))
        user = next((name for name in PASSWORDS if name in words or f"{name}@example.com" in words), "")
        asks = words[1:3] == ["user", "add"] or "--as" in words
        more = ["--password-stdin"] if asks else []
        return sipmesh(*words[1:], *more, typed=f"{PASSWORDS.get(user, '')}\n", topology=self.organisation.file)

    def ported(self, text: str) -> str:
        ports = {"5061": f"{FE1} client", "5062": f"{FE1} server"}
        return re.sub(r"\b506[12]\b", lambda found: str(self.organisation.ports[ports[found[0]]]), text)


@pytest.fixture(name="terminal")
def _terminal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Terminal]:
    """Steps 2 and 3, typed: the organisation runs."""
    folder = tmp_path_factory.mktemp("q") / "example.com"
    terminal = Terminal(folder)
    init, cd, *users, serve = lines("2.", "4.")
    assert sipmesh(*shlex.split(init)[1:], "--dir", folder).code == 0
    assert cd == "cd example.com"
    terminal.organisation.choose_ports(whole=False)
    terminal.organisation.publish("ports that are free")
    for line in users:
        added = terminal.type(line)
        assert added.code == 0, added.err
    terminal.organisation.serve_together(*shlex.split(serve)[2:])
    yield terminal
    terminal.organisation.stop()


@pytest.fixture(name="phone")
def _phone(terminal: Terminal) -> Iterator[Path]:
    """The lines for baresip, typed: it is registered as bob. Gives what it prints."""
    (block,) = blocks(PHONES, "Connect baresip", "DNS")
    script, _, start = terminal.ported(block).rstrip().rpartition("\n")
    subprocess.run(["bash", "-e", "-c", script], cwd=terminal.folder, check=True)
    log = terminal.folder / "phone.log"
    with log.open("wb") as stream:
        process = subprocess.Popen(
            shlex.split(start),
            cwd=terminal.folder,
            stdin=subprocess.PIPE,
            stdout=stream,
            stderr=stream,
            env=environment(),
            preexec_fn=die_with_parent,  # noqa: PLW1509 - a test has one thread when it starts a phone
        )
    until("200 OK", log)
    yield log
    process.terminate()
    end(process)


@pytest.mark.peer("baresip")
def test_a_real_phone_is_written_to_and_called_and_its_link_is_shown(terminal: Terminal, phone: Path) -> None:
    _register, *steps = lines("4.", "6.")
    for line in steps:
        left = terminal.type(line)
        wanted = next(code for words, code in EXPECTED.items() if words in line)
        assert left.code == wanted, f"{line}\n{left.out}{left.err}"
        if line == "sipmesh links":
            assert "sip:bob@example.com" in left.out
    until("hello from the command line", phone)
    printed = phone.read_text(errors="replace")
    assert "alice@example.com" in printed


@pytest.mark.wide
def test_without_a_phone_a_command_may_answer_for_bob(terminal: Terminal) -> None:
    """The same as above on a machine without baresip."""
    log = terminal.folder / "bob.log"
    register, *steps = lines("4.", "6.")
    bob = terminal.organisation.spawn(*shlex.split(register)[1:], "--password-stdin", log=log)
    assert bob.stdin is not None
    bob.stdin.write(b"bob-secret\n")
    bob.stdin.flush()
    until("Waiting for messages", log)
    for line in steps:
        left = terminal.type(line)
        assert left.code == next(code for words, code in EXPECTED.items() if words in line), left.out + left.err
    until("hello from the command line", log)
    bob.terminate()
    end(bob)
