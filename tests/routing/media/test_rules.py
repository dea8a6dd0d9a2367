"""Which policy holds: of the partner by its link, of the domains by the names."""

from __future__ import annotations

from dataclasses import replace

import pytest

from routing.messages import request
from sipmesh.routing.media.rules import MediaRules
from sipmesh.topology.document.media_policy import MediaPolicy

ANY, ENCRYPTED, REQUIRED = MediaPolicy
RULES = MediaRules(
    {"example.test": REQUIRED, "lab.test": ANY},
    {"partner.test": ENCRYPTED, "open.test": ANY},
    {"sip.partner.test": ENCRYPTED, "open.test": ANY},
)
ALICE, LAB, PARTNER, OPEN = "sip:a@example.test", "sip:l@lab.test", "sip:p@partner.test", "sip:o@open.test"


@pytest.mark.parametrize(
    ("sender", "to", "policy"),
    [
        (ALICE, ALICE, REQUIRED),
        (LAB, LAB, ANY),
        (LAB, ALICE, REQUIRED),
        (ALICE, PARTNER, ENCRYPTED),
        (OPEN, ALICE, ANY),
        (OPEN, PARTNER, ENCRYPTED),
        (LAB, "tel:+4930123456", REQUIRED),
        (LAB, "sip:x@elsewhere.test", REQUIRED),
    ],
)
def test_policy_of_the_names(sender: str, to: str, policy: MediaPolicy) -> None:
    inside = request("INVITE", "sip:x@192.0.2.9", sender=sender, to=to, to_tag="2")
    assert RULES.policy(inside, None, None) is policy
    assert RULES.policy(request("INVITE", "sip:x@192.0.2.9", sender=sender, to=to), None, None) is policy


def test_policy_of_a_partner_comes_from_its_link() -> None:
    """At an edge no name in a message weakens it."""
    for partner, policy in (("sip.partner.test", ENCRYPTED), ("open.test", ANY), ("other.test", REQUIRED)):
        assert RULES.policy(request("INVITE", sender=OPEN, to=LAB), None, partner) is policy


def test_withheld_sender_has_the_policy_of_its_identity() -> None:
    hidden = request("INVITE", LAB, sender="sip:anonymous@anonymous.invalid", to=LAB)
    assert RULES.policy(hidden, "sip:l@lab.test", None) is ANY
    assert RULES.policy(hidden, ALICE, None) is REQUIRED
    assert RULES.policy(hidden, None, None) is REQUIRED


def test_other_side_that_hides_has_the_policy_of_its_user() -> None:
    """The strictest one, if it is not known who it is. Outside a dialog, the Request-URI says for whom the request is."""
    inside = request("INVITE", "sip:x@192.0.2.9", sender=LAB, to="sip:anonymous@anonymous.invalid", to_tag="2")
    assert RULES.policy(inside, LAB, None, LAB) is ANY
    assert RULES.policy(inside, LAB, None, ALICE) is REQUIRED
    assert RULES.policy(inside, LAB, None) is REQUIRED
    outside = request("INVITE", LAB, sender=LAB, to="sip:anonymous@anonymous.invalid")
    assert RULES.policy(outside, LAB, None) is ANY


def test_request_uri_counts_outside_a_dialog_only() -> None:
    assert RULES.policy(request("INVITE", ALICE, sender=LAB, to=LAB), None, None) is REQUIRED
    assert RULES.policy(request("INVITE", ALICE, sender=LAB, to=LAB, to_tag="2"), None, None) is ANY


def owner_of(name: str) -> str:
    """Two users have an alias in the domain of the other one."""
    return {"sip:42@lab.test": ALICE, "sip:7@example.test": LAB}.get(name, "")


@pytest.mark.parametrize(
    ("sender", "to", "policy"),
    [
        (LAB, "sip:42@lab.test;user=phone", REQUIRED),
        ("sip:42@lab.test", LAB, REQUIRED),
        (LAB, "sip:43@lab.test", ANY),
        (LAB, "sip:7@example.test", ANY),
        (LAB, "sip:8@example.test", REQUIRED),
        (LAB, "sip:42@open.test", ANY),
    ],
)
def test_alias_has_the_policy_of_its_user(sender: str, to: str, policy: MediaPolicy) -> None:
    """At the beginning and inside the dialog, where To may be any name of the callee."""
    rules = replace(RULES, owner_of=owner_of)
    for tag in ("", "2"):
        asked = request("INVITE", "sip:x@192.0.2.9" if tag else to, sender=sender, to=to, to_tag=tag)
        assert rules.policy(asked, None, None) is policy
        assert not rules.misleads(asked, by_client=True)
    assert rules.misleads(request("INVITE", "sip:42@lab.test", to=LAB), by_client=True)


@pytest.mark.parametrize(
    ("uri", "to", "misleads"),
    [
        (ALICE, ALICE, False),
        (ALICE, LAB, True),
        (ALICE, OPEN, True),
        (ALICE, "tel:+4930123456", False),
        (LAB, ALICE, False),
        ("sip:x@192.0.2.9", LAB, True),
        ("sip:x@192.0.2.9", "sip:x@192.0.2.9", False),
    ],
)
def test_to_of_a_weaker_domain_misleads(uri: str, to: str, *, misleads: bool) -> None:
    assert RULES.misleads(request("INVITE", uri, to=to), by_client=True) is misleads
    assert not RULES.misleads(request("INVITE", uri, to=to, to_tag="2"), by_client=True)
    assert not MediaRules({"example.test": ANY}, {}, {}).misleads(request("INVITE", uri, to=to), by_client=True)


def test_request_of_a_server_for_a_contact_does_not_mislead() -> None:
    """The front end of the caller has seen its Request-URI."""
    assert not RULES.misleads(request("INVITE", "sip:x@192.0.2.9", to=LAB), by_client=False)
