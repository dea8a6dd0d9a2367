"""Which application has an address or a number."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sipmesh.routing.numbers.application_table import ApplicationRoute, ApplicationTable

ECHO, PBX = "sip:echo@example.test", "sip:pbx@example.test"
TABLE = ApplicationTable(
    (
        ApplicationRoute("echo.example.test", "pool1.example.test", frozenset({ECHO}), ("+4930123",), public=False),
        ApplicationRoute("pbx.example.test", "pool1.example.test", frozenset({PBX}), ("+49301",), public=True),
    )
)


@pytest.mark.parametrize(
    ("aor", "number", "pool"),
    [
        (ECHO, "", "echo.example.test"),
        (PBX, "", "pbx.example.test"),
        ("sip:+49301234@example.test", "+49301234", "echo.example.test"),
        ("sip:+49301999@example.test", "+49301999", "pbx.example.test"),
        ("sip:+4940@example.test", "+49401234567", None),
        ("sip:echo@other.test", "", None),
        ("sip:030123@example.test", "", None),
    ],
)
def test_address_or_longest_first_digits_find_the_application(aor: str, number: str, pool: str | None) -> None:
    found = TABLE.at(aor, number)
    assert (found.pool if found else None) == pool


def test_topology_without_applications_has_none() -> None:
    assert ApplicationTable(()).at(ECHO, "+49301234567") is None


def test_screener_of_a_user_comes_before_that_of_the_domain_and_counts_in_its_pool() -> None:
    """Another pool has none: its users are screened by the applications behind it."""
    all_users = ApplicationRoute(
        "all.example.test", "pool1.example.test", frozenset(), (), public=False, screens=frozenset({"example.test"})
    )
    one = replace(all_users, pool="one.example.test", screens=frozenset({"Bob@example.test"}))
    table = ApplicationTable((one, all_users))
    assert table.screen
    assert table.screener("sip:bob@example.test", "pool1.example.test") == one
    assert table.screener("sip:alice@example.test", "pool1.example.test") == all_users
    assert table.screener("sip:bob@example.test", "pool2.example.test") is None
    assert table.screener("sip:bob@other.test", "pool1.example.test") is None
    assert not TABLE.screen
