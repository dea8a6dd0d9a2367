"""A server names itself by its port for servers."""

from __future__ import annotations

import pytest

from sipmesh.server.here import here
from sipmesh.topology.view import view
from sipmesh.trust.evidence import LinkKind
from support.network import EDGE, FE1, Network


@pytest.mark.parametrize("name", [FE1, EDGE])
def test_contact_in_control_dialogs_is_the_server_port(home: Network, name: str) -> None:
    seen = view(home.organisations[0].load(), name)
    ours = here(seen)
    port = home.organisations[0].address(name, LinkKind.SERVER)[1]
    assert ours.name == name
    assert ours.sent_by.endswith(f":{port}")
    assert len({ours.token() for _ in range(100)}) == 100
