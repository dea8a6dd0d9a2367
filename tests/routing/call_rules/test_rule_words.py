"""Rules in words."""

from __future__ import annotations

from sipmesh.routing.call_rules.call_rules import CallerRule, CallRules
from sipmesh.routing.call_rules.rule_words import in_words


def test_rules_have_no_schemes_and_the_names_of_options() -> None:
    also = ("sip:bob@example.test", "tel:+49301234")
    callers = {"@partner.test": CallerRule.BLOCK, "sip:dora@example.test": CallerRule.ALLOW}
    rules = CallRules(no_answer="tel:+49301234", ring_s=20, also=also, do_not_disturb=True, callers=callers)
    assert in_words(rules.as_json()) == {
        "no-answer": "+49301234",
        "ring-s": "20",
        "also": "bob@example.test, +49301234",
        "do-not-disturb": "yes",
        "callers": "block @partner.test, allow dora@example.test",
    }
    assert in_words({}) == {}
