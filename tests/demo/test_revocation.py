"""The act of the demo in which a certificate is revoked, on servers in this process."""

from __future__ import annotations

from pathlib import Path

import pytest

from attacks.theatre import quiet_score, staged
from sipmesh.demo import revocation
from sipmesh.demo.network import FE1, FE2
from sipmesh.demo.people import talk
from support.running import on_loop


@on_loop
async def test_links_of_a_revoked_server_close_and_it_comes_back_with_a_new_certificate(tmp_path: Path) -> None:
    score = quiet_score()
    async with staged(tmp_path, score) as (network, people):
        await talk(network, people, score)
        await revocation.revoke(network, people, score)
    assert score.wrong == []
    assert score.acts[-1].right == 7


@on_loop
@pytest.mark.wide
async def test_link_that_stays_up_is_not_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(revocation, "PATIENCE_S", 0.0)
    score = quiet_score()
    async with staged(tmp_path, score) as (network, people):
        await talk(network, people, score)
        ids = await revocation.links_with(network, FE2)
        assert ids
        assert not await revocation.until_gone(network, ids)
        assert await revocation.until_gone(network, ["no such link"])
        assert revocation.tell({FE2: ids, FE1: []}) == f"{FE2}: {', '.join(ids)}; {FE1}: none"
