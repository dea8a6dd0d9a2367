"""How targets, callers and times of rules of calls are written in the topology."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from sipmesh.topology.document.parts.call_defaults import MOST_BLOCKED, CallDefaults


@pytest.mark.parametrize(
    "given",
    [
        {"ring_s": 5},
        {"ring_s": 180},
        {"busy": "voicemail@example.com", "no_answer": "+493012345", "away": "desk@partner.test"},
        {"block": ["anonymous", "@spam.test", "bob@partner.test", "+4930123"]},
        {"block": [f"user{n}@spam.test" for n in range(MOST_BLOCKED)]},
    ],
)
def test_rules_are_read(given: dict[str, Any]) -> None:
    assert CallDefaults.model_validate(given).model_dump(mode="json", exclude_defaults=True) == given


@pytest.mark.parametrize(
    "given",
    [
        {"ring_s": 4},
        {"ring_s": 181},
        {"busy": "carol"},
        {"busy": "112"},
        {"away": "sip:carol@example.com"},
        {"block": ["*"]},
        {"block": ["Bob@example.com"]},
        {"block": [f"user{n}@spam.test" for n in range(MOST_BLOCKED + 1)]},
        {"always": "carol@example.com"},
    ],
)
def test_other_values_are_refused(given: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        CallDefaults.model_validate(given)
