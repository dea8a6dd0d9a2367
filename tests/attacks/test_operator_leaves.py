"""An operator who is a user too leaves: the sessions of the console and of the portal end, and a copied cookie is worth nothing.

The control is a colleague, who stays logged in.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from sipmesh.server.portal.logout_endpoint import LOGOUT
from support.console import Visitor
from support.managed import Managed
from support.management_with_invitations import management_with_invitations
from support.openid_provider import CLIENT as CONSOLE
from support.openid_provider import PORTAL, OpenIdProvider, log_in
from support.portal import CLIENT, PortalBrowser
from support.running import on_loop

LOOK_AGAIN_S = 0.25


@asynccontextmanager
async def one_provider(folder: Path) -> AsyncIterator[tuple[Managed, OpenIdProvider]]:
    """Management whose users and operators have one provider."""
    async with management_with_invitations(folder) as network:
        provider = OpenIdProvider(network.organisation.folder / "ca", folder)

        def change(document: Any) -> None:
            document["oauth"] = provider.oauth(portal=CLIENT)
            document["console"]["openid"] = provider.entry()

        await network.publish(change)
        async with provider:
            yield network, provider


async def entered(visitor: Visitor, provider: OpenIdProvider, user: str, **person: Any) -> int:
    """Log in to the console as the person *user*; gives the status."""
    provider.person = {"sub": user, "groups": ["admins"], **person}
    return (await log_in(visitor, provider)).status


async def is_in(visitor: Visitor) -> bool:
    """Whether a session counts; the request has no effect on its age."""
    path = "/portal" if isinstance(visitor, PortalBrowser) else "/"
    return (await visitor.get(path, headers={"X-Refresh": "1"})).status == 200


async def operate(network: Managed, what: str, **given: Any) -> None:
    async with Visitor(network, "sona-token") as officer:
        answer = await officer.ask("POST", f"/api/v1/user/{what}", json=given)
    assert answer.status == 200, answer.text


@pytest.mark.parametrize("end", ["disable", "remove"])
@on_loop
async def test_operator_who_leaves_as_a_user_is_logged_out_of_the_console(tmp_path: Path, end: str) -> None:
    async with (
        one_provider(tmp_path) as (network, provider),
        Visitor(network) as alice,
        Visitor(network) as bob,
        Visitor(network) as ada,
    ):
        for visitor, user in ((alice, "alice"), (bob, "bob"), (ada, "ada")):
            assert await entered(visitor, provider, user) == 200
        await operate(network, end, user="alice")
        while await is_in(alice):
            await asyncio.sleep(LOOK_AGAIN_S)
        assert (await is_in(bob), await is_in(ada)) == (True, True)  # ada is no user here
        again = await entered(alice, provider, "alice")
        assert again == (401 if end == "disable" else 200)  # of who is no user, the provider says who may log in
        if end == "disable":
            await operate(network, "enable", user="alice")
            assert not await is_in(alice)
            assert await entered(alice, provider, "alice") == 200


@on_loop
async def test_user_who_is_disabled_and_enabled_has_to_sign_in_to_the_portal_again(tmp_path: Path) -> None:
    async with (
        one_provider(tmp_path) as (network, provider),
        PortalBrowser(network) as alice,
        PortalBrowser(network) as bob,
    ):
        await alice.sign_in(provider, "alice")
        await bob.sign_in(provider, "bob")
        await operate(network, "disable", user="alice")
        await operate(network, "enable", user="alice")
        assert (await is_in(alice), await is_in(bob)) == (False, True)


@pytest.mark.parametrize("client", [PORTAL, CONSOLE])
@on_loop
async def test_logout_at_the_provider_ends_the_session_of_the_console_and_no_other(tmp_path: Path, client: str) -> None:
    async with (
        one_provider(tmp_path) as (network, provider),
        Visitor(network) as meant,
        Visitor(network) as another,
        Visitor(network) as bob,
        PortalBrowser(network) as portal,
        PortalBrowser(network) as told,
    ):
        for visitor, user, session in ((meant, "alice", "s1"), (another, "alice", "s2"), (bob, "bob", "s3")):
            assert await entered(visitor, provider, user, sid=session) == 200
        await portal.sign_in(provider, "alice", sid="s1")
        foreign = provider.logout_token(sub="alice", sid="s1", aud="another-client")
        assert (await told.post(LOGOUT, logout_token=foreign)).status == 400
        assert await is_in(meant)
        token = provider.logout_token(sub="alice", sid="s1", aud=client)
        assert (await told.post(LOGOUT, logout_token=token)).status == 200
        states = [await is_in(one) for one in (meant, portal, another, bob)]
        assert states == [False, False, True, True]
        of_ada = provider.logout_token(sub="bob", aud=client)
        assert (await told.post(LOGOUT, logout_token=of_ada)).status == 200
        assert [await is_in(one) for one in (another, bob)] == [True, False]
