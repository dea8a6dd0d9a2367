"""Values behind secrets: how long they live, and how many there are."""

from __future__ import annotations

from sipmesh.server.console.access.secret_table import SecretTable, hash_of


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_value_is_found_by_its_secret_alone() -> None:
    table = SecretTable[str](2, 60, Clock())
    secret = table.add("ada")
    assert table.use(secret) == "ada"
    assert table.use(secret + "x") is None
    assert table.use("") is None
    assert table.use(hash_of(secret)) is None


def test_value_that_was_taken_is_gone() -> None:
    table = SecretTable[str](2, 60, Clock())
    secret = table.add("ada")
    assert (table.take(secret), table.take(secret)) == ("ada", None)


def test_value_ends_with_its_lifetime_after_any_use() -> None:
    clock = Clock()
    table = SecretTable[str](2, 60, clock, idle_s=20)
    secret = table.add("ada")
    for _ in range(5):
        clock.now += 11.9
        assert table.use(secret) == "ada"
    clock.now = 60.0
    assert table.use(secret) is None


def test_value_without_use_ends_earlier() -> None:
    clock = Clock()
    table = SecretTable[str](2, 60, clock, idle_s=20)
    secret, other = table.add("ada"), table.add("bob")
    clock.now = 19.9
    assert table.use(secret) == "ada"
    clock.now = 20.0
    assert (table.use(secret), table.use(other)) == ("ada", None)


def test_value_that_was_not_used_for_the_longest_time_makes_room() -> None:
    clock = Clock()
    table = SecretTable[str](2, 60, clock)
    first, second = table.add("ada"), table.add("bob")
    clock.now = 1.0
    table.use(first)
    third = table.add("cyd")
    assert (len(table), table.use(first), table.use(second), table.use(third)) == (2, "ada", None, "cyd")


def test_values_that_have_ended_displace_no_other() -> None:
    clock = Clock()
    table = SecretTable[str](2, 60, clock)
    table.add("ada")
    clock.now = 30.0
    young = table.add("bob")
    clock.now = 61.0
    table.add("cyd")
    assert table.use(young) == "bob"


def test_look_that_does_not_count_keeps_nothing_from_ending() -> None:
    clock = Clock()
    table = SecretTable[str](2, 60, clock, idle_s=20)
    secret = table.add("ada")
    clock.now = 19.0
    assert table.use(secret, counts=False) == "ada"
    clock.now = 20.0
    assert table.use(secret) is None


def test_cleared_table_has_no_value_and_says_how_many_were_valid() -> None:
    clock = Clock()
    table = SecretTable[str](3, 60, clock)
    table.add("late")
    clock.now = 59
    secret = table.add("ada")
    clock.now = 60
    assert (table.clear(), table.use(secret), len(table)) == (1, None, 0)


def test_owner_with_too_many_values_displaces_the_own_oldest() -> None:
    clock = Clock()
    table = SecretTable[str](10, 60, clock, most_of_owner=2)
    other = table.add("bob", "bob")
    secrets = []
    for clock.now in (1.0, 2.0, 3.0):
        secrets.append(table.add("ada", "ada"))
    assert [table.use(secret) for secret in (other, *secrets)] == ["bob", None, "ada", "ada"]


def test_owner_with_the_most_values_makes_room_in_a_full_table() -> None:
    clock = Clock()
    table = SecretTable[str](4, 60, clock, most_of_owner=3)
    other = table.add("bob", "bob")
    secrets = []
    for clock.now in (1.0, 2.0, 3.0):
        secrets.append(table.add("ada", "ada"))
    last = table.add("cyd", "cyd")
    assert [table.use(secret) for secret in (other, *secrets, last)] == ["bob", None, "ada", "ada", "cyd"]
