"""Whose token it is, by the topology in force."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from sipmesh.server.console.access.scim_token import client_of_token
from sipmesh.server.console.access.secret_table import hash_of
from sipmesh.topology.document.parts.scim import Scim

SCIM = Scim.model_validate({"tokens": [{"name": name, "token_sha256": hash_of(name)} for name in ("entra", "okta")]})


def test_token_names_its_client() -> None:
    topology: Any = SimpleNamespace(scim=SCIM)
    assert client_of_token(topology, "okta") == "okta (SCIM)"
    assert client_of_token(topology, hash_of("okta")) == ""
    assert client_of_token(topology, "") == ""
    without: Any = SimpleNamespace(scim=None)
    assert client_of_token(without, "okta") == ""
