"""Who may be enrolled: the servers of the topology, but no management server, and no partner."""

from __future__ import annotations

from pathlib import Path

import pytest

from sipmesh.server.enrolment.enrollable import NotEnrollableError, enrollable
from sipmesh.trust.role import Role
from support.enrolling import BOT, BOTS, enrolling
from support.managed import MGMT
from support.network import EDGE, EDGES
from support.running import on_loop


@on_loop
async def test_servers_but_no_management_server_may_be_enrolled(tmp_path: Path) -> None:
    async with enrolling(tmp_path, "est") as network:
        view = network.nodes[MGMT].view
        found = enrollable(view, BOT)
        assert (found.names, found.addresses, found.role) == ((BOT, BOTS), ("127.0.0.1",), Role.APPLICATION)
        assert enrollable(view, EDGE).names[:2] == (EDGE, EDGES)
        refused = {MGMT: "is a management server", "bot3.example.test": "is not a server", BOTS: "is not a server"}
        for name, why in refused.items():
            with pytest.raises(NotEnrollableError, match=why):
                enrollable(view, name)
