"""The JSON Schema of a topology document, for editors and programs; docs/topology.schema.json is its published copy."""

from __future__ import annotations

import json
from typing import Any

from sipmesh.topology.document.model import Topology


def schema() -> dict[str, Any]:
    """The schema as a value (JSON Schema 2020-12). It says what has the right shape; `check` also says what fits."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **Topology.model_json_schema(mode="validation"),
        "title": "sipmesh topology, version 1",
    }


def schema_text() -> str:
    """The schema as it is published."""
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"
