"""Whose account a request is about: a device by its password, or the web phone by its ticket, and so often a minute."""

from __future__ import annotations

from pathlib import Path

from sipmesh.server.invitations.file_pages import REQUESTS_A_MINUTE
from support.account_tickets import BOB, TicketPage
from support.contacts import DavPhone
from support.running import on_loop


@on_loop
async def test_device_and_web_phone_of_a_user_share_its_requests(tmp_path: Path) -> None:
    """Another user has requests of its own; a wrong ticket gets 401, and takes nothing of the user's."""
    async with TicketPage.opened(tmp_path, files={}) as page:
        phone = await DavPhone.set_up(page.network, page.person)
        ticket = page.ticket()
        assert (await page.ask("stolen", "POST", "/files")).status == 401
        for n in range(REQUESTS_A_MINUTE):
            asked = page.ask(ticket, "POST", "/files") if n % 2 else phone.ask("POST", "/files")
            assert (await asked).status in {204, 429}
        assert (await phone.ask("POST", "/files")).status == 429
        assert (await page.ask(ticket, "POST", "/files")).status == 429
        assert (await page.ask(page.ticket(user=BOB), "POST", "/files")).status == 204
