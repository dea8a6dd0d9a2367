"""Who has copied the ticket of a web phone: after *Log out* of its user it changes nothing, and no other user ends it before."""

from __future__ import annotations

from pathlib import Path

from server.invitations.test_file_pages import FIELDS, upload
from server.proxy.serving.test_told_logins import ticket_of
from sipmesh.server.invitations.strangers import FAILURES_A_MINUTE
from sipmesh.server.invitations.ticket_login import LOG_OUTS_A_MINUTE
from support.account_tickets import LIST, TicketPage
from support.network import FE1, FE2
from support.peer import Peer
from support.running import on_loop, until
from support.web_peer import open_websocket, web_address

LOG_OUT = "/logout"
CONTACT = {"name": "Bob", "address": "bob@example.test"}


async def tried(page: TicketPage, ticket: str) -> list[int]:
    """Do all that a ticket is for; gives each status."""
    return [
        (await page.ask(ticket, "PUT", f"{LIST}/c1", json=CONTACT)).status,
        (await page.ask(ticket)).status,
        (await page.ask(ticket, "DELETE", f"{LIST}/c1")).status,
        (await page.ask(ticket, "PUT", "/rules", json={"do_not_disturb": True})).status,
        (await page.ask(ticket, "DELETE", "/rules")).status,
        (await page.ask(ticket, "POST", "/files", data=upload(b"hello"), headers=sent_as())).status,
        (await page.ask(ticket, "POST", LOG_OUT)).status,
    ]


def sent_as() -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in FIELDS.items()}


async def phones(page: TicketPage, *names: tuple[str, str]) -> list[Peer]:
    """Have users log in, each on a link of its own."""
    if FE1 not in page.network.nodes:
        await page.network.start(FE1, FE2)
    for server in (FE1, FE2):
        await until(lambda server=server: page.network.nodes[server].users.ready)  # type: ignore[misc]
    found = [await page.network.phone(server, user) for server, user in names]
    for phone in found:
        assert (await phone.register()).status == 200
    return found


COUNTS = [201, 200, 204, 200, 200, 200, 204]


@on_loop
async def test_copied_ticket_is_refused_everywhere_after_the_log_out(tmp_path: Path) -> None:
    """Also an earlier ticket of the same link. Another login of the user with the same password goes on, at each server."""
    async with TicketPage.opened(tmp_path, files={}) as page:
        own, other, elsewhere = await phones(page, (FE1, "alice"), (FE1, "alice"), (FE2, "alice"))
        copied, newest = await ticket_of(own), await ticket_of(own)
        others = [await ticket_of(other), await ticket_of(elsewhere)]
        assert (await page.ask(copied)).status == 200
        assert (await page.ask(newest, "POST", LOG_OUT)).status == 204
        assert await tried(page, copied) == [401] * len(COUNTS)
        later = await ticket_of(own)  # the link is up still
        assert (await page.ask(later)).status == 401
        for one in others:
            assert await tried(page, one) == COUNTS
        [again] = await phones(page, (FE1, "alice"))
        assert await tried(page, await ticket_of(again)) == COUNTS


@on_loop
async def test_who_has_no_ticket_of_a_login_does_not_end_it(tmp_path: Path) -> None:
    """Neither another user, nor a changed ticket, nor a page of another site that has one; wrong tickets are counted."""
    async with TicketPage.opened(tmp_path) as page:
        own, bob = await phones(page, (FE1, "alice"), (FE1, "bob"))
        open_websocket(page.network.organisation, phone=True)
        await page.network.publish()
        ticket, of_bob = await ticket_of(own), await ticket_of(bob)
        header, payload, signature = ticket.split(".")
        for wrong in ("", "guessed", f"{header}.{of_bob.split('.')[1]}.{signature}", f"{header}.{payload}."):
            assert (await page.ask(wrong, "POST", LOG_OUT)).status == 401
        evil = {"Origin": "https://evil.test"}
        assert (await page.ask(ticket, "POST", LOG_OUT, headers=evil)).status == 403
        preflight = {**evil, "Access-Control-Request-Method": "POST"}
        assert (await page.ask("", "OPTIONS", LOG_OUT, headers=preflight)).status == 403
        assert (await page.ask(of_bob, "POST", LOG_OUT)).status == 204
        assert [(await page.ask(one)).status for one in (ticket, of_bob)] == [200, 401]
        for _ in range(FAILURES_A_MINUTE):
            assert (await page.ask("guessed", "POST", LOG_OUT)).status in {401, 429}
        assert (await page.ask("guessed", "POST", LOG_OUT)).status == 429
        origin = f"https://{FE1}:{web_address(page.network.organisation, FE1)[1]}"
        right = await page.ask(ticket, "POST", LOG_OUT, headers={"Origin": origin})
        assert (right.status, right.headers.get("Access-Control-Allow-Origin")) == (204, origin)


@on_loop
async def test_log_outs_of_one_user_are_bounded_in_a_minute(tmp_path: Path) -> None:
    """Each is a row for some minutes. Another user logs out all the same."""
    async with TicketPage.opened(tmp_path) as page:
        ends = [await page.ask(page.ticket(link=f"l{n}"), "POST", LOG_OUT) for n in range(2 * LOG_OUTS_A_MINUTE + 1)]
        seen = [one.status for one in ends]
        assert 429 in seen
        assert set(seen) == {204, 429}
        assert (await page.ask(page.ticket(user="sip:bob@example.test"), "POST", LOG_OUT)).status == 204
