"""The rules of one user: written as JSON and read back, and which rule counts for a caller."""

from __future__ import annotations

import pytest

from sipmesh.routing.call_rules.call_rules import (
    ANONYMOUS,
    EVERYBODY,
    LONGEST_RING_S,
    MOST_TARGETS,
    NO_RULES,
    CallerRule,
    CallRules,
    rules_from,
)

BOB, NUMBER = "sip:bob@example.test", "tel:+49301234"
ALL = CallRules(BOB, NUMBER, BOB, NUMBER, 20, (BOB, NUMBER), do_not_disturb=True, callers={EVERYBODY: CallerRule.BLOCK})


def test_rules_are_the_same_after_json() -> None:
    assert rules_from(ALL.as_json()) == ALL
    assert (rules_from({}), NO_RULES.as_json()) == (NO_RULES, {})
    assert set(ALL.names) >= {BOB, NUMBER, EVERYBODY}


@pytest.mark.parametrize(
    "given",
    [
        {"ring_s": -1},
        {"ring_s": LONGEST_RING_S + 1},
        {"ring_s": True},
        {"ring_s": "20"},
        {"busy": 1},
        {"also": BOB},
        {"also": [1]},
        {"callers": {BOB: 1}},
    ],
)
def test_json_that_is_no_rule_is_an_error(given: dict[str, object]) -> None:
    with pytest.raises((ValueError, TypeError)):
        rules_from(given)


def test_what_a_later_release_has_written_is_passed_over_or_blocks() -> None:
    read = rules_from({"colour": "red", "ring_s": LONGEST_RING_S, "callers": {BOB: "greet"}, "also": [BOB] * 20})
    assert (read.ring_s, read.callers) == (LONGEST_RING_S, {BOB: CallerRule.BLOCK})
    assert len(read.also) == MOST_TARGETS


@pytest.mark.parametrize(
    ("key", "caller"),
    [
        (BOB, BOB),
        (BOB, "sip:BOB@Example.test"),
        (BOB, "sip:b%6fb@example.test"),
        ("@partner.test", "sip:carol@partner.test"),
        ("@partner.test", "sip:partner.test"),  # a partner that withholds who calls
        (NUMBER, "sip:+49301234@gw.example.test"),
        (NUMBER, "sip:+49-30-1234;isub=1@example.test"),
        (ANONYMOUS, ANONYMOUS),
        (EVERYBODY, ANONYMOUS),
        (EVERYBODY, BOB),
    ],
)
def test_caller_is_known_in_each_spelling(key: str, caller: str) -> None:
    rules = CallRules(callers={key: CallerRule.BLOCK})
    assert rules.rule_for(caller) is CallerRule.BLOCK
    assert rules.rule_for("sip:dora@elsewhere.test") is (CallerRule.BLOCK if key == EVERYBODY else None)
    assert NO_RULES.rule_for(caller) is None


def test_nearest_rule_counts_and_only_a_name_lets_a_caller_through() -> None:
    rules = CallRules(callers={BOB: CallerRule.ALLOW, "@example.test": CallerRule.BLOCK, EVERYBODY: CallerRule.ALLOW})
    assert rules.rule_for(BOB) is rules.rule_for("sip:dora@elsewhere.test") is CallerRule.ALLOW
    assert rules.rule_for("sip:dora@example.test") is CallerRule.BLOCK
    assert (rules.lets_through(BOB), rules.lets_through("sip:dora@elsewhere.test")) == (True, False)
