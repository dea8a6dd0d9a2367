"""The full matrix over real TLS: who signed x which name x which port x who opened the link.

The tables were written by hand from the rules: the table of links, R4 (the name is the name that was meant), R5 (the
topology is the list) and R8 (an authority vouches for its own scope only).
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

import pytest

from attacks.cells import FE3, OTHER, Came, Model, World, shared
from sipmesh.demo.forge import Forged
from sipmesh.trust.code import Code
from sipmesh.trust.evidence import LinkKind
from support.network import BOT, EDGE, FE1, FE2, PARTNER_EDGES
from support.tiers import wide_unless

NAMES = {
    "fe1": FE1,  # the server behind the first door
    "fe2": FE2,  # of its pool
    "fe3": FE3,  # of another pool of ours, behind the far door
    "edge1": EDGE,  # with a door inside and one for partners
    "bot": BOT,  # the application of the first pool
    "a-edge": PARTNER_EDGES,  # partner A, known by its edge
    "b-domain": OTHER,  # partner B, known by its domain
    "unknown": "nobody.example.net",
}
DOORS = {
    "server": (FE1, LinkKind.SERVER),
    "far": (FE3, LinkKind.SERVER),  # the pool that is the next hop of no pool
    "inside": (EDGE, LinkKind.SERVER),
    "partner": (EDGE, LinkKind.PARTNER),
}
MEANT = {"server": "fe2", "far": "fe2", "inside": "fe1", "partner": "a-edge"}
"""Whom we mean where a link is led astray."""

# The peers that connect. A name has to be an entry's, under that entry's own authority, and the entry has to be on the right side
# of the table of links. One authority that we know vouches for its own names only; a stranger's vouches for nothing.
ACCEPTED = {
    "server": """
              ours                     partner-a                partner-b                stranger         self-signed
    fe1       role-not-allowed         issuer-not-for-this-name issuer-not-for-this-name untrusted-issuer untrusted-issuer
    fe2       accepted                 issuer-not-for-this-name issuer-not-for-this-name untrusted-issuer untrusted-issuer
    fe3       accepted                 issuer-not-for-this-name issuer-not-for-this-name untrusted-issuer untrusted-issuer
    edge1     accepted                 issuer-not-for-this-name issuer-not-for-this-name untrusted-issuer untrusted-issuer
    bot       accepted                 issuer-not-for-this-name issuer-not-for-this-name untrusted-issuer untrusted-issuer
    a-edge    issuer-not-for-this-name role-not-allowed         issuer-not-for-this-name untrusted-issuer untrusted-issuer
    b-domain  issuer-not-for-this-name issuer-not-for-this-name role-not-allowed         untrusted-issuer untrusted-issuer
    unknown   not-in-topology          not-in-topology          not-in-topology          untrusted-issuer untrusted-issuer
    """,
    "far": """
              ours                     partner-a                partner-b                stranger         self-signed
    fe1       accepted                 issuer-not-for-this-name issuer-not-for-this-name untrusted-issuer untrusted-issuer
    fe2       accepted                 issuer-not-for-this-name issuer-not-for-this-name untrusted-issuer untrusted-issuer
    fe3       role-not-allowed         issuer-not-for-this-name issuer-not-for-this-name untrusted-issuer untrusted-issuer
    edge1     role-not-allowed         issuer-not-for-this-name issuer-not-for-this-name untrusted-issuer untrusted-issuer
    bot       role-not-allowed         issuer-not-for-this-name issuer-not-for-this-name untrusted-issuer untrusted-issuer
    a-edge    issuer-not-for-this-name role-not-allowed         issuer-not-for-this-name untrusted-issuer untrusted-issuer
    b-domain  issuer-not-for-this-name issuer-not-for-this-name role-not-allowed         untrusted-issuer untrusted-issuer
    unknown   not-in-topology          not-in-topology          not-in-topology          untrusted-issuer untrusted-issuer
    """,
    "inside": """
              ours                     partner-a                partner-b                stranger         self-signed
    fe1       accepted                 issuer-not-for-this-name issuer-not-for-this-name untrusted-issuer untrusted-issuer
    fe2       accepted                 issuer-not-for-this-name issuer-not-for-this-name untrusted-issuer untrusted-issuer
    fe3       accepted                 issuer-not-for-this-name issuer-not-for-this-name untrusted-issuer untrusted-issuer
    edge1     role-not-allowed         issuer-not-for-this-name issuer-not-for-this-name untrusted-issuer untrusted-issuer
    bot       role-not-allowed         issuer-not-for-this-name issuer-not-for-this-name untrusted-issuer untrusted-issuer
    a-edge    issuer-not-for-this-name role-not-allowed         issuer-not-for-this-name untrusted-issuer untrusted-issuer
    b-domain  issuer-not-for-this-name issuer-not-for-this-name role-not-allowed         untrusted-issuer untrusted-issuer
    unknown   not-in-topology          not-in-topology          not-in-topology          untrusted-issuer untrusted-issuer
    """,
    "partner": """
              ours                     partner-a                partner-b                stranger         self-signed
    fe1       role-not-allowed         issuer-not-for-this-name issuer-not-for-this-name untrusted-issuer untrusted-issuer
    fe2       role-not-allowed         issuer-not-for-this-name issuer-not-for-this-name untrusted-issuer untrusted-issuer
    fe3       role-not-allowed         issuer-not-for-this-name issuer-not-for-this-name untrusted-issuer untrusted-issuer
    edge1     role-not-allowed         issuer-not-for-this-name issuer-not-for-this-name untrusted-issuer untrusted-issuer
    bot       role-not-allowed         issuer-not-for-this-name issuer-not-for-this-name untrusted-issuer untrusted-issuer
    a-edge    issuer-not-for-this-name accepted                 issuer-not-for-this-name untrusted-issuer untrusted-issuer
    b-domain  issuer-not-for-this-name issuer-not-for-this-name accepted                 untrusted-issuer untrusted-issuer
    unknown   partner-unknown          partner-unknown          partner-unknown          untrusted-issuer untrusted-issuer
    """,
}

# Whom we dial, meaning the very name that is shown. Two cells differ from the above: every front end reaches the edge's
# inside, and the edge's inside reaches the front ends of its own next hop and no others.
OPENED = {
    "server": """
              ours                     partner-a                partner-b                stranger         self-signed
    fe1       role-not-allowed         issuer-not-for-this-name issuer-not-for-this-name untrusted-issuer untrusted-issuer
    fe2       accepted                 issuer-not-for-this-name issuer-not-for-this-name untrusted-issuer untrusted-issuer
    fe3       accepted                 issuer-not-for-this-name issuer-not-for-this-name untrusted-issuer untrusted-issuer
    edge1     accepted                 issuer-not-for-this-name issuer-not-for-this-name untrusted-issuer untrusted-issuer
    bot       accepted                 issuer-not-for-this-name issuer-not-for-this-name untrusted-issuer untrusted-issuer
    a-edge    issuer-not-for-this-name role-not-allowed         issuer-not-for-this-name untrusted-issuer untrusted-issuer
    b-domain  issuer-not-for-this-name issuer-not-for-this-name role-not-allowed         untrusted-issuer untrusted-issuer
    unknown   not-in-topology          not-in-topology          not-in-topology          untrusted-issuer untrusted-issuer
    """,
    "far": """
              ours                     partner-a                partner-b                stranger         self-signed
    fe1       accepted                 issuer-not-for-this-name issuer-not-for-this-name untrusted-issuer untrusted-issuer
    fe2       accepted                 issuer-not-for-this-name issuer-not-for-this-name untrusted-issuer untrusted-issuer
    fe3       role-not-allowed         issuer-not-for-this-name issuer-not-for-this-name untrusted-issuer untrusted-issuer
    edge1     accepted                 issuer-not-for-this-name issuer-not-for-this-name untrusted-issuer untrusted-issuer
    bot       role-not-allowed         issuer-not-for-this-name issuer-not-for-this-name untrusted-issuer untrusted-issuer
    a-edge    issuer-not-for-this-name role-not-allowed         issuer-not-for-this-name untrusted-issuer untrusted-issuer
    b-domain  issuer-not-for-this-name issuer-not-for-this-name role-not-allowed         untrusted-issuer untrusted-issuer
    unknown   not-in-topology          not-in-topology          not-in-topology          untrusted-issuer untrusted-issuer
    """,
    "inside": """
              ours                     partner-a                partner-b                stranger         self-signed
    fe1       accepted                 issuer-not-for-this-name issuer-not-for-this-name untrusted-issuer untrusted-issuer
    fe2       accepted                 issuer-not-for-this-name issuer-not-for-this-name untrusted-issuer untrusted-issuer
    fe3       role-not-allowed         issuer-not-for-this-name issuer-not-for-this-name untrusted-issuer untrusted-issuer
    edge1     role-not-allowed         issuer-not-for-this-name issuer-not-for-this-name untrusted-issuer untrusted-issuer
    bot       role-not-allowed         issuer-not-for-this-name issuer-not-for-this-name untrusted-issuer untrusted-issuer
    a-edge    issuer-not-for-this-name role-not-allowed         issuer-not-for-this-name untrusted-issuer untrusted-issuer
    b-domain  issuer-not-for-this-name issuer-not-for-this-name role-not-allowed         untrusted-issuer untrusted-issuer
    unknown   not-in-topology          not-in-topology          not-in-topology          untrusted-issuer untrusted-issuer
    """,
    "partner": """
              ours                     partner-a                partner-b                stranger         self-signed
    fe1       role-not-allowed         issuer-not-for-this-name issuer-not-for-this-name untrusted-issuer untrusted-issuer
    fe2       role-not-allowed         issuer-not-for-this-name issuer-not-for-this-name untrusted-issuer untrusted-issuer
    fe3       role-not-allowed         issuer-not-for-this-name issuer-not-for-this-name untrusted-issuer untrusted-issuer
    edge1     role-not-allowed         issuer-not-for-this-name issuer-not-for-this-name untrusted-issuer untrusted-issuer
    bot       role-not-allowed         issuer-not-for-this-name issuer-not-for-this-name untrusted-issuer untrusted-issuer
    a-edge    issuer-not-for-this-name accepted                 issuer-not-for-this-name untrusted-issuer untrusted-issuer
    b-domain  issuer-not-for-this-name issuer-not-for-this-name accepted                 untrusted-issuer untrusted-issuer
    unknown   partner-unknown          partner-unknown          partner-unknown          untrusted-issuer untrusted-issuer
    """,
}

# Whom we dial, meaning fe2, fe2, fe1 and partner A's edge. Valid credentials of another server are still of another server.
ASTRAY = {
    "server": """
              ours                     partner-a                partner-b                stranger         self-signed
    fe1       name-mismatch            name-mismatch            name-mismatch            untrusted-issuer untrusted-issuer
    fe2       accepted                 issuer-not-for-this-name issuer-not-for-this-name untrusted-issuer untrusted-issuer
    fe3       name-mismatch            name-mismatch            name-mismatch            untrusted-issuer untrusted-issuer
    edge1     name-mismatch            name-mismatch            name-mismatch            untrusted-issuer untrusted-issuer
    bot       name-mismatch            name-mismatch            name-mismatch            untrusted-issuer untrusted-issuer
    a-edge    name-mismatch            name-mismatch            name-mismatch            untrusted-issuer untrusted-issuer
    b-domain  name-mismatch            name-mismatch            name-mismatch            untrusted-issuer untrusted-issuer
    unknown   name-mismatch            name-mismatch            name-mismatch            untrusted-issuer untrusted-issuer
    """,
    "far": """
              ours                     partner-a                partner-b                stranger         self-signed
    fe1       name-mismatch            name-mismatch            name-mismatch            untrusted-issuer untrusted-issuer
    fe2       accepted                 issuer-not-for-this-name issuer-not-for-this-name untrusted-issuer untrusted-issuer
    fe3       name-mismatch            name-mismatch            name-mismatch            untrusted-issuer untrusted-issuer
    edge1     name-mismatch            name-mismatch            name-mismatch            untrusted-issuer untrusted-issuer
    bot       name-mismatch            name-mismatch            name-mismatch            untrusted-issuer untrusted-issuer
    a-edge    name-mismatch            name-mismatch            name-mismatch            untrusted-issuer untrusted-issuer
    b-domain  name-mismatch            name-mismatch            name-mismatch            untrusted-issuer untrusted-issuer
    unknown   name-mismatch            name-mismatch            name-mismatch            untrusted-issuer untrusted-issuer
    """,
    "inside": """
              ours                     partner-a                partner-b                stranger         self-signed
    fe1       accepted                 issuer-not-for-this-name issuer-not-for-this-name untrusted-issuer untrusted-issuer
    fe2       name-mismatch            name-mismatch            name-mismatch            untrusted-issuer untrusted-issuer
    fe3       name-mismatch            name-mismatch            name-mismatch            untrusted-issuer untrusted-issuer
    edge1     name-mismatch            name-mismatch            name-mismatch            untrusted-issuer untrusted-issuer
    bot       name-mismatch            name-mismatch            name-mismatch            untrusted-issuer untrusted-issuer
    a-edge    name-mismatch            name-mismatch            name-mismatch            untrusted-issuer untrusted-issuer
    b-domain  name-mismatch            name-mismatch            name-mismatch            untrusted-issuer untrusted-issuer
    unknown   name-mismatch            name-mismatch            name-mismatch            untrusted-issuer untrusted-issuer
    """,
    "partner": """
              ours                     partner-a                partner-b                stranger         self-signed
    fe1       name-mismatch            name-mismatch            name-mismatch            untrusted-issuer untrusted-issuer
    fe2       name-mismatch            name-mismatch            name-mismatch            untrusted-issuer untrusted-issuer
    fe3       name-mismatch            name-mismatch            name-mismatch            untrusted-issuer untrusted-issuer
    edge1     name-mismatch            name-mismatch            name-mismatch            untrusted-issuer untrusted-issuer
    bot       name-mismatch            name-mismatch            name-mismatch            untrusted-issuer untrusted-issuer
    a-edge    issuer-not-for-this-name accepted                 issuer-not-for-this-name untrusted-issuer untrusted-issuer
    b-domain  name-mismatch            name-mismatch            name-mismatch            untrusted-issuer untrusted-issuer
    unknown   name-mismatch            name-mismatch            name-mismatch            untrusted-issuer untrusted-issuer
    """,
}
TABLES = {"accepted": ACCEPTED, "opened": OPENED, "astray": ASTRAY}


class Cell(NamedTuple):
    """One attempt; the names are those of the tables."""

    issuer: str
    name: str
    door: str
    direction: str


def cells() -> Iterator[tuple[Cell, Code]]:
    """Every cell with the verdict of its table."""
    for direction, tables in TABLES.items():
        for door, table in tables.items():
            (issuers, *rows) = (line.split() for line in table.strip().splitlines())
            for name, *codes in rows:
                for issuer, code in zip(issuers, codes, strict=True):
                    yield Cell(issuer, name, door, direction), Code(code)


MATRIX = tuple(cells())


class Place:
    """The network that all cells share, and its loop."""

    def __init__(self, runner: asyncio.Runner, world: World) -> None:
        self._runner, self._world = runner, world
        self._papers = cache(self._forge)

    def attempt(self, cell: Cell) -> Came:
        """Knock or be dialled, as the cell says."""
        credentials = self._papers(cell.issuer, cell.name)
        if cell.direction == "accepted":
            return self._runner.run(self._world.knock(*DOORS[cell.door], credentials))
        meant = MEANT[cell.door] if cell.direction == "astray" else cell.name
        return self._runner.run(self._world.dial(*DOORS[cell.door], NAMES[meant], credentials))

    def _forge(self, issuer: str, name: str) -> Forged:
        cast = self._world.cast
        signers = {"ours": cast.ours, "partner-a": cast.partner, "partner-b": cast.other, "stranger": cast.stranger}
        return cast.forge.server(signers.get(issuer), NAMES[name])


@pytest.fixture(name="place", scope="module")
def _place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("matrix")
    with shared(Model.build(folder / "model"), folder / "copy", FE1, FE3, EDGE) as (runner, world):
        yield Place(runner, world)


def in_make_test(row: tuple[Cell, Code]) -> bool:
    """Each door has one name of those whom no authority of ours has signed: the others get the same verdict."""
    return row[0].issuer not in {"stranger", "self-signed"} or row[0].name == "fe2"


@pytest.mark.parametrize(
    ("cell", "wanted"), wide_unless(in_make_test, MATRIX), ids=["-".join(cell) for cell, _ in MATRIX]
)
def test_verdict_is_that_of_the_table(place: Place, cell: Cell, wanted: Code) -> None:
    """An accepted peer has had an answer to a request; a refused peer has not had a byte."""
    came = place.attempt(cell)
    assert came.code is wanted, came
    assert came.spoke is (wanted is Code.ACCEPTED)


def test_matrix_is_whole() -> None:
    """5 issuers, 8 names, 4 doors, and 3 ways to meet."""
    assert len({cell for cell, _ in MATRIX}) == 5 * 8 * 4 * 3
