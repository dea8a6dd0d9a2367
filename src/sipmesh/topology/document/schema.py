"""The JSON Schema of a topology document, for editors and programs. docs/topology.schema.json is its published copy."""

from __future__ import annotations

import json
from typing import Any

from sipmesh.topology.document.model import Topology


def schema() -> dict[str, Any]:
    """Give the schema (JSON Schema 2020-12). It describes the shape only; `check` also checks how the parts agree."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **Topology.model_json_schema(mode="validation"),
        "title": "sipmesh topology, version 1",
    }


def schema_text() -> str:
    """Give the text of the published schema."""
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"
