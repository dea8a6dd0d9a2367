"""Who may be found, by the scope of the topology."""

from __future__ import annotations

import pytest

from sipmesh.topology.document.user_search import UserSearch, is_in

HOMES = {"sip:a@x.test": "p1", "sip:b@x.test": "p2", "sip:c@y.test": "p1", "sip:d@y.test": None}


@pytest.mark.parametrize(
    ("scope", "found"),
    [
        (UserSearch.ORGANISATION, ["sip:a@x.test", "sip:b@x.test", "sip:c@y.test", "sip:d@y.test"]),
        (UserSearch.DOMAIN, ["sip:a@x.test", "sip:b@x.test"]),
        (UserSearch.POOL, ["sip:a@x.test", "sip:c@y.test"]),
        (UserSearch.OFF, []),
    ],
)
def test_scope_has_these_users(scope: UserSearch, found: list[str]) -> None:
    assert [aor for aor in HOMES if is_in(scope, "sip:a@x.test", aor, HOMES.get)] == found


def test_user_without_a_home_pool_finds_no_user_of_the_own_pool() -> None:
    assert not is_in(UserSearch.POOL, "sip:d@y.test", "sip:d@y.test", HOMES.get)
