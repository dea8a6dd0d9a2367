"""The limits of `call_records`."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from sipmesh.topology.document.parts.call_records import CallRecords


@pytest.mark.parametrize(("key", "value"), [("days", 1), ("days", 3_660), ("megabytes", 8), ("megabytes", 65_536)])
def test_value_at_its_limit_is_accepted(key: str, value: int) -> None:
    assert getattr(CallRecords.model_validate({key: value}), key) == value


@pytest.mark.parametrize(("key", "value"), [("days", 0), ("days", 3_661), ("megabytes", 7), ("megabytes", 65_537)])
def test_value_beyond_its_limit_is_refused(key: str, value: int) -> None:
    with pytest.raises(ValidationError):
        CallRecords.model_validate({key: value})
