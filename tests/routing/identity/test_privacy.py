"""What Privacy asks for, and what is removed for it."""

from __future__ import annotations

import pytest

from routing.messages import ALICE, BOB, request, response
from sipmesh.routing.identity.privacy import (
    INFORMATIVE,
    answer_hides_sender,
    hidden_contact,
    hide_answer_fields,
    hide_fields,
    hides_identity,
    hides_sender,
    is_anonymous,
    is_hidden,
    unmet,
)
from sipmesh.sip.fields import NameAddr

HIDDEN = "sip:anonymous@anonymous.invalid"


@pytest.mark.parametrize(
    ("sender", "privacy", "identity", "everything"),
    [
        (ALICE, [], False, False),
        (ALICE, ["none"], False, False),
        (ALICE, ["critical"], False, False),
        (ALICE, ["session"], False, False),
        (ALICE, ["ID"], True, False),
        (ALICE, ["critical; Header"], True, True),
        (ALICE, ["id", "user"], True, True),
        (ALICE, ["id;none"], False, False),
        (HIDDEN, [], True, True),
        (HIDDEN, ["id"], True, True),
        (HIDDEN, ["none"], False, False),
    ],
)
def test_request_hides_what_privacy_or_an_anonymous_from_asks_for(
    sender: str, privacy: list[str], *, identity: bool, everything: bool
) -> None:
    asked = request("MESSAGE", BOB, *(("privacy", value) for value in privacy), sender=sender)
    assert (hides_identity(asked), hides_sender(asked)) == (identity, everything)


@pytest.mark.parametrize(("privacy", "hides"), [("", False), ("id", False), ("header", True), ("header;none", False)])
def test_response_hides_what_its_own_privacy_asks_for(privacy: str, *, hides: bool) -> None:
    """Its From is that of the caller, and says nothing about who answers."""
    assert answer_hides_sender(response(200, *([("privacy", privacy)] if privacy else []))) is hides


@pytest.mark.parametrize(
    ("sender", "privacy", "lacking"),
    [
        (ALICE, "session", ""),
        (ALICE, "session;critical", "session"),
        (ALICE, "user;critical", "user"),
        (HIDDEN, "user;critical", ""),
        (ALICE, "id;header;critical", ""),
    ],
)
def test_critical_privacy_that_is_not_provided_is_named(sender: str, privacy: str, lacking: str) -> None:
    assert unmet(request("MESSAGE", BOB, ("privacy", privacy), sender=sender)) == lacking


def test_fields_that_show_the_sender_are_removed_and_others_stay() -> None:
    told = [(name, "x") for name in sorted(INFORMATIVE)]
    asked = request("MESSAGE", BOB, *told, ("x-other", "y"), ("proxy-require", "Privacy, teleport"))
    hide_fields(asked)
    assert not INFORMATIVE & {*asked.names}
    assert (asked.values("via"), asked.values("x-other")) == ([], ["y"])
    assert asked.values("proxy-require") == ["teleport"]
    answered = response(200, *told, ("x-other", "y"))
    hide_answer_fields(answered)
    assert not INFORMATIVE & {*answered.names}
    assert answered.values("via")


def test_hidden_contact_is_known_by_its_host() -> None:
    for sips in (True, False):
        contact = NameAddr.parse(hidden_contact("token", sips=sips))
        assert is_hidden(contact.uri)
        assert is_anonymous(contact)
        assert contact.sip_uri.scheme == ("sips" if sips else "sip")
    assert not is_hidden(ALICE)
