"""Signatures of a trunk's calls, as a document writes them."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from sipmesh.topology.document.parts.stir import Stir, StirMode

RIGHT = {"anchors": ["partners/sti.pem"], "hosts": ["certs.test", "*.certs.test:8443"]}


def test_calls_pass_with_their_result_by_default() -> None:
    assert Stir.model_validate(RIGHT).incoming is StirMode.REPORT


@pytest.mark.parametrize(
    "keys", [{"incoming": "maybe"}, {"hosts": ["127.0.0.1"]}, {"hosts": ["https://certs.test"]}, {"sign": {"url": "x"}}]
)
def test_wrong_value_is_refused(keys: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Stir.model_validate({**RIGHT, **keys})
