"""The published schema is the model's."""

from __future__ import annotations

import json

from sipmesh.topology.document.schema import schema, schema_text
from support.checkout import DOCS

PUBLISHED = DOCS / "topology.schema.json"


def test_the_published_schema_is_the_models() -> None:
    """If this fails: `sipmesh topology schema > docs/topology.schema.json`."""
    assert PUBLISHED.read_text() == schema_text()


def test_the_schema_knows_no_other_keys() -> None:
    parts = [schema(), *schema()["$defs"].values()]
    assert all(part["additionalProperties"] is False for part in parts if part.get("type") == "object")


def test_a_server_may_be_written_as_its_name() -> None:
    servers = schema()["$defs"]["Pool"]["properties"]["servers"]["items"]["anyOf"]
    assert {"type": "string"} in servers


def test_every_key_says_what_it_is_for() -> None:
    parts = [schema(), *schema()["$defs"].values()]
    keys = [entry for part in parts for entry in part.get("properties", {}).values()]
    assert all(entry["description"] for entry in keys)


def test_the_schema_is_json() -> None:
    assert json.loads(schema_text())["$schema"].endswith("2020-12/schema")
