"""CRLs are signed each day by the server that has the CA, and not while its clock is in doubt."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from sipmesh.demo.organisation import Organisation
from sipmesh.errors import OperatorError
from sipmesh.pki.ca_rotation import CaGenerations
from sipmesh.server.process.clock import STEADY_S
from sipmesh.server.process.crl_reissue import REISSUE_AGAIN_S, REISSUE_EVERY_S, CrlReissue
from support.running import on_loop
from support.telling import Told

BEGAN_S = 1_000.0
DOUBT = "the clock was set, or differs much from the CA's last signature: CRLs are not signed yet; "
DOUBT += "registrations and links go on"


class Reissuing:
    """The reissue of one server; *tries* are the loop times at which it has looked at the CRLs."""

    def __init__(self, folder: Path, *, follows: bool = False) -> None:
        self.told, self.follows, self.looks, self.publishes = Told(), follows, 0, False
        self.others_s: tuple[float, ...] = ()
        self.reissue = CrlReissue(
            folder,
            self._follows,
            lambda: self.publishes,
            lambda: self.others_s,
            asyncio.get_running_loop(),
            self.told.log,
        )

    def _follows(self) -> bool:
        self.looks += 1
        return self.follows

    async def tick(self, now: float, at: datetime) -> int:
        """Let half a second pass; gives how often the CRLs were looked at."""
        self.reissue.tick(now, at)
        await self.reissue.finished()
        return self.looks


@on_loop
async def test_crls_are_looked_at_at_the_start_and_each_hour(example: Organisation) -> None:
    one, at = Reissuing(example.folder / "ca"), datetime.now(UTC)
    assert await one.tick(BEGAN_S, at) == 1
    hour = timedelta(seconds=REISSUE_EVERY_S)
    assert await one.tick(BEGAN_S + REISSUE_EVERY_S - 1, at + hour - timedelta(seconds=1)) == 1
    assert await one.tick(BEGAN_S + REISSUE_EVERY_S, at + hour) == 2
    one.reissue.soon()
    assert await one.tick(BEGAN_S + REISSUE_EVERY_S + 1, at + hour) == 3


@on_loop
async def test_crl_that_is_due_is_signed_and_reported(example: Organisation, monkeypatch: pytest.MonkeyPatch) -> None:
    due = [example.folder / "ca" / "issuing.crl"]
    monkeypatch.setattr(CaGenerations, "reissue", lambda *_: due)
    one = Reissuing(example.folder / "ca")
    await one.tick(BEGAN_S, datetime.now(UTC))
    assert one.told.last("CRLs reissued")["lists"] == ["issuing.crl"]


@on_loop
async def test_ca_names_its_responder_as_soon_as_the_topology_has_a_server_that_publishes(
    example: Organisation,
) -> None:
    one, at = Reissuing(example.folder / "ca"), datetime.now(UTC)
    await one.tick(BEGAN_S, at)
    for publishes in (True, False):
        one.publishes = publishes
        await one.tick(BEGAN_S + 1, at)
        assert CaGenerations(example.folder / "ca").current.is_published is publishes


@on_loop
async def test_server_that_follows_another_or_has_no_ca_signs_nothing(example: Organisation, tmp_path: Path) -> None:
    for one in (Reissuing(example.folder / "ca", follows=True), Reissuing(tmp_path / "none")):
        await one.tick(BEGAN_S, datetime.now(UTC))
        assert one.told.lines == []


@on_loop
async def test_clock_that_was_set_is_reported_and_waited_for(example: Organisation) -> None:
    """A CRL from the future makes servers refuse all peers."""
    one, at = Reissuing(example.folder / "ca"), datetime.now(UTC)
    assert await one.tick(BEGAN_S, at) == 1
    ahead = at + timedelta(days=1)
    assert await one.tick(BEGAN_S + 1, ahead) == 1
    assert list(one.told.events(DOUBT))
    assert await one.tick(BEGAN_S + STEADY_S, ahead + timedelta(seconds=STEADY_S - 1)) == 1
    assert await one.tick(BEGAN_S + 1 + STEADY_S, ahead + timedelta(seconds=STEADY_S)) == 2


@on_loop
async def test_clock_that_differs_from_most_others_signs_nothing(example: Organisation) -> None:
    one, at = Reissuing(example.folder / "ca"), datetime.now(UTC)
    one.others_s = (400.0, 500.0)
    assert await one.tick(BEGAN_S, at) == 0
    one.others_s = (400.0,)
    assert await one.tick(BEGAN_S + 1, at + timedelta(seconds=1)) == 1


@on_loop
async def test_failure_is_reported_and_tried_again_after_a_minute(
    example: Organisation, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OperatorError("the disk is full")

    monkeypatch.setattr(CaGenerations, "reissue", full)
    one, at = Reissuing(example.folder / "ca"), datetime.now(UTC)
    assert await one.tick(BEGAN_S, at) == 1
    assert one.told.last("CRLs not reissued")["why"] == "the disk is full"
    again = timedelta(seconds=REISSUE_AGAIN_S)
    assert await one.tick(BEGAN_S + REISSUE_AGAIN_S - 1, at + again - timedelta(seconds=1)) == 1
    assert await one.tick(BEGAN_S + REISSUE_AGAIN_S, at + again) == 2
