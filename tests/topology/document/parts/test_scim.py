"""SCIM clients: a name and a hash are enough."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from sipmesh.topology.document.parts.scim import Scim

TOKEN = {"name": "entra", "token_sha256": "0" * 64}


def test_name_and_hash_are_enough() -> None:
    scim = Scim.model_validate({"tokens": [TOKEN]})
    assert (scim.most_loss, scim.pools) == (20, ())


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"tokens": [{"name": "entra", "token": "secret"}]},
        {"tokens": [{**TOKEN, "token_sha256": "secret"}]},
        {"tokens": [{**TOKEN, "name": "En tra"}]},
        {"tokens": [TOKEN] * 9},
        {"tokens": [TOKEN], "most_loss": 0},
        {"tokens": [TOKEN], "pools": [{"group": "g"}]},
    ],
)
def test_wrong_key_is_refused(given: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Scim.model_validate(given)
