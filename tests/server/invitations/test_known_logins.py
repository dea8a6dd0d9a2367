"""Which logins are known: at one address, for a time, and so many of each user; by what a flood of strangers leaves them."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.account_tickets import BOB
from support.contacts import DavPhone
from support.management_with_invitations import invitee
from support.running import on_loop
from support.site_behind_nat import Site


@on_loop
async def test_login_is_known_at_the_address_that_has_shown_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Elsewhere the same login waits with the strangers of that address."""
    async with (
        Site.opened(tmp_path, monkeypatch) as site,
        invitee(site.page.network, "127.0.0.9") as elsewhere,
    ):
        moved = DavPhone(elsewhere, site.phone.base, site.phone.password)
        assert await site.alice() == 200
        for person in (site.page.person, elsewhere):
            await site.flood(person)
        assert (await site.alice(), (await moved.ask("GET", "/contacts/list")).status) == (200, 429)


@on_loop
async def test_login_is_known_for_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with Site.opened(tmp_path, monkeypatch, KNOWN_S=0) as site:
        assert await site.alice() == 200
        await site.flood()
        assert await site.alice() == 429


@on_loop
async def test_login_that_was_right_longest_ago_makes_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with Site.opened(tmp_path, monkeypatch, MOST_KNOWN=2) as site:
        first = site.page.ticket(user=BOB, link="first")
        assert [await site.bob(first), await site.alice(), await site.bob(first), await site.bob()] == [200] * 4
        await site.flood()
        assert [await site.alice(), await site.bob(first), await site.bob()] == [429, 200, 200]


@on_loop
async def test_user_with_many_logins_pushes_no_other_user_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The logins of the user above its share are not known."""
    async with Site.opened(tmp_path, monkeypatch, MOST_KNOWN=4, MOST_OF_USER=2) as site:
        assert await site.alice() == 200
        tickets = [site.page.ticket(user=BOB, link=f"l{n}") for n in range(6)]
        assert [await site.bob(one) for one in tickets] == [200] * 6
        await site.flood()
        assert [await site.alice(), *[await site.bob(one) for one in tickets]] == [200, 200, 200, 429, 429, 429, 429]


@on_loop
async def test_login_that_is_right_again_has_one_place_of_its_user(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Site.opened(tmp_path, monkeypatch, MOST_OF_USER=2) as site:
        first = site.page.ticket(user=BOB, link="first")
        assert [await site.bob(one) for one in (first, first, first, "")] == [200] * 4
        await site.flood()
        assert [await site.bob(first), await site.bob()] == [200, 200]
