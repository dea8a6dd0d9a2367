"""Two users behind one NAT at the pages of invitations: alice with a desk phone, and bob with a web phone; over real TLS."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from sipmesh.server.invitations import known_logins, strangers
from sipmesh.server.process import request_rate
from support.account_tickets import BOB, LIST, TicketPage
from support.contacts import DavPhone
from support.invited import Invitee

ADDRESS_HAS, ALL_HAVE = 12, 40


@dataclass(frozen=True, slots=True)
class Site:
    """The *phone* of alice, and the *ticket* of bob, which *page* shows."""

    page: TicketPage
    phone: DavPhone
    ticket: str

    @classmethod
    @asynccontextmanager
    async def opened(cls, folder: Path, monkeypatch: pytest.MonkeyPatch, **limits: int) -> AsyncIterator[Site]:
        """Have management run with these *limits*, and the phone set up; no minute ends within the test."""
        monkeypatch.setattr(request_rate, "WINDOW_S", math.inf)
        for name, most in {"REQUESTS_A_MINUTE": ADDRESS_HAS, "REQUESTS_OF_ALL": ALL_HAVE, **limits}.items():
            monkeypatch.setattr(strangers if hasattr(strangers, name) else known_logins, name, most)
        async with TicketPage.opened(folder) as page:
            yield cls(page, await DavPhone.set_up(page.network, page.person), page.ticket(user=BOB))

    async def alice(self) -> int:
        """Ask for contacts by the phone of alice; gives the status."""
        return (await self.phone.ask("GET", LIST)).status

    async def bob(self, ticket: str = "") -> int:
        """Ask for contacts by a ticket of bob; gives the status."""
        return (await self.page.ask(ticket or self.ticket)).status

    async def flood(self, stranger: Invitee | None = None) -> int:
        """Send requests without a login until one is refused; gives how many were served."""
        for served in range(ALL_HAVE + 1):
            if (await (stranger or self.page.person).get(f"{self.page.base}/nothing")).status == 429:
                return served
        raise AssertionError("no request was refused")
