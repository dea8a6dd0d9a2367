"""The operators who approve."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from sipmesh.topology.document.parts.approvals import Approvals

ADA = {"name": "ada", "key": "ssh-ed25519 AAAA"}


@pytest.mark.parametrize(
    "given",
    [
        {"publish": 0},
        {"publish": 51},
        {"operators": []},
        {"operators": [{"name": "ada", "key": "ssh-rsa AAAA"}]},
    ],
)
def test_rule_that_cannot_be_met_is_refused(given: dict[str, object]) -> None:
    assert Approvals.model_validate({"publish": 1, "operators": [ADA]}).block is None
    with pytest.raises(ValidationError):
        Approvals.model_validate({"publish": 1, "operators": [ADA], **given})
