"""What a server knows of a user to check a password."""

from __future__ import annotations

import pytest

from sipmesh.routing.authentication.verifier import Verifier, user_of
from sipmesh.sip.digest import Algorithm


@pytest.mark.parametrize("aor", ["sip:alice@example.test", "alice@example.test", "sip:alice"])
def test_user_name_is_the_part_before_the_at(aor: str) -> None:
    assert user_of(aor) == "alice"


def test_hashes_are_not_shown() -> None:
    """A log line or a traceback must not give away what logs in."""
    assert "5ecre7" not in repr(Verifier("sip:alice@example.test", 1, {Algorithm.SHA_256: "5ecre7"}))
