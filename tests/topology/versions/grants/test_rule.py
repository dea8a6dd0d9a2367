"""A rule makes one grant of each value that it finds, and a key that gives nothing makes none."""

from __future__ import annotations

from typing import Any

from sipmesh.topology.document.operators.console_role import ConsoleRole
from sipmesh.topology.versions.grants.grant import Gain, Grant
from sipmesh.topology.versions.grants.key_changes import KeyChange
from sipmesh.topology.versions.grants.rule import NoGrant, Rule

NOTHING: Any = None
CHANGE = KeyChange("pools.speaks_for", "bot", (), ("a.test", "b.test"), (None, None), NOTHING)


def test_each_value_that_is_found_is_one_grant() -> None:
    rule = Rule(Gain.SIGN, "more", "the application", "{place} asserts {value}", lambda change: change.new)
    officer = ConsoleRole.SECURITY_OFFICER
    assert list(rule.grants(CHANGE)) == [
        Grant("pools.speaks_for", Gain.SIGN, "the application", f"bot asserts {domain}", officer)
        for domain in ("a.test", "b.test")
    ]


def test_key_that_gives_nothing_makes_no_grant() -> None:
    assert list(NoGrant("orders servers").grants(CHANGE)) == []
