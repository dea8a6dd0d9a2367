"""What is true of all parts."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from sipmesh.topology.document.parts.server import Ports, Server


def test_a_topology_does_not_change() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Server(name="s.a.test").name = "t.a.test"


def test_unknown_key_is_refused() -> None:
    with pytest.raises(ValidationError, match="extra"):
        Ports.model_validate({"clients": 5061})
