"""A contact is what a phone has sent, within bounds: what no screen could show is refused."""

from __future__ import annotations

import pytest

from sipmesh.errors import OperatorError
from sipmesh.storage.users.contact import LONGEST_NAME, MOST_GROUPS, MOST_NUMBERS, contact_of_json, made_contact


def test_address_is_bare_and_numbers_lose_what_separates_digits() -> None:
    made = made_contact(
        "c1", " Bob ", "sip:BOB@Example.test", ["+49 (30) 12-34", "ext. 5", "112"], ["Work", " ", "Work"]
    )
    assert (made.name, made.address, made.uid) == ("Bob", "bob@example.test", "c1")
    assert (made.numbers, made.groups) == (("+49301234", "112"), ("Work",))
    assert contact_of_json("c1", made.as_json()) == made


def test_bounds_are_met_at_their_edge() -> None:
    numbers, groups = [str(n) for n in range(MOST_NUMBERS + 1)], [f"g{n}" for n in range(MOST_GROUPS + 1)]
    made = made_contact("c1", "x" * LONGEST_NAME, "", numbers, groups)
    assert (len(made.name), len(made.numbers), len(made.groups)) == (LONGEST_NAME, MOST_NUMBERS, MOST_GROUPS)
    left = iter(groups)
    made_contact("c1", "x", "", (), left)
    assert list(left) == groups[MOST_GROUPS:]
    with pytest.raises(OperatorError, match="more than"):
        made_contact("c1", "x" * (LONGEST_NAME + 1), "", (), ())


@pytest.mark.parametrize("contact_id", ["", "../x", "a/b", ".x", "x" * 101, "a b", "\u00e4"])
def test_ids_that_no_url_should_have_are_refused(contact_id: str) -> None:
    with pytest.raises(OperatorError):
        made_contact(contact_id, "Bob", "", (), ())


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"name": "  "},
        {"name": "a\nb"},
        {"name": "a\u202eb"},
        {"name": 7},
        {"name": "x", "numbers": "112"},
        {"name": "x", "groups": [7]},
        {"name": "x", "user": "bob"},
        {"address": "bob"},
        {"address": "bob@example.test?x=y:z@"},
        {"address": f"{'b' * 250}@example.test"},
    ],
)
def test_what_the_page_may_not_send_is_refused(given: dict[str, object]) -> None:
    with pytest.raises(OperatorError):
        contact_of_json("c1", given)
