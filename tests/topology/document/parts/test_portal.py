"""The ways into the portal in the document: which principal is which user."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from sipmesh.topology.document.parts.portal import PortalEntry, PortalRealm, ways_in_words

REALM: dict[str, Any] = {"realm": "CORP.TEST", "keytab": "secrets/portal.keytab", "domain": "example.test"}


def test_principal_is_the_user_of_the_domain() -> None:
    assert PortalRealm.model_validate(REALM).user_of("alice@CORP.TEST") == "alice@example.test"


@pytest.mark.parametrize(
    "other",
    [
        "alice",
        "alice@EVIL.TEST",
        "alice@corp.test",
        "alice/admin@CORP.TEST",
        "alice$@CORP.TEST",
        "alice\\@evil.test@CORP.TEST",
        "alice%40evil@CORP.TEST",
        "@CORP.TEST",
        "",
    ],
)
def test_principal_that_can_be_no_user_is_none(other: str) -> None:
    assert PortalRealm.model_validate(REALM).user_of(other) is None


@pytest.mark.parametrize("change", [{"realm": "corp.test"}, {"domain": "no domain"}, {"roles": []}, {"keytab": ""}])
def test_realm_that_is_not_formed_right_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        PortalRealm.model_validate({**REALM, **change})


def test_words_name_each_way() -> None:
    assert ways_in_words(PortalEntry()) == "no way"
    both = PortalEntry.model_validate({"links": True, "kerberos": REALM})
    assert ways_in_words(both) == (
        "links of operators and tickets of CORP.TEST with secrets/portal.keytab, as users of example.test"
    )
