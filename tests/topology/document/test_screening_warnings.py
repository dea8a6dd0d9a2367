"""Users whose calls are not screened, because they are at home in another pool, are a warning of `topology check`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from topology.contradictions import BOT_HOP

if TYPE_CHECKING:
    from topology.world import Place


@pytest.mark.parametrize(("screens", "fields"), [("example.test", ["pools[3].screens[0]"]), ("a@example.test", [])])
def test_domain_with_users_of_another_pool_is_a_warning(place: Place, screens: str, fields: list[str]) -> None:
    place.spoil((BOT_HOP, f"screens: [{screens}]\n    {BOT_HOP}"))
    _, warnings = place.check()
    told = [one for one in warnings if "screens" in one.field]
    assert [one.field for one in told] == fields
    assert all("at home in pool2.example.test are not screened" in one.reason for one in told)
