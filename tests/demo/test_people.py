"""The people of the demo log in, write and call, on servers in this process."""

from __future__ import annotations

from pathlib import Path

import pytest

from attacks.theatre import quiet_score, staged
from sipmesh.demo import people as module
from sipmesh.demo.people import next_event, talk
from support.running import on_loop


@on_loop
@pytest.mark.wide
async def test_people_write_and_call_and_every_row_is_good(tmp_path: Path) -> None:
    score = quiet_score()
    async with staged(tmp_path, score) as (network, people):
        await talk(network, people, score)
    assert score.wrong == []
    logins, paths, links = (act.right for act in score.acts)
    assert (logins, paths) == (3, 6)
    assert links >= 8, "each link between servers is shown from both ends"


@on_loop
async def test_message_and_call_to_a_user_who_has_left_are_wrong_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PATIENCE_S", 0.0)
    score = quiet_score()
    async with staged(tmp_path, score) as (_, people):
        act = score.act("Without bob", "Nobody answers.")
        await people.bob.close()
        await module.write(act, people.alice, people.bob)
        await module.call(act, people.alice, people.bob)
        assert await next_event(people.erin) is None
    assert score.wrong == ["alice sends bob a message", "alice calls bob"]
