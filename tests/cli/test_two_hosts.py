"""What the tutorial of two hosts says, typed by a test: on hosts that are network namespaces, with a DNS server of their own."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import time
from collections.abc import Iterator

import pytest

from cli.world import START_S, until
from support.checkout import ROOT
from support.namespaces import Host, Hosts, require_namespaces

PAGE = ROOT / "docs/tutorial/two-hosts.md"
TRANSCRIPT = os.environ.get("TRANSCRIPT_HOSTS", "")
"""A file for all that is typed and printed: `make transcript`."""

ADDRESSES = {"host 1": "192.0.2.10", "host 2": "192.0.2.11", "phone 1": "192.0.2.21", "phone 2": "192.0.2.22"}
PASSWORDS = {name: f"{name}-secret\n" for name in ("alice", "bob", "carol", "dave")}
FAILS = "# exit code 1"
BLOCK = re.compile(r"On (host 1|host 2|phone 1|phone 2)(?:, in an empty folder)?:\n\n```sh\n(.*?)```", re.DOTALL)
STAYS = {"serve": "serving", "register": "Waiting for messages"}
INTRODUCTION = """# Transcript: two hosts, two phones

What the commands of the [tutorial](two-hosts.md) have printed, in full. `make transcript` types them again, on hosts that are
network namespaces, and writes this page. The words before `$` are the host.
"""


def steps() -> dict[int, list[tuple[str, str]]]:
    """Each step of the page, with the lines that are typed and where."""
    parts = re.split(r"^## (\d)\. .*$", PAGE.read_text(), flags=re.MULTILINE)[1:]
    numbered = zip(map(int, parts[::2]), parts[1::2], strict=True)
    return {
        number: [(host, line) for host, block in BLOCK.findall(text) for line in block.splitlines()]
        for number, text in numbered
    }


class Desk:
    """The hosts, what was printed on them, and the folder in which the next line is typed."""

    def __init__(self, hosts: Hosts) -> None:
        self._hosts = hosts
        self.transcript: list[str] = []

    def type(self, where: str, line: str) -> str:
        """Type one line on a host; returns what it prints. What stays is started, and waited for."""
        host, words = self._hosts[where], shlex.split(line, comments=True)
        if words[0] == "cd":
            host.folder = host.folder / words[1]
            return ""
        if words[0] == "scp":
            printed = self._copy(host, words[1], words[2])
        elif words[0] == "poweroff":
            printed = host.power_off()
        elif words[1] == "serve" or "--stay" in words:
            printed = self._stay(host, words)
        else:
            if fails := FAILS in line:
                self._until_noticed(host, words)
            printed = self._run(host, words, fails=fails)
        self._note(where, line, printed)
        return printed

    def _copy(self, host: Host, name: str, target: str) -> str:
        address, _, folder = target.partition(":")
        there = next(one for one in self._hosts.hosts.values() if one.address == address)
        home = there.folder if there.folder.name == folder.rstrip("/") or not folder else there.folder / folder
        shutil.copy(host.folder / name, home)
        return ""

    def _stay(self, host: Host, words: list[str]) -> str:
        host.power_on()
        log = host.folder / f"{len(host.running)}.log"
        host.start(*words, *_login(words), log=log, typed=_password(words))
        until(STAYS[words[1]], log)
        return "(runs until a signal stops it)\n"

    def _until_noticed(self, host: Host, words: list[str]) -> None:
        """A server finds out within seconds that another one is gone: wait until the doctor says so."""
        ends = time.monotonic() + START_S
        while words[1] == "doctor" and not host.type(*words).code:
            assert time.monotonic() < ends
            time.sleep(0.2)

    def _run(self, host: Host, words: list[str], *, fails: bool) -> str:
        confirmed = self._fingerprints() if words[1:3] == ["join", "accept"] else []
        done = host.type(*words, *_login(words), *confirmed, typed=_password(words))
        expected = int(fails or (words[1:3] == ["topology", "dns"] and done.code == 1))
        assert done.code == expected, f"{words}\n{done.out}{done.err}"
        return done.out + done.err

    def _fingerprints(self) -> list[str]:
        """What a person reads on host 1, and compares on host 2."""
        granted = next(part for part in self.transcript if part.startswith("host 1$ sipmesh join grant"))
        return ["--fingerprint", re.findall(r"[0-9a-fA-F:]{64,}", granted)[0]]

    def _note(self, where: str, line: str, printed: str) -> None:
        told = "\n".join(part.rstrip() for part in printed.splitlines())
        for host in self._hosts.hosts.values():
            told = told.replace(f"{host.folder}/", "").replace(str(host.folder), host.folder.name)
        self.transcript.append(f"{where}$ {line}\n{told}\n")

    def printed(self, step: int) -> str:
        """Type all lines of one step."""
        return "\n".join(self.type(where, line) for where, line in steps()[step])


def assert_users_of_the_other_host_alone_are_served(printed: str) -> None:
    """What step 7 says about the users of host 2, those of host 1, and changes."""
    assert "message sip:carol@example.com → bob@example.com: 200 OK" in printed
    assert "call sip:carol@example.com → bob@example.com: 200 OK" in printed
    assert "register sip:alice@example.com: 503" in printed
    assert "message sip:carol@example.com → alice@example.com: 503" in printed
    assert "fe2.example.com has no link with management" in printed
    assert "the user database is on the management server" in printed


def _password(words: list[str]) -> str:
    named = " ".join(words)
    return next(
        (secret for name, secret in PASSWORDS.items() if f"--as {name}@" in named or f"user add {name}" in named), ""
    )


def _login(words: list[str]) -> list[str]:
    return ["--password-stdin"] if _password(words) else []


@pytest.fixture(name="hosts")
def _hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hosts]:
    require_namespaces()
    with Hosts(tmp_path_factory.mktemp("h"), ADDRESSES) as hosts:
        hosts.serve_names({})
        yield hosts


def records_of(host: Host) -> dict[tuple[str, str], list[str]]:
    """The lines that a person adds to the zone."""
    lines = host.type("sipmesh", "topology", "dns", "--format", "bind").out.splitlines()
    found: dict[tuple[str, str], list[str]] = {}
    for line in lines:
        if line and not line.startswith((";", "$")):
            name, _, _, kind, data = line.split(None, 4)
            found.setdefault((name.rstrip("."), kind), []).append(data)
    return found


@pytest.mark.soak
def test_two_hosts_are_made_by_the_page_and_their_phones_call_each_other(hosts: Hosts) -> None:
    """From nothing to a call between two phones that know a domain, a root and their passwords."""
    desk = Desk(hosts)
    assert "DNS records are not right" in desk.printed(1)
    first, check = steps()[2]
    assert "IN SRV 1 1 5061 fe1.example.com." in desk.type(*first)
    hosts.serve_names(records_of(hosts["host 1"]))
    assert "✗" not in desk.type(*check)
    desk.printed(3)
    desk.printed(4)
    hosts["host 1"].until_no_fault()
    checked = desk.printed(5)
    assert "management knows of no fault" in checked
    assert "3 of 3 servers without a fault" in checked
    assert "✗" not in checked
    for phone in ("phone 1", "phone 2"):
        shutil.copy(hosts["host 1"].folder / "ca" / "root.pem", hosts[phone].folder)
    called = desk.printed(6)
    assert called.count("200 OK") >= 3
    assert "answered by sip:bob@example.com, identity asserted by the server" in called
    assert "fe2.example.com" in called
    *off, on, last = steps()[7]
    assert_users_of_the_other_host_alone_are_served("\n".join(desk.type(*line) for line in off))
    desk.type(*on)
    hosts["host 1"].until_no_fault()
    assert "200 OK" in desk.type(*last)
    if TRANSCRIPT:
        text = "\n".join(desk.transcript)
        (ROOT / TRANSCRIPT).write_text(f"{INTRODUCTION}\n```text\n{text}```\n")
