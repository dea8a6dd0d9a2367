"""A management server with a portal, its provider, and browsers of users."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from support.console import Answer, Visitor
from support.managed import Managed
from support.management_with_invitations import management_with_invitations
from support.openid_provider import PORTAL, OpenIdProvider

CLIENT = {"client_id": PORTAL}


class PortalBrowser(Visitor):
    """The browser of a user at the portal."""

    part = "invitations"

    async def sign_in(self, provider: OpenIdProvider, user: str = "alice", **person: Any) -> Answer:
        """The whole way to the provider, where *user* is logged in, and back."""
        provider.person = {"sub": user, **person}
        return await self.come(provider, await self.go())

    async def go(self) -> str:
        """Follow the link of the sign-in; gives the URL of the provider."""
        leads = await self.get("/portal/login/openid")
        assert leads.status == 303, leads.text
        return leads.headers["Location"]

    async def come(self, provider: OpenIdProvider, url: str) -> Answer:
        """Come back from the provider."""
        return await self.get("/portal/login/callback", params=provider.authorize(url))

    async def fill(self, path: str, query: str = "", **fields: str) -> Answer:
        """Open the page of a form, and send it."""
        page = await self.get(f"{path}{query}")
        assert page.status == 200, page.text
        return await self.post(path, **fields)


@asynccontextmanager
async def portal(folder: Path, **oauth: Any) -> AsyncIterator[tuple[Managed, OpenIdProvider]]:
    """Management with a portal, and the provider; *oauth* are further keys of it in the topology."""
    async with management_with_invitations(folder) as network:
        provider = OpenIdProvider(network.organisation.folder / "ca", folder)
        keys = provider.oauth(portal=CLIENT, **oauth)
        await network.publish(lambda document: document.update(oauth=keys))
        async with provider:
            yield network, provider
