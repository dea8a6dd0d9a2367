"""Who may ask for the page of the web phone: front ends with it, and no other origin."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.account_tickets import LIST, TicketPage
from support.running import on_loop


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
@on_loop
async def test_ticket_is_taken_in_any_case_of_its_scheme_and_from_no_other_scheme(tmp_path: Path, scheme: str) -> None:
    async with TicketPage.opened(tmp_path) as page:
        ticket = page.ticket()
        for header, status in ((f"{scheme}  {ticket} ", 200), (f"Token {ticket}", 401), (ticket, 401)):
            assert (await page.ask("", headers={"Authorization": header})).status == status, header[:9]


@pytest.mark.parametrize("origin", ["", "null", "https://evil.test", "https://fe1.example.test.evil.test:8443"])
@on_loop
async def test_origin_that_has_no_web_phone_gets_no_leave(tmp_path: Path, origin: str) -> None:
    """The preflight is refused, and an answer to a right ticket may not be read by the page."""
    async with TicketPage.opened(tmp_path) as page:
        asks = {"Origin": origin, "Access-Control-Request-Method": "PUT"}
        for path in (LIST, f"{LIST}/c1", "/rules"):
            refused = await page.ask("", "OPTIONS", path, headers=asks)
            assert (refused.status, "Access-Control-Allow-Origin" in refused.headers) == (403, False), path
        answer = await page.ask(page.ticket(), headers={"Origin": origin})
        assert (answer.status, "Access-Control-Allow-Origin" in answer.headers) == (200, False)
