"""The page of enrolment lists tokens and accounts, which are sorted and filtered as other tables are."""

from __future__ import annotations

from pathlib import Path

from support.acme_client import AcmeClient
from support.console import Visitor
from support.enrolling import BOT, OTHER_BOT, enrolling, token
from support.running import on_loop


@on_loop
async def test_accounts_are_filtered_by_their_server_and_contacts_are_shown(tmp_path: Path) -> None:
    async with enrolling(tmp_path, "acme") as network, Visitor(network) as viewer, Visitor(network) as visitor:
        one, other = AcmeClient(visitor), AcmeClient(visitor)
        await one.register(await token(network), contact=["mailto:<ops>@example.test"])
        await other.register(await token(network, OTHER_BOT))
        await viewer.log_in("viewer")
        shown = (await viewer.get("/certificates/enrolment?q=bot1")).text
        ids = [client.account.rpartition("/")[2] for client in (one, other)]
        assert [account in shown for account in ids] == [True, False]
        assert ("mailto:&lt;ops&gt;@example.test" in shown, "<ops>" in shown, BOT in shown) == (True, False, True)
