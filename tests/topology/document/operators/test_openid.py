"""The OpenID provider in the document: its form, and the role that values lead to."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from sipmesh.topology.document.operators.console_role import ConsoleRole
from sipmesh.topology.document.operators.openid import OpenId

GOOD: dict[str, Any] = {
    "issuer": "https://id.example.test/realms/a",
    "client_id": "console",
    "roles": [{"value": "staff", "role": "viewer"}, {"value": "admins", "role": "operator"}],
}


def test_highest_role_of_all_values_counts_and_no_value_leads_to_none() -> None:
    openid = OpenId.model_validate(GOOD)
    assert openid.role_of(frozenset({"staff", "admins", "cooks"})) is ConsoleRole.OPERATOR
    assert openid.role_of(frozenset({"staff"})) is ConsoleRole.VIEWER
    for values in ((), ("cooks",), ("STAFF",), ("staff ",)):
        assert openid.role_of(frozenset(values)) is None


@pytest.mark.parametrize(
    "change",
    [
        {"issuer": "http://id.example.test"},
        {"issuer": "https://id.example.test?x=1"},
        {"issuer": "https://a@id.example.test"},
        {"issuer": "https://id.example.test#x"},
        {"client_id": "a b"},
        {"roles": []},
        {"roles": [{"value": "", "role": "viewer"}]},
        {"roles": [{"value": "a", "role": "root"}]},
        {"scopes": ["a b"]},
        {"secret": "x"},
    ],
)
def test_entry_that_does_not_fit_is_refused(change: dict[str, Any]) -> None:
    assert OpenId.model_validate(GOOD)
    with pytest.raises(ValidationError):
        OpenId.model_validate({**GOOD, **change})
