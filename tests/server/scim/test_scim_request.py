"""Methods that a path has."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from sipmesh.server.scim.scim_request import NotAllowedError, ScimRequest, must_be_one_of

ASKED = ScimRequest("POST", ("Schemas",), {}, b"", "", "", datetime(2026, 12, 1, tzinfo=UTC))


def test_another_method_is_refused_with_those_that_there_are() -> None:
    must_be_one_of(ASKED, ("GET", "POST"))
    with pytest.raises(NotAllowedError) as refused:
        must_be_one_of(ASKED, ("GET", "PUT"))
    assert refused.value.allowed == "GET, PUT"
