"""Rules about watchers: how a watcher is written, and which rule counts."""

from __future__ import annotations

import pytest

from routing.messages import BOB, request
from sipmesh.errors import OperatorError
from sipmesh.routing.events.watcher_rules import EVERYBODY, NO_RULES, is_unseen, read_watcher, rule_for, watcher_key
from sipmesh.topology.document.watching import Watching

CAROL = "sip:carol@partner.test"


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("bob", "sip:bob@example.test"),
        ("Carol@Partner.test", CAROL),
        ("sip:c%61rol@partner.test", CAROL),
        ("@Partner.test", "@partner.test"),
        (" * ", EVERYBODY),
    ],
)
def test_watcher_is_a_user_a_domain_or_all_watchers(text: str, key: str) -> None:
    assert read_watcher(text, "example.test") == key


@pytest.mark.parametrize("text", ["", "@", "@a b", "mailto:carol@partner.test", "<carol@partner.test>"])
def test_other_text_is_refused(text: str) -> None:
    with pytest.raises(OperatorError):
        read_watcher(text, "example.test")


def test_nearest_rule_counts() -> None:
    rules = {CAROL: Watching.ALLOW, "@partner.test": Watching.BLOCK, EVERYBODY: Watching.POLITE_BLOCK}
    assert rule_for(rules, CAROL) is Watching.ALLOW
    assert rule_for(rules, "sip:erin@partner.test") is Watching.BLOCK
    assert rule_for(rules, "sip:bob@example.test") is Watching.POLITE_BLOCK
    assert rule_for({CAROL: Watching.BLOCK}, "sip:bob@example.test") is None
    assert rule_for(NO_RULES, CAROL) is None


@pytest.mark.parametrize("spelling", ["sip:CAROL@partner.test", "sip:%63arol@partner.test", "sip:carol@PARTNER.test"])
def test_another_spelling_avoids_no_rule(spelling: str) -> None:
    assert watcher_key(spelling) == CAROL
    assert rule_for({CAROL: Watching.BLOCK}, spelling) is Watching.BLOCK


@pytest.mark.parametrize(
    ("method", "to_tag", "unseen"),
    [
        ("OPTIONS", "", True),
        ("SUBSCRIBE", "", True),
        ("PING", "", True),
        ("OPTIONS", "2", False),
        ("INVITE", "", False),
        ("MESSAGE", "", False),
        ("REFER", "", False),
    ],
)
def test_request_outside_a_dialog_is_unseen_unless_the_user_is_shown_it(
    method: str, to_tag: str, *, unseen: bool
) -> None:
    assert is_unseen(request(method, BOB, to_tag=to_tag)) is unseen
