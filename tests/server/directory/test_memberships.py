"""Members of groups in groups, also in loops."""

from __future__ import annotations

import pytest

from sipmesh.errors import OperatorError
from sipmesh.server.directory.memberships import members_of


def test_members_of_groups_in_a_group_count() -> None:
    members = {"all": {"cn=berlin", "a"}, "cn=berlin": {"b", "cn=desk"}, "cn=desk": {"c"}, "other": {"d"}}
    assert members_of("all", members) == {"a", "b", "c", "cn=berlin", "cn=desk"}


def test_ten_thousand_groups_in_a_loop_are_each_looked_at_once() -> None:
    looked: list[str] = []

    class Counting(dict[str, set[str]]):
        def get(self, key: str, default: object = None) -> object:  # type: ignore[override]
            looked.append(key)
            return super().get(key, default)

    count = 10_000
    members = Counting({f"g{n}": {f"g{(n + 1) % count}", f"g{(n * 7) % count}", f"u{n}"} for n in range(count)})
    found = members_of("g0", members)
    assert (len(found), len(looked)) == (2 * count, count + 1)


def test_group_that_is_gone_is_an_error() -> None:
    with pytest.raises(OperatorError, match="no group cn=gone"):
        members_of("cn=gone", {"cn=here": {"a"}})
