"""Each phone plays each feature, and the page says what was seen; with SIPMESH_WRITE_PAGES, it is written into the page."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator

import pytest

from interop.matrix import page
from interop.matrix.device import NotOfferedError
from interop.matrix.features import FEATURES
from interop.matrix.stage import MAKES, Stage, on_stage

PATIENCE_S = 90.0
"""A phone that asks for a registration of 60 s refreshes it within this time."""

PEERS = {"jssip": ("chromium", "certutil", "npm"), "sipjs": ("chromium", "certutil", "npm")}
IN_EACH_RUN = ("pjsua2",)
"""The makes that play all features but the slow one in `make test-wide` too."""


def _cell(make: str, feature: str) -> object:
    marks = [pytest.mark.peer(*PEERS.get(make, (make,)))]
    marks += [pytest.mark.soak if make not in IN_EACH_RUN or feature == "refresh" else pytest.mark.wide]
    return pytest.param(make, feature, marks=marks, id=f"{make}-{feature.replace(' ', '-')}")


@pytest.fixture(name="phones", scope="module")
def _phones(
    tmp_path_factory: pytest.TempPathFactory, runner: asyncio.Runner, request: pytest.FixtureRequest
) -> Iterator[Stage]:
    """The network; with a browser where pages are among the tests that were chosen."""
    pages = any("jssip" in one.nodeid or "sipjs" in one.nodeid for one in request.session.items)
    yield from on_stage(runner, tmp_path_factory.mktemp("m"), pages=pages)


async def play(phones: Stage, make: str, feature: str) -> str:
    """Play one feature; gives what was seen."""
    try:
        async with asyncio.timeout(PATIENCE_S):
            return await FEATURES[feature](phones, make)
    except NotOfferedError as why:
        return f"not offered: {why}" if str(why) else "not offered"


@pytest.mark.parametrize(("make", "feature"), [_cell(make, feature) for make in MAKES for feature in FEATURES])
def test_phone_plays_feature(phones: Stage, runner: asyncio.Runner, make: str, feature: str) -> None:
    seen = runner.run(play(phones, make, feature))
    if page.WRITES in os.environ:
        page.write(seen, feature, make)
    assert page.read()[feature, make] == seen


def test_page_has_each_phone_with_each_feature() -> None:
    cells = page.read()
    assert list(cells) == [(row, make) for row in (*FEATURES, *page.RETURNS) for make in MAKES]
    assert "?" not in cells.values()
