"""What all pages have in common: a form of another site or of another session is refused."""

from __future__ import annotations

import asyncio
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sipmesh.server.console import operations
from sipmesh.server.console.pages import (
    calls_page,
    directory_page,
    enrolment_page,
    live,
    network,
    trace_page,
    verdict_stream,
)
from sipmesh.server.console.pages.frame import FILTERS
from sipmesh.server.console.pages.table import Column
from sipmesh.trust.evidence import LinkKind
from sipmesh.trust.formatting import tell_time
from support.console import Visitor, management_with_console
from support.managed import MGMT
from support.running import on_loop

TEMPLATES = Path(operations.__file__).with_name("templates")


@on_loop
async def test_form_counts_only_with_the_token_of_its_own_session(tmp_path: Path) -> None:
    async with management_with_console(tmp_path) as network, Visitor(network) as officer, Visitor(network) as other:
        await officer.log_in("security-officer")
        await other.log_in("security-officer")
        for token in ("", other.form_token, "x" * 5000):
            refused = await officer.ask("POST", "/user/enable", data={"form_token": token, "user": "alice"})
            assert (refused.status, "not from a page of this session" in refused.text) == (403, True)
            assert ("Enable alice" in refused.text, 'name="user" value="alice"' in refused.text) == (True, True)
        assert (await officer.post("/user/disable", user="alice", sure="yes")).status == 200


@on_loop
async def test_error_of_an_operation_is_a_page_with_the_way_back(tmp_path: Path) -> None:
    async with management_with_console(tmp_path) as network, Visitor(network) as viewer:
        await viewer.log_in("viewer")
        wrong = await viewer.get("/users/nobody@example.test")
        assert (wrong.status, "This page cannot be shown" in wrong.text) == (409, True)
        assert "Nothing was changed" not in wrong.text
        assert (await viewer.get("/versions/0")).status == 400
        assert (await viewer.post("/sign-crls")).status == 403


def test_each_cell_has_the_heading_of_its_column_on_a_narrow_screen_too() -> None:
    """There each cell is a line of its own, with its heading from ``data-label``."""
    columns: list[tuple[Column[Any], ...]] = [
        *(
            network.SERVERS,
            network.NEIGHBOURS,
            network.VERSIONS,
            network.ENTRIES,
            network.PARTNER_COLUMNS,
            network.PEERS,
            network.LINKS_BETWEEN,
            directory_page.CONFLICTS,
        ),
        *(
            live.DEVICES,
            live.USER_COLUMNS,
            live.LINES,
            verdict_stream.COLUMNS,
            trace_page.COLUMNS,
            network.BLOCKED,
            enrolment_page.TOKENS,
            enrolment_page.ACCOUNTS,
            calls_page.COLUMNS,
        ),
        *(live.FAILURES, live.LOGINS, network.REFUSED_LATELY, network.ISSUED),
        *(network.TRUNK_USES, network.TRUNK_CALLERS, network.APPLICATION_USES),
        *(live.OWN_DEVICES, live.INVITATIONS, live.DEVICE_CERTIFICATES),
    ]
    known = {column.label for table in columns for column in table}
    found = set[str]()
    for page in TEMPLATES.glob("*.html"):
        text = page.read_text()
        found |= set(re.findall(r'data-label="([^"]+)"', text))
        assert text.count("<table") == (page.name == "parts.html"), "each table is made by the macro"
    assert found < known


@on_loop
async def test_path_that_no_page_has_is_a_page_with_the_navigation_and_leads_a_stranger_to_the_login(
    tmp_path: Path,
) -> None:
    async with management_with_console(tmp_path) as network, Visitor(network) as viewer, Visitor(network) as stranger:
        await viewer.log_in("viewer")
        missing = await viewer.get("/no/such<page>")
        assert (missing.status, "There is no such page" in missing.text, 'aria-label="Pages"' in missing.text) == (
            404,
            True,
            True,
        )
        assert "<page>" not in missing.text
        assert ((await stranger.get("/no")).status, (await stranger.get("/api/no")).status) == (303, 404)


def test_instant_is_shown_relative_to_now_with_the_exact_time_on_hover() -> None:
    at = datetime.now(UTC)
    ago: Any = FILTERS["time"]
    for distance, told in (
        (timedelta(), "now"),
        (timedelta(minutes=-3, seconds=-5), "3 min ago"),
        (timedelta(days=2, seconds=9), "in 2 d"),
    ):
        shown = str(ago(at + distance))
        assert (told in shown, tell_time(at + distance) in shown) == (True, True), shown


@on_loop
async def test_refused_peer_is_not_called_accepted(tmp_path: Path) -> None:
    """A verdict says which end opened the link; the page says it in words that cannot be read as a verdict."""
    async with management_with_console(tmp_path) as network, Visitor(network) as viewer:
        reader, writer = await asyncio.open_connection(*network.organisation.address(MGMT, LinkKind.SERVER))
        writer.write(b"OPTIONS sip:example.test SIP/2.0\r\n\r\n")
        await reader.read()
        writer.close()
        await viewer.log_in("viewer")
        page = (await viewer.get("/refused")).text
        assert ("not-tls" in page, "opened by the peer" in page, "accepted" in page) == (True, True, False)
