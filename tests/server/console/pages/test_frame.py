"""What all pages have in common: a form of another site or of another session is refused."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

from sipmesh.server.console import operations
from sipmesh.trust.evidence import LinkKind
from support.console import Visitor, management_with_console
from support.managed import MGMT
from support.running import on_loop


@on_loop
async def test_form_counts_only_with_the_token_of_its_own_session(tmp_path: Path) -> None:
    async with management_with_console(tmp_path) as network, Visitor(network) as officer, Visitor(network) as other:
        await officer.log_in("security-officer")
        await other.log_in("security-officer")
        for token in ("", other.form_token, "x" * 5000):
            refused = await officer.ask("POST", "/user/enable", data={"form_token": token, "user": "alice"})
            assert (refused.status, "not from a page of this session" in refused.text) == (403, True)
        assert (await officer.post("/user/disable", user="alice", sure="yes")).status == 200


@on_loop
async def test_error_of_an_operation_is_a_page_with_the_way_back(tmp_path: Path) -> None:
    async with management_with_console(tmp_path) as network, Visitor(network) as viewer:
        await viewer.log_in("viewer")
        wrong = await viewer.get("/users/nobody@example.test")
        assert (wrong.status, "Nothing was changed" in wrong.text) == (409, True)
        assert (await viewer.get("/versions/0")).status == 400
        assert (await viewer.post("/sign-crls")).status == 403


def test_each_table_has_its_headings_on_a_narrow_screen_too() -> None:
    """There each cell is a line of its own, and the style sheet gives it the heading of its column."""
    console = Path(operations.__file__).parent
    style = (console / "static/console.css").read_text()
    shown: dict[str, list[str]] = {}
    for table, _, heading in re.findall(r'\.(\w+) td:nth-child\((\d+)\)::before \{ content: "([^"]+): "', style):
        shown.setdefault(table, []).append(heading)
    found = {}
    for page in (console / "templates").glob("*.html"):
        for table, heads in re.findall(r'<table class="rows (\w+)">(.*?)</thead>', page.read_text(), re.DOTALL):
            found[table] = re.findall(r'<th scope="col">([^<]+)</th>', heads)
    assert found == shown
    assert all("<table>" not in page.read_text() for page in (console / "templates").glob("*.html"))


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
