"""Users whom a sync adds: many in one transaction, all or none."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from sipmesh.errors import OperatorError
from sipmesh.storage.users.added_users import A_MICROSECOND
from sipmesh.storage.users.directory_entry import DirectoryEntry, DirectoryStep, StepKind
from sipmesh.storage.users.directory_links import DirectoryLinks
from sipmesh.storage.users.user_database import Users
from sipmesh.storage.users.user_rows import MOST_ALIASES

AT = datetime(2026, 12, 1, tzinfo=UTC)
ALICE, BOB = "sip:alice@example.test", "sip:bob@example.test"


def add(aor: str, *aliases: str) -> DirectoryStep:
    return DirectoryStep(StepKind.ADD, DirectoryEntry(f"id {aor}", aor), None, adds=aliases, pool="pool1")


def test_each_user_has_its_aliases_and_its_pool(url: str) -> None:
    users = Users(url)
    DirectoryLinks(users).take(
        [add(ALICE, "tel:+491", "sip:a@example.test"), add(BOB), add("sip:carol@example.test")], AT
    )
    assert [(user.aor, set(user.aliases), user.pool, user.created) for user in users.list()] == [
        (ALICE, {"tel:+491", "sip:a@example.test"}, "pool1", AT),
        (BOB, set(), "pool1", AT + A_MICROSECOND),
        ("sip:carol@example.test", set(), "pool1", AT + 2 * A_MICROSECOND),
    ]
    DirectoryLinks(users).take([add("sip:dora@example.test")], AT)
    assert users.get("sip:dora@example.test").created == AT + 3 * A_MICROSECOND
    users.close()


@pytest.mark.parametrize(
    ("step", "holder"),
    [
        (add("sip:Bob@example.test"), BOB),
        (add("sip:b@example.test"), BOB),
        (add(ALICE, "sip:bob@example.test"), BOB),
        (add(ALICE, "tel:+492"), BOB),
        (add(ALICE, "tel:+493"), "sip:+493@example.test"),
        (add("sip:+494@example.test", "tel:+494"), "sip:+494@example.test"),
    ],
)
def test_name_that_another_user_has_is_added_to_none(url: str, step: DirectoryStep, holder: str) -> None:
    """By the address in any case of its letters, by an alias, and by a name that is the same telephone number."""
    users = Users(url)
    users.add(BOB, "secret")
    users.add_alias(BOB, "sip:b@example.test")
    users.add_alias(BOB, "+492")
    users.add("sip:+493@example.test", "secret")
    before = users.list()
    with pytest.raises(OperatorError, match=f"name of {holder.replace('+', '.')}"):
        DirectoryLinks(users).take([add("sip:carol@example.test"), step], AT)
    assert users.list() == before
    users.close()


@pytest.mark.parametrize(
    "steps",
    [
        (add(ALICE), add("sip:Alice@example.test")),
        (add(ALICE, "tel:+491"), add(BOB, "tel:+491")),
        (add(ALICE), add(BOB, ALICE)),
        (add(ALICE, BOB), add(BOB)),
        (add("sip:+495@example.test"), add(BOB, "tel:+495")),
    ],
)
def test_two_steps_cannot_add_one_name(url: str, steps: tuple[DirectoryStep, ...]) -> None:
    users = Users(url)
    with pytest.raises(OperatorError, match="name of"):
        DirectoryLinks(users).take(steps, AT)
    assert users.list() == []
    users.close()


@pytest.mark.parametrize("count", [MOST_ALIASES, MOST_ALIASES + 1])
def test_aliases_of_a_user_are_bounded(url: str, count: int) -> None:
    users = Users(url)
    links, step = DirectoryLinks(users), add(ALICE, *(f"tel:+49{number}" for number in range(count)))
    if count > MOST_ALIASES:
        with pytest.raises(OperatorError, match="more than"):
            links.take([step], AT)
    else:
        links.take([step], AT)
    assert [len(user.aliases) for user in users.list()] == ([] if count > MOST_ALIASES else [MOST_ALIASES])
    users.close()
