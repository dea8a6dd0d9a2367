"""A topology that loads, and the handle by which a test spoils it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from sipmesh.errors import OperatorError, Problem
from sipmesh.pki.authority import EnterpriseCa
from sipmesh.topology.document.load import Loaded, check, load
from sipmesh.topology.versions.publication import Draft, Publication

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)

PARTNER_ENTRY = (
    "    - {domains: [partner.test], edge: sip.partner.test, anchors: [partners/b/root.pem], "
    "crls: [partners/b/root.crl, partners/b/issuing.crl]}\n"
)
"""The first partner, in one line of the topology."""

TOPOLOGY = (
    """\
sipmesh: 1
organisation: Example
sip_domains: [example.test]  # ours
authority: {anchors: [ca/root.pem], crls: [ca/root.crl, ca/issuing.crl]}
pools:
  - name: pool1.example.test
    role: front-end
    servers:
      - {name: fe1.example.test, address: 127.0.0.1, ports: {client: 5061, server: 5062}}
      - {name: fe2.example.test, address: 127.0.0.2}
  - name: pool2.example.test
    role: front-end
    servers: [fe3.example.test]
  - name: sip.example.test
    role: edge
    servers: [edge1.example.test]
    internal_name: edge-int.example.test
    next_hop: pool1.example.test
  - name: bot.example.test
    role: application
    servers: [bot.example.test]
    next_hop: pool1.example.test
    speaks_for: [example.test]
federation:
  route: sip.example.test
  discovery: off
  partners:
    # our oldest friend
"""
    + PARTNER_ENTRY
    + """    - domains: [other.test, second.test]
      anchors: [partners/c/root.pem]
      crls: [partners/c/root.crl, partners/c/issuing.crl]
      client_usage: server-ok
  # never again
  blocked: [evil.test]
"""
)


def make_authorities(folder: Path) -> Path:
    """Make the CAs of the topology: our own and those of two partners. Gives their folder."""
    for name, organisation in (("ca", "Example"), ("partners/b", "Partner"), ("partners/c", "Other")):
        EnterpriseCa.create(folder / name, organisation, NOON, crl_base=f"http://crl.{name[-1]}.test")
    return folder


@dataclass(frozen=True)
class Place:
    """A topology file that a test may spoil; every change is of text that occurs exactly once."""

    file: Path

    def spoil(self, *changes: tuple[str, str]) -> None:
        text = self.file.read_text()
        for old, new in changes:
            assert text.count(old) == 1, f"{old!r} occurs {text.count(old)} times"
            text = text.replace(old, new)
        self.file.write_text(text)

    def line(self, text: str) -> int:
        """The first line that contains *text*, counted from 1."""
        return next(n for n, line in enumerate(self.file.read_text().splitlines(), 1) if text in line)

    def load(self) -> Loaded:
        return load(self.file)

    def check(self, at: datetime = NOON) -> tuple[Loaded, tuple[Problem, ...]]:
        return check(self.file, at=at)

    def problems(self) -> tuple[Problem, ...]:
        """What `load` refuses this topology for."""
        with pytest.raises(OperatorError) as refused:
            self.load()
        assert refused.value.problems
        return refused.value.problems

    def problem(self) -> Problem:
        """The one thing that is wrong."""
        problems = self.problems()
        assert len(problems) == 1, [str(problem) for problem in problems]
        return problems[0]


ANCHORS = ("ca/root.pem", "partners/b/root.pem", "partners/c/root.pem")
"""The anchors that the topology of `Place` names."""


def published(place: Place, number: int = 3) -> Publication:
    """The topology of *place* as it is published."""
    return Draft.read(place.file.read_bytes(), place.file).compiled(number, "ada", "because", at=NOON)
