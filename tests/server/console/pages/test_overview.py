"""The first page: faults with their remedies, what expires, the draft, and the last changes."""

from __future__ import annotations

from pathlib import Path

from support.console import Visitor, management_with_console
from support.managed import MGMT
from support.network import FE1
from support.running import on_loop


@on_loop
async def test_first_page_says_what_needs_an_operator_and_what_has_changed(tmp_path: Path) -> None:
    async with management_with_console(tmp_path) as network, Visitor(network) as viewer:
        await viewer.log_in("viewer")
        page = (await viewer.get("/")).text
        assert "3 servers have a fault" in page
        assert f'href="/servers/{FE1}"' in page.partition("What needs you today")[2]
        assert f"start it: <code>sipmesh serve {FE1}</code>" in page
        assert "<strong>publish</strong> by ada (1)" in page.partition("What changed")[2]
        assert ">Draft<" not in page
        assert ("Messages in the last 24 hours" in page, "none in the last day" in page) == (True, True)
        network.edit(lambda document: document.update(dane=True))
        assert "has 1 change that no server has yet" in (await viewer.get("/")).text
        assert f"/servers/{MGMT}" not in page.partition("What needs you today")[2].partition("What changed")[0]
