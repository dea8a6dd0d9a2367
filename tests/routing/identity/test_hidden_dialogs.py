"""No caller learns from a phone that it has the dialog of a user who hides."""

from __future__ import annotations

import pytest

from sipmesh.routing.identity.hidden_dialogs import MOST_OF_USER, OF_NOBODY, HiddenDialogs
from sipmesh.sip.message import Request

ALICE, CAROL = b"alice678", b"carol678"


def naming(name: str, value: str) -> Request:
    request = Request("INVITE", "sip:alice@example.test", [])
    request.append(name, value)
    return request


@pytest.mark.parametrize("name", ["replaces", "join", "target-dialog"])
@pytest.mark.parametrize("value", ["c1@host;to-tag=a;from-tag=b", "c1@host ;early-only;from-tag=b;to-tag=a"])
def test_dialog_of_who_hides_is_not_named_to_its_phone(name: str, value: str) -> None:
    """To another phone, and with another Call-ID, the request goes as it came."""
    held = HiddenDialogs()
    held.add(ALICE, "c1@host")
    asked = naming(name, value)
    held.unname(asked, CAROL)
    assert asked.values(name) == [value]
    held.unname(asked, ALICE)
    assert asked.values(name) == [OF_NOBODY]
    other = naming(name, "c2@host;to-tag=a;from-tag=b")
    held.unname(other, ALICE)
    assert other.values(name) == ["c2@host;to-tag=a;from-tag=b"]


def test_last_calls_of_a_user_are_remembered() -> None:
    held = HiddenDialogs()
    for number in range(MOST_OF_USER + 1):
        for _ in range(2):  # once for each branch
            held.add(ALICE, f"c{number}")
    for number, known in ((0, False), (1, True), (MOST_OF_USER, True)):
        asked = naming("replaces", f"c{number};to-tag=a;from-tag=b")
        held.unname(asked, ALICE)
        assert (asked.values("replaces") == [OF_NOBODY]) is known


def test_users_who_have_hidden_last_are_remembered() -> None:
    held = HiddenDialogs(most=2)
    for owner in (ALICE, CAROL, ALICE, b"bob45678"):
        held.add(owner, "c1")
    for owner, known in ((ALICE, True), (CAROL, False), (b"bob45678", True)):
        asked = naming("replaces", "c1;to-tag=a;from-tag=b")
        held.unname(asked, owner)
        assert (asked.values("replaces") == [OF_NOBODY]) is known
