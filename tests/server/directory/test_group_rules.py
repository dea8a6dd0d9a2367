"""What groups give: the first pool, and each class."""

from __future__ import annotations

from sipmesh.server.directory.group_rules import GivenByGroups, GroupRules

RULES = GroupRules([("a", "pool1"), ("b", "pool2")], [("abroad", ("b", "c")), ("premium", ("c",))])


def test_first_pool_counts_and_each_class() -> None:
    assert RULES.groups == {"a", "b", "c"}
    assert RULES.given({"a", "b"}.__contains__) == GivenByGroups("pool1", ("abroad",))
    assert RULES.given({"c"}.__contains__) == GivenByGroups(None, ("abroad", "premium"))
    assert RULES.given({"d"}.__contains__) == GivenByGroups()
