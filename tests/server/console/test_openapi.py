"""The OpenAPI document: every reference in it leads somewhere."""

from __future__ import annotations

import json
import re

import pytest

from sipmesh.server.console.openapi import openapi_document
from sipmesh.server.console.operations import TABLE, Operation


@pytest.mark.parametrize("operation", TABLE, ids=lambda operation: operation.name)
def test_document_describes_each_operation(operation: Operation) -> None:
    described = openapi_document()["paths"][f"/{operation.path}"]["post" if operation.changes else "get"]
    assert described["operationId"] == operation.name
    assert {"200", "400", "401", "403", "409", "429"} == described["responses"].keys()
    names = {part["name"] for part in described.get("parameters", ())}
    assert names == (set() if operation.changes else set(operation.given.model_fields))


def test_every_reference_leads_to_a_schema() -> None:
    document = openapi_document()
    referred = set(re.findall(r'"#/components/schemas/([^"]+)"', json.dumps(document)))
    assert referred
    assert referred <= document["components"]["schemas"].keys()
