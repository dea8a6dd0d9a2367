"""What the server says of itself."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from scim2_models import NotFoundException

from sipmesh.server.scim.discovery import discovery
from sipmesh.server.scim.scim_request import ScimRequest
from support.scim import GROUP, USER


def told(*path: str) -> Any:
    return json.loads(
        discovery(ScimRequest("GET", path, {}, b"", "", "https://m", datetime(2026, 12, 1, tzinfo=UTC))).text
    )


def test_schemas_types_and_abilities_are_named() -> None:
    assert {one["id"] for one in told("Schemas")["Resources"]} == {USER, GROUP}
    assert told("Schemas", USER)["meta"]["location"] == f"https://m/scim/v2/Schemas/{USER}"
    assert {one["endpoint"] for one in told("ResourceTypes")["Resources"]} == {"/Users", "/Groups"}
    assert (told("ServiceProviderConfig")["patch"], told("ServiceProviderConfig")["sort"]) == (
        {"supported": True},
        {"supported": False},
    )
    assert "password" not in {one["name"] for one in told("Schemas", USER)["attributes"]}


@pytest.mark.parametrize("path", [("Schemas", "x"), ("ServiceProviderConfig", "x"), ("Bulk",), ("Me",)])
def test_other_paths_are_unknown(path: tuple[str, ...]) -> None:
    with pytest.raises(NotFoundException):
        told(*path)
