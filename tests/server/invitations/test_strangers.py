"""What strangers may use of the pages of invitations: requests, guesses and connections."""

from __future__ import annotations

import secrets
from pathlib import Path

import pytest

from sipmesh.server.invitations import strangers
from support.management_with_invitations import invite, invitee, management_with_invitations
from support.running import on_loop
from support.tiers import wide_after


@on_loop
async def test_guesses_are_refused_after_some_and_the_right_link_still_counts(tmp_path: Path) -> None:
    """Also from the address of the guesser: behind it can be a whole site."""
    async with management_with_invitations(tmp_path) as network, invitee(network) as guesser:
        link = await invite(network)
        base = link.rpartition("/")[0]
        seen = [(await guesser.get(f"{base}/{secrets.token_urlsafe(24)}")).status for _ in range(25)]
        assert seen == [404] * strangers.FAILURES_A_MINUTE + [429] * (25 - strangers.FAILURES_A_MINUTE)
        assert (await guesser.take(link, "json")).status == 200


@pytest.mark.parametrize("secret", wide_after(2, ["short", "A" * 33, "A" * 31 + "!", "%00" * 32, "A" * 5000]))
@on_loop
async def test_malformed_secret_is_not_looked_up(tmp_path: Path, secret: str) -> None:
    async with management_with_invitations(tmp_path) as network, invitee(network) as stranger:
        base = (await invite(network)).rpartition("/")[0]
        assert (await stranger.get(f"{base}/{secret}")).status in (400, 404)


@on_loop
async def test_requests_of_one_address_have_a_limit_that_another_address_does_not_share(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(strangers, "REQUESTS_A_MINUTE", 3)
    async with (
        management_with_invitations(tmp_path) as network,
        invitee(network) as many,
        invitee(network, "127.0.0.2") as other,
    ):
        link = await invite(network)
        assert [(await many.get(link)).status for _ in range(4)] == [200, 200, 200, 429]
        assert (await other.take(link, "json")).status == 200


@on_loop
async def test_all_strangers_together_have_a_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(strangers, "REQUESTS_OF_ALL", 2)
    async with (
        management_with_invitations(tmp_path) as network,
        invitee(network) as one,
        invitee(network, "127.0.0.2") as two,
    ):
        link = await invite(network)
        assert [(await one.get(link)).status, (await two.get(link)).status, (await two.get(link)).status] == [
            200,
            200,
            429,
        ]


@on_loop
async def test_another_host_name_is_refused(tmp_path: Path) -> None:
    async with management_with_invitations(tmp_path) as network, invitee(network) as stranger:
        link = await invite(network)
        assert (await stranger.get(link, headers={"Host": "evil.test"})).status == 421
        assert (await stranger.get(link)).status == 200


@on_loop
async def test_body_above_the_limit_is_refused_and_uses_nothing_up(tmp_path: Path) -> None:
    async with management_with_invitations(tmp_path) as network, invitee(network) as stranger:
        link = await invite(network)
        assert (await stranger.ask("POST", link, data={"client": "json", "x": "y" * 10_000})).status == 413
        assert (await stranger.take(link, "json")).status == 200
