"""Logging in by a code that works once, and logging out."""

from __future__ import annotations

from pathlib import Path

from support.console import Visitor, management_with_console
from support.managed import MGMT
from support.running import on_loop


@on_loop
async def test_code_logs_in_once_and_no_copy_of_it_does(tmp_path: Path) -> None:
    async with management_with_console(tmp_path) as network, Visitor(network) as first, Visitor(network) as thief:
        code = (await network.ask(MGMT, "console-login", role="viewer"))["code"]
        assert (await first.ask("POST", "/login", data={"code": code})).status == 303
        stolen = await thief.ask("POST", "/login", data={"code": code})
        assert (stolen.status, "This code is not valid" in stolen.text) == (401, True)
        assert (await thief.get("/")).status == 303


@on_loop
async def test_session_ends_when_its_operator_logs_out(tmp_path: Path) -> None:
    async with management_with_console(tmp_path) as network, Visitor(network) as viewer:
        await viewer.log_in("viewer")
        assert (await viewer.post("/logout")).headers["Location"] == "/login"
        assert (await viewer.get("/")).headers["Location"] == "/login"
