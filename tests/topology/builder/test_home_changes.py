"""Users who get another home pool, or none."""

from __future__ import annotations

from sipmesh.topology.builder.home_changes import MOST_EXAMPLES, home_changes
from topology.world import Place

USERS = [
    ("alice@example.test", None),
    ("bob@example.test", "pool2.example.test"),
    ("carol@example.test", "pool1.example.test"),
    ("dave@elsewhere.test", None),
]


def test_equal_topologies_move_no_user(place: Place) -> None:
    assert home_changes(place.load().topology, place.load().topology, USERS) == []


def test_removed_pool_leaves_its_users_without_a_home(place: Place) -> None:
    before = place.load().topology
    place.spoil(("  - name: pool2.example.test\n    role: front-end\n    servers: [fe3.example.test]\n", ""))
    [change] = home_changes(before, place.load().topology, USERS)
    assert str(change) == "1 user (bob@example.test) of pool2.example.test cannot log in any more"


def test_new_first_pool_is_the_home_of_users_without_one(place: Place) -> None:
    before = place.load().topology
    first = "  - {name: pool0.example.test, role: front-end, servers: [fe0.example.test]}\n"
    place.spoil(("pools:\n", f"pools:\n{first}"))
    [change] = home_changes(before, place.load().topology, USERS)
    assert str(change) == (
        "1 user (alice@example.test) get the home pool pool0.example.test instead of pool1.example.test"
    )


def test_users_of_a_removed_domain_are_counted(place: Place) -> None:
    before = place.load().topology
    place.spoil(("[example.test]  # ours", "[example.net]"), ("speaks_for: [example.test]", "speaks_for: []"))
    users = [(f"u{n}@example.test", None) for n in range(MOST_EXAMPLES + 1)]
    [change] = home_changes(before, place.load().topology, users)
    assert (change.after, change.count, len(change.users)) == ("", MOST_EXAMPLES + 1, MOST_EXAMPLES)
    assert ", …)" in str(change)
