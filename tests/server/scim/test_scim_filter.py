"""Filters that the database answers."""

from __future__ import annotations

import pytest
from scim2_models import InvalidFilterException

from sipmesh.server.scim.scim_filter import LONGEST, conditions, spellings
from sipmesh.storage.users.scim_resource import ScimKind

DOMAINS = ("example.test", "second.test")


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("", 1),
        ('userName eq "a"', 2),
        ('USERNAME Eq "a" and externalId eq "b"', 3),
        ('(((id eq "a")))', 2),
        ('id eq "g" and members eq "u"', 3),
        ('members.value eq "u"', 2),
    ],
)
def test_equal_values_are_conditions(text: str, count: int) -> None:
    assert len(conditions((ScimKind.USER,), text, DOMAINS)) == count


@pytest.mark.parametrize(
    "text",
    [
        "userName",
        "userName eq",
        'userName sw "a"',
        "userName pr",
        'not (userName eq "a")',
        'userName eq "a" or id eq "b"',
        'password eq "a"',
        "active eq true",
        'emails[type eq "work"]',
        f'userName eq "{"a" * LONGEST}"',
    ],
)
def test_other_filters_are_refused(text: str) -> None:
    with pytest.raises(InvalidFilterException):
        conditions((ScimKind.USER,), text, DOMAINS)


@pytest.mark.parametrize(
    ("name", "same"),
    [
        ("Alice", ("alice", "alice@example.test")),
        ("alice@Example.test", ("alice", "alice@example.test")),
        ("alice@second.test", ("alice@second.test",)),
        ("@", ("@",)),
    ],
)
def test_name_without_a_domain_is_one_in_the_first_domain(name: str, same: tuple[str, ...]) -> None:
    assert spellings(name, DOMAINS) == same
