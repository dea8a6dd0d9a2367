"""The Kerberos realm in the document: its form, and the role of a principal."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from sipmesh.topology.document.operators.console_role import ConsoleRole
from sipmesh.topology.document.operators.kerberos import Kerberos

ADA = {"principal": "ada@CORP.EXAMPLE.COM", "role": "operator"}
GOOD: dict[str, Any] = {"realm": "CORP.EXAMPLE.COM", "keytab": "secrets/console.keytab", "roles": [ADA]}


def test_role_is_that_of_the_whole_principal() -> None:
    kerberos = Kerberos.model_validate(GOOD)
    assert kerberos.role_of("ada@CORP.EXAMPLE.COM") is ConsoleRole.OPERATOR
    for other in ("ada", "Ada@CORP.EXAMPLE.COM", "ada@EVIL.EXAMPLE.COM", "ada@CORP.EXAMPLE.COM ", ""):
        assert kerberos.role_of(other) is None


@pytest.mark.parametrize(
    "change",
    [
        {"realm": "corp.example.com"},
        {"realm": ""},
        {"roles": []},
        {"roles": [{**ADA, "principal": "ada"}]},
        {"roles": [{**ADA, "principal": "ada/admin@CORP.EXAMPLE.COM"}]},
        {"roles": [{**ADA, "principal": "*@CORP.EXAMPLE.COM"}]},
        {"roles": [{**ADA, "role": "root"}]},
        {"password": "x"},
    ],
)
def test_realm_that_is_not_formed_right_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Kerberos.model_validate({**GOOD, **change})
