"""The search for what costs most finds the defects that were there once, and nothing above the bound now."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest

from fuzz.__main__ import main
from fuzz.worst.cost import unit_s
from fuzz.worst.readers import READERS
from fuzz.worst.report import MOST_GROWTH, MOST_UNITS, fault_of
from fuzz.worst.search import Reader, Worst, grown, search
from fuzz.worst.shape import Block, Names, Piece, Rows, octets_of, shown
from sipmesh.bounded_xml import XmlBounds
from sipmesh.cli.versions import built
from sipmesh.routing.events import pidf
from sipmesh.routing.media import judgement, protection
from sipmesh.routing.media.description import MediaSection
from sipmesh.routing.media.origin import AnonymousBody
from support.examples import SOAKS
from support.tiers import wide_after

NOISE = 10
"""A busy machine may make a run so many times slower, and the bound holds for a quiet one."""

source_only = pytest.mark.skipif(built() == "compiled", reason="a defect is put back into the source")


@pytest.mark.wide
@pytest.mark.more_in_soak
@pytest.mark.parametrize("name", wide_after(2, READERS))
def test_nothing_costs_more_than_its_octets(name: str) -> None:
    reader = READERS[name]
    if not SOAKS:
        reader = replace(reader, pieces=reader.pieces[:: max(1, len(reader.pieces) // 6)])
    found = search(reader, tries=1_000, kept=6) if SOAKS else search(reader, tries=2, kept=2)
    assert found.octet_s <= NOISE * MOST_UNITS * unit_s(), shown(found.shape)


def few(name: str, *starts: bytes) -> Reader:
    """A reader with the pieces of its grammar that begin so, and so a search of seconds."""
    reader = READERS[name]
    return replace(reader, pieces=tuple(piece for piece in reader.pieces if piece.opens.startswith(starts)))


def list_of_mids(section: MediaSection, common: protection.Common) -> bool:
    """As it was: each mid of a section is looked for in the list of the names of its bundle."""
    given = section.values("fingerprint")
    names = [*common.mids]
    return any(mid in names for mid in section.values("mid")) or given != []


@source_only
@pytest.mark.wide
def test_names_that_are_looked_for_in_a_list_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    reader = few("session description, a bundle", b"a=group", b"a=mid", b"m=audio 0")
    now = search(reader, tries=0, kept=2)
    monkeypatch.setattr(protection, "_has_fingerprint", list_of_mids)
    before = search(reader, tries=0, kept=2)
    assert before.octet_s > 5 * now.octet_s
    assert before.growth > MOST_GROWTH


@source_only
@pytest.mark.wide
def test_offer_that_is_read_for_each_answer_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    reader = few("answer with parts", b"--b1\r\nContent-Type: application/sdp")
    now = search(reader, tries=0, kept=2)
    monkeypatch.setattr(judgement.Offer, "read", lambda offer: judgement._clear_in(offer._request))
    before = search(reader, tries=0, kept=2)
    assert before.octet_s > 3 * now.octet_s


@source_only
@pytest.mark.wide
def test_body_that_is_written_for_each_branch_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    reader = few("user in parts", b"--b1\r\n")
    now = search(reader, tries=0, kept=2)
    once = AnonymousBody.put_into

    def each(_body: AnonymousBody, copy: Any) -> None:
        once(AnonymousBody(copy), copy)

    monkeypatch.setattr(AnonymousBody, "put_into", each)
    before = search(reader, tries=0, kept=2)
    assert before.octet_s > 4 * now.octet_s


@source_only
@pytest.mark.wide
def test_namespace_that_is_repeated_in_each_name_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    reader = few("presence with a long namespace", b"<w:a", b"<w:{}")
    now = search(reader, tries=0, kept=2)
    with without_bounds(monkeypatch):
        before = search(reader, tries=0, kept=2)
        spaced = grown(reader, (Block(reader.pieces[0], Names.EACH, Rows.ONE),))
    assert before.octet_s > 4 * now.octet_s
    assert spaced.growth > MOST_GROWTH


@contextmanager
def without_bounds(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patched:
        patched.setattr(pidf, "BOUNDS", XmlBounds(pidf.MAX_ELEMENTS, pidf.MAX_DEPTH, 1 << 30, 1 << 30))
        yield


def toy(run: Callable[[Any], object]) -> Reader:
    return Reader("toy", 4_000, (Piece(b"", b"{},", b"\n"),), run)


@pytest.mark.wide
@pytest.mark.parametrize(
    ("run", "is_bad"),
    [(lambda data: data.split(b","), False), (lambda data: _many_against_many(data.split(b",")), True)],
)
def test_cost_that_grows_faster_than_the_octets_is_a_fault(run: Callable[[Any], object], *, is_bad: bool) -> None:
    assert bool(fault_of(search(toy(run), tries=0), unit_s())) is is_bad


def _many_against_many(words: list[bytes]) -> int:
    return sum(word in words[::-1] for word in words)


def test_cost_that_was_disturbed_once_is_measured_again() -> None:
    """The worst of all measurements is often a disturbed one. Its half was not disturbed, so a linear cost seemed to grow."""
    disturbed: list[bytes] = []

    def run(data: bytes) -> None:
        is_disturbed = len(data) > 3_900 and len(disturbed) < 2
        if is_disturbed:
            disturbed.append(data)
        for _ in range(20 if is_disturbed else 1):
            sum(data)

    found = search(replace(toy(run), pieces=(Piece(b"", b"{},"),)), tries=0)
    assert len(disturbed) == 2
    assert found.growth <= MOST_GROWTH


@pytest.mark.parametrize(
    ("units", "growth", "fault"),
    [(100, 2.3, ""), (101, 2.0, "101 units"), (51, 2.4, "2.4 times"), (50, 9.0, "")],
)
def test_fault_names_the_bound(units: float, growth: float, fault: str) -> None:
    assert fault in fault_of(Worst((), 1, units, growth), 1.0)
    assert bool(fault_of(Worst((), 1, units, growth), 1.0)) is bool(fault)


PIECE = Piece(b"<", b"{},", b">")


@pytest.mark.parametrize(
    ("names", "rows", "expected"),
    [
        (Names.EACH, Rows.ONE, b"<1,2,3,4,>"),
        (Names.SAME, Rows.EACH, b"<n,><n,><n,>"),
        (Names.PREFIXES, Rows.ONE, b"<n,nn,nnn,>"),
        (Names.EACH, Rows.NESTED, b"<1,<2,<3,>>>"),
    ],
)
def test_shapes(names: Names, rows: Rows, expected: bytes) -> None:
    assert octets_of((Block(PIECE, names, rows),), 12) == expected


def test_long_names_fill_the_size() -> None:
    assert len(octets_of((Block(PIECE, Names.LONG, Rows.ONE),), 1_000)) in range(900, 1_001)


@pytest.mark.wide
def test_same_seed_tries_the_same() -> None:
    def tried(seed: int) -> list[bytes]:
        seen: list[bytes] = []
        search(toy(seen.append), tries=20, seed=seed)
        return seen[:30]

    assert tried(1)[:25] == tried(1)[:25]


def test_shape_that_is_refused_when_it_is_large_is_judged_where_it_is_worst() -> None:
    def bounded(data: bytes) -> int:
        return _many_against_many(data.split(b",")) if len(data) <= 4_096 else 0

    found = grown(replace(toy(bounded), most=16_384), (Block(Piece(b"", b"{},"), Names.EACH, Rows.ONE),))
    assert found.size <= 4_096


@pytest.mark.wide
def test_command_prints_a_line_for_each_reader(capsys: pytest.CaptureFixture[str]) -> None:
    main(["--worst", "--reader", "claims of a call", "--tries", "1"])
    out = capsys.readouterr().out
    assert "| claims of a call |" in out
