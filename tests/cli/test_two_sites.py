"""What the tutorial of two sites says, typed by a test: its own words, at other loopback addresses."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.world import Organisation, Result, sipmesh
from support.checkout import ROOT

TUTORIAL = ROOT / "docs/tutorial/two-sites.md"
PASSWORDS = {"alice": "alice-secret", "bob": "bob-secret", "carol": "carol-secret"}
TRANSCRIPT = os.environ.get("TRANSCRIPT", "")
"""A file for all that is typed and printed: `make transcript`."""

NETWORK = f"127.{1 + os.getpid() // 250 % 250}.{os.getpid() % 250}"
"""A part of loopback for this process, so that the ports are those of the page."""


def lines(step: int, page: Path = TUTORIAL) -> list[str]:
    """The commands of one step of a page."""
    text = page.read_text().partition(f"## {step}.")[2].partition("\n## ")[0]
    return "".join(re.findall(r"```sh\n(.*?)```", text, re.DOTALL)).splitlines()


class Desk:
    """The folder that has `com` and `org`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.com, self.org = (Organisation(folder / name, domain) for name, domain in SIDES)
        self.transcript: list[str] = []

    def type(self, line: str, organisation: Organisation) -> Result:
        """Type a line; a command that asks for a password gets it."""
        words = shlex.split(line.replace("127.0.0.", f"{NETWORK}."))[1:]
        words = [str(self.folder / word[3:]) if word.startswith("../") else word for word in words]
        if words[0] == "init":
            return sipmesh(*words[:-1], self.folder / words[-1])
        user = next((name for name in PASSWORDS if name in words or f"{name}@" in line.partition("--as ")[2]), "")
        more = ["--password-stdin"] if user else []
        return organisation.type(*words, *more, typed=f"{PASSWORDS.get(user, '')}\n")

    def run(self, organisation: Organisation, *typed: str, code: int = 0) -> str:
        """Type lines; returns what they print. `serve` starts the servers."""
        printed = ""
        for line in typed:
            if line.startswith("sipmesh serve "):
                organisation.serve_together(*shlex.split(line)[2:])
                self._note(organisation, line, "(runs until a signal stops it)\n")
            elif line.startswith("sipmesh "):
                done = self.type(line, organisation)
                assert done.code == code, f"{line}\n{done.out}{done.err}"
                self._note(organisation, line, done.out + done.err + (f"(exit code {code})\n" if code else ""))
                printed += done.out
        return printed

    def _note(self, organisation: Organisation, line: str, printed: str) -> None:
        """Write down what was typed and printed, with the addresses and the folder of the page."""
        told = "\n".join(part.rstrip() for part in printed.splitlines())
        where = "" if line.startswith("sipmesh init") else organisation.folder.name
        here = f"{self.folder}/{where}/" if where else f"{self.folder}/"
        told = told.replace(f"{NETWORK}.", "127.0.0.").replace(here, "").replace(f"{self.folder}", "..")
        self.transcript.append(f"{where}$ {line}\n{told}\n")

    def write_transcript(self, file: Path) -> None:
        """Write the whole transcript as a page."""
        text = "\n".join(self.transcript)
        file.write_text(f"{INTRODUCTION}\n```text\n{text}```\n")


INTRODUCTION = """# Transcript: two sites, eight servers, one partner

What the commands of the [tutorial](two-sites.md) have printed, in full. No file was edited. `make transcript` types them
again, with real servers on loopback, and writes this page. The word before `$` is the folder.
"""
SIDES = (("com", "example.com"), ("org", "example.org"))


@pytest.fixture(name="desk")
def _desk(tmp_path: Path) -> Iterator[Desk]:
    desk = Desk(tmp_path)
    yield desk
    desk.com.stop()
    desk.org.stop()


@pytest.mark.soak
def test_network_is_built_by_commands_alone_and_a_bad_change_takes_itself_back(desk: Desk) -> None:
    """From nothing to two sites, eight servers and a partner; no file is edited."""
    desk.run(desk.com, *lines(1))
    assert "Version 2 is published" in desk.run(desk.com, *lines(2))
    shown = desk.run(desk.com, *lines(3))
    assert "8 of 8 servers without a fault" in shown
    assert "✗" not in shown
    desk.run(desk.org, *lines(4))
    ours, theirs, *checks = lines(5)
    desk.run(desk.com, ours)
    desk.run(desk.org, theirs)
    assert "✓ SIP      OPTIONS answered 200 OK" in desk.run(desk.com, *checks)
    break_it, apply, *mend = lines(6)
    desk.run(desk.com, break_it)
    failed = desk.run(desk.com, apply, code=1)
    assert re.search(r"✗ fe4\.example\.com → edge1\.example\.com:\d+: .*refused", failed)
    assert "has the content from before" in failed
    mended = desk.run(desk.com, *mend)
    assert "The draft equals version 5" in mended
    assert "has failed its verification" in mended
    assert "✗" not in mended
    assert all(
        server in mended for server in ("fe5.example.com → edge2.example.com", "edge1.example.com → sip.example.org")
    )
    if TRANSCRIPT:
        desk.write_transcript(ROOT / TRANSCRIPT)
