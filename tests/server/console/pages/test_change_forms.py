"""The forms that apply the draft and publish it."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.console import Visitor, management_with_console
from support.managed import MGMT
from support.running import on_loop


@on_loop
@pytest.mark.wide
async def test_draft_is_applied_and_a_server_that_does_not_confirm_takes_it_back(tmp_path: Path) -> None:
    """A viewer has no such form. With management alone nothing confirms the version; without other servers it is verified."""
    async with management_with_console(tmp_path) as network, Visitor(network) as operator, Visitor(network) as viewer:
        await operator.log_in("operator")
        await viewer.log_in("viewer")
        network.edit(lambda document: document.update(dane=True))
        plan = await network.ask(MGMT, "plan")
        form = {"why": "TLSA", "base": str(plan["base"]), "digest": plan["digest"], "wait_s": "0"}
        assert 'href="/apply?' in (await operator.get("/versions")).text
        assert 'href="/apply?' not in (await viewer.get("/versions")).text
        assert (await viewer.post("/apply", **form)).status == 403
        applied = await operator.post("/apply", **form)
        assert (applied.status, "is published, and its verification has" in applied.text) == (200, True), applied.text
