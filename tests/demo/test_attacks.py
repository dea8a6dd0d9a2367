"""The attacks of the demo, on servers in this process: each is refused, and what is accepted shows as a wrong row."""

from __future__ import annotations

from pathlib import Path

import pytest

from attacks.theatre import quiet_score, staged
from sipmesh.demo import attacks
from support.running import on_loop


@on_loop
async def test_every_attack_is_refused_with_its_code(tmp_path: Path) -> None:
    score = quiet_score()
    async with staged(tmp_path, score) as (network, people):
        await attacks.at_the_listeners(network, score)
        await attacks.in_messages(network, people, score)
        await attacks.on_the_way(network, people, score)
    assert score.wrong == []
    assert all(act.right for act in score.acts)


@on_loop
async def test_attack_that_leaves_no_verdict_is_a_wrong_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the server had not noticed it."""
    monkeypatch.setattr(attacks, "LOOKS", 0)
    score = quiet_score()
    async with staged(tmp_path, score) as (network, _):
        await attacks.old_tls(network, score.act("Old TLS", "A peer speaks TLS 1.1."))
    assert score.wrong == ["TLS 1.1"]
