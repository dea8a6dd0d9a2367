"""Who may trace: not a viewer, an operator without bodies, a security officer with them; each of them is in the audit log."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from support.console import Visitor, management_with_console
from support.managed import Managed
from support.running import on_loop

ASKED: dict[str, Any] = {"id": "0123456789", "what": "alice@example.test"}


def audited(network: Managed) -> list[tuple[str, object]]:
    lines = network.master.management_db.audit.read()
    return [(line.who, line.about["bodies"]) for line in lines if line.act == "trace"]


@on_loop
async def test_role_decides_who_traces_and_who_reads_bodies(tmp_path: Path) -> None:
    async with (
        management_with_console(tmp_path) as network,
        Visitor(network, "vera-token") as viewer,
        Visitor(network, "otto-token") as operator,
        Visitor(network, "sona-token") as officer,
    ):
        for visitor, bodies, status in (
            (viewer, False, 403),
            (viewer, True, 403),
            (operator, True, 403),
            (operator, False, 200),
            (officer, True, 200),
        ):
            given = {**ASKED, "bodies": bodies, "id": f"{ASKED['id']}{bodies}"}
            answer = await visitor.ask("POST", "/api/v1/trace", json=given)
            assert answer.status == status, answer.text
        assert [bodies for _, bodies in audited(network)] == [False, True]
        assert ["otto" in audited(network)[0][0], "sona" in audited(network)[1][0]] == [True, True]
