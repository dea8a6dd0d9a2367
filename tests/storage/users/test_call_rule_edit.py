"""Changes of rules: how targets and callers are written, and what no rule can be."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from sipmesh.demo.organisation import Organisation
from sipmesh.errors import OperatorError
from sipmesh.routing.call_rules.call_rules import CallerRule, CallRules
from sipmesh.storage.users.call_rule_edit import CallRuleEdit
from sipmesh.storage.users.user_database import Users
from support.network import BOT, build_example, build_partner, copied, federate

ALICE, BOB = "sip:alice@example.test", "sip:bob@example.test"


@pytest.fixture(name="built", scope="module")
def _built(tmp_path_factory: pytest.TempPathFactory) -> Organisation:
    folder = tmp_path_factory.mktemp("rules")
    example = build_example(folder / "example")
    federate(example, build_partner(folder / "partner"))
    example.document["numbers"] = {
        "country": "49",
        "classes": [
            {"name": "premium", "numbers": ["+49900"]},
            {"name": "abroad", "numbers": ["+1"], "users": ["alice@example.test"]},
        ],
    }
    example.write()
    users = Users(example.load().users_url)
    users.add_alias(BOB, "+49 30 4200")
    users.add_alias(BOB, "42")
    users.add_alias(BOB, "chief")
    users.close()
    return example


@pytest.fixture(name="organisation")
def _organisation(built: Organisation, tmp_path: Path) -> Organisation:
    return copied(built, tmp_path / "example")


def changed(organisation: Organisation, user: str = ALICE, **asked: object) -> CallRules:
    loaded = organisation.load()
    numbers = loaded.topology.numbers.model_copy(update={"emergency": ("112",)})
    users = Users(loaded.users_url)
    try:
        return CallRuleEdit(users, loaded.topology.model_copy(update={"numbers": numbers})).change(user, asked)
    finally:
        users.close()


def test_delegates_are_users_of_ours_and_replace_those_of_before(organisation: Organisation) -> None:
    assert changed(organisation, delegates=("bob",)).delegates == (BOB,)
    for wrong in (("alice",), ("nobody",), ("erin@partner.test",)):
        with pytest.raises(OperatorError):
            changed(organisation, delegates=wrong)
    assert changed(organisation, delegates=("none",)).delegates == ()


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("bob", BOB),
        ("Bob@Example.test", BOB),
        ("sip:bob@example.test", BOB),
        ("chief", BOB),
        ("42", BOB),
        ("+49 30 4200", BOB),
        ("030 4200", BOB),
        ("0049 30-4200", BOB),
        ("+49 (30) 4300", "tel:+49304300"),
        ("0304300", "tel:+49304300"),
        ("+1 202 555 0100", "tel:+12025550100"),
        ("erin@partner.test", "sip:erin@partner.test"),
        (f"mailbox@{BOT}", f"sip:mailbox@{BOT}"),
        ("none", ""),
        ("", ""),
    ],
)
def test_target_is_written_as_it_is_dialled(organisation: Organisation, text: str, target: str) -> None:
    changed(organisation, busy="carol")
    assert changed(organisation, busy=text).busy == target


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("112", "emergency number"),
        ("1 12", "emergency number"),
        ("0900 1234", "of the class premium, which alice@example.test may not call"),
        ("43", "neither an extension nor a whole telephone number"),
        ("dora", "neither a user nor an address of an application"),
        ("x@evil.test", "nothing leads there"),
        ("x@elsewhere.test", "nothing leads there"),
        ("alice", "cannot be forwarded to the user who forwards it"),
        ("mailto:bob@example.test", "is not the address"),
    ],
)
def test_target_to_which_the_user_may_not_forward_is_refused_and_the_rule_before_stays(
    organisation: Organisation, text: str, says: str
) -> None:
    before = changed(organisation, busy="bob", also=["carol"])
    for asked in ({"busy": text}, {"also": ["bob", text]}):
        with pytest.raises(OperatorError, match=says):
            changed(organisation, **asked)
    assert changed(organisation) == before


def test_number_of_a_class_is_refused_to_other_users(organisation: Organisation) -> None:
    with pytest.raises(OperatorError, match="of the class abroad"):
        changed(organisation, BOB, away="+12025550100")


def test_unanswered_calls_ring_for_the_usual_time_unless_the_user_says_for_how_long(organisation: Organisation) -> None:
    assert changed(organisation, no_answer="bob").ring_s == 20
    assert changed(organisation, ring_s=5).ring_s == 5
    for seconds in (4, 181, -1):
        with pytest.raises(OperatorError, match="5 to 180 seconds"):
            changed(organisation, ring_s=seconds)
    assert changed(organisation, no_answer="none", ring_s=0) == CallRules()


def test_at_most_eight_targets_ring_at_the_same_time(organisation: Organisation) -> None:
    numbers = [f"+4930{number}00" for number in range(9)]
    assert len(changed(organisation, also=numbers[:8]).also) == 8
    with pytest.raises(OperatorError, match="8 may"):
        changed(organisation, also=numbers)


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("bob", BOB),
        ("chief", BOB),
        ("+49304200", BOB),
        ("+49 30 4300", "tel:+49304300"),
        ("0304300", "tel:+49304300"),
        ("Erin@Partner.test", "sip:erin@partner.test"),
        ("@Partner.test", "@partner.test"),
        ("anonymous", "anonymous"),
        ("*", "*"),
    ],
)
def test_caller_is_one_of_ours_under_each_name_or_as_written(organisation: Organisation, text: str, key: str) -> None:
    assert changed(organisation, callers={text: "block"}).callers == {key: CallerRule.BLOCK}
    assert changed(organisation, callers={text: "allow", "erik@partner.test": "block"}).callers[key] is CallerRule.ALLOW
    assert key not in changed(organisation, callers={text: "none"}).callers


def test_caller_that_cannot_be_read_and_too_many_of_them_are_refused(organisation: Organisation) -> None:
    with pytest.raises(OperatorError, match="neither an extension nor a whole telephone number"):
        changed(organisation, callers={"43": "block"})
    most = {f"u{number}@partner.test": "block" for number in range(200)}
    assert len(changed(organisation, callers=most).callers) == 200
    with pytest.raises(OperatorError, match="200 is the limit"):
        changed(organisation, callers={"carol@partner.test": "block"})


@pytest.mark.parametrize("rule", ["allow", "block"])
def test_rule_about_a_name_that_no_user_has_is_refused_and_can_be_removed(
    organisation: Organisation, rule: str
) -> None:
    """Otherwise it would be about a later user of the name."""
    with pytest.raises(OperatorError, match=r"bobb@example\.test is neither a user nor an address of an application"):
        changed(organisation, callers={"bobb": rule})
    assert changed(organisation, callers={"bob": rule}).callers == {BOB: CallerRule(rule)}
    assert changed(organisation, callers={"bobb": "none"}).callers == {BOB: CallerRule(rule)}


def test_what_is_not_named_stays(organisation: Organisation) -> None:
    before = changed(organisation, always="bob", do_not_disturb=True)
    assert changed(organisation, do_not_disturb=False) == replace(before, do_not_disturb=False)
    with pytest.raises(OperatorError, match="is not a user"):
        changed(organisation, "nobody@example.test", always="bob")
