"""An alias is the name of one user, and servers learn of it without a new login."""

from __future__ import annotations

import pytest

from sipmesh.errors import OperatorError
from sipmesh.storage.users.user_database import Users
from sipmesh.storage.users.user_rows import MOST_ALIASES
from storage.databases import only_sqlite

ALICE = "sip:alice@example.test"
NUMBER, LOCAL = "tel:+4930123", "tel:42;phone-context=example.test"


def test_alias_is_known_to_a_server_after_its_next_look_and_no_link_is_closed(users: Users, server: Users) -> None:
    """The generation stays, so that the logins on live links stay valid."""
    users.add(ALICE, "alice-pw")
    server.refresh()
    before = server.verifier(ALICE)
    assert users.add_alias("alice@example.test", "+49 30 123") == NUMBER
    assert users.add_alias(ALICE, "42") == LOCAL
    assert server.refresh() == {ALICE}
    assert (server.owner(NUMBER), server.owner(LOCAL), tuple(server.aliases(ALICE))) == (ALICE, ALICE, (NUMBER, LOCAL))
    assert server.verifier(ALICE) == before
    assert users.remove_alias(ALICE, "+4930123") == NUMBER
    server.refresh()
    assert (server.owner(NUMBER), tuple(server.aliases(ALICE))) == ("", (LOCAL,))


def test_users_are_listed_with_their_aliases(users: Users, url: str) -> None:
    users.add(ALICE, "alice-pw")
    users.add("bob@example.test", "bob-pw")
    users.add_alias(ALICE, "info")
    assert [one.aliases for one in users.list()] == [("sip:info@example.test",), ()]
    assert users.get(ALICE).aliases == ("sip:info@example.test",)
    later = Users(url)
    assert later.owner("sip:info@example.test") == ALICE
    later.close()


@pytest.mark.parametrize("taken", ["+4930123", "info", "Info@EXAMPLE.test", "bob", "BOB", "77"])
def test_alias_that_is_a_name_of_another_user_is_refused(users: Users, taken: str) -> None:
    users.add(ALICE, "alice-pw")
    users.add("bob@example.test", "bob-pw")
    users.add("77@example.test", "bob-pw")
    users.add_alias(ALICE, "+4930123")
    users.add_alias(ALICE, "info")
    with pytest.raises(OperatorError, match="is already a name of"):
        users.add_alias("bob@example.test", taken)
    assert users.get("bob@example.test").aliases == ()


def test_aliases_of_a_removed_user_are_free_again(users: Users, server: Users) -> None:
    users.add(ALICE, "alice-pw")
    users.add("bob@example.test", "bob-pw")
    users.add_alias(ALICE, "+4930123")
    users.remove(ALICE)
    users.add_alias("bob@example.test", "+4930123")
    server.refresh()
    assert (server.owner(NUMBER), tuple(server.aliases(ALICE))) == ("sip:bob@example.test", ())


def test_alias_of_another_or_of_no_user_cannot_be_removed(users: Users) -> None:
    users.add(ALICE, "alice-pw")
    users.add("bob@example.test", "bob-pw")
    users.add_alias(ALICE, "+4930123")
    for whose in (ALICE, "bob@example.test", "nobody@example.test"):
        with pytest.raises(OperatorError):
            users.remove_alias(whose, "+4930124" if whose == ALICE else "+4930123")
    with pytest.raises(OperatorError):
        users.add_alias("nobody@example.test", "+491")
    assert users.get(ALICE).aliases == (NUMBER,)


@only_sqlite
def test_user_has_as_many_aliases_as_the_limit_at_most(users: Users) -> None:
    users.add(ALICE, "alice-pw")
    for number in range(MOST_ALIASES):
        users.add_alias(ALICE, f"+49{number}")
    with pytest.raises(OperatorError, match="which is the limit"):
        users.add_alias(ALICE, "+4999")
    assert len(users.get(ALICE).aliases) == MOST_ALIASES
