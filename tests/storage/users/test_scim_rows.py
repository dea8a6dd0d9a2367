"""Groups in groups, each looked at once."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from sipmesh.storage.users import scim_rows
from sipmesh.storage.users.scim_resource import ScimKind, ScimResource
from sipmesh.storage.users.user_database import Users

NOW = datetime(2026, 12, 1, tzinfo=UTC)


@pytest.fixture(name="users")
def _users(tmp_path: Path) -> Iterator[Users]:
    users = Users(tmp_path / "users.db", in_memory=False)
    yield users
    users.close()


def test_groups_in_a_loop_are_each_looked_at_once(users: Users) -> None:
    """A thousand groups, each in the next one, the last in the first, and a user in one of them."""
    count = 1_000
    with users.locked() as db:
        for n in range(count):
            scim_rows.change_members(db, f"g{n}", {f"g{(n + 1) % count}"}, ())
        scim_rows.change_members(db, "g7", {"u"}, ())
        assert len(scim_rows.groups_above(db, ["u"])) == count
        assert scim_rows.members_below(db, ["g9"]) == {"u", *(f"g{n}" for n in range(count))}
        scim_rows.change_members(db, "g7", (), {"u"})
        assert not scim_rows.groups_above(db, ["u"])


def test_removed_resource_is_in_no_group(users: Users) -> None:
    with users.locked() as db:
        for name, kind in (("u", ScimKind.USER), ("g", ScimKind.GROUP)):
            scim_rows.put_resource(db, ScimResource(name, kind, name, "", "{}", 1, NOW, NOW))
        scim_rows.change_members(db, "g", {"u"}, ())
        assert scim_rows.known_of(db, {"u", "g", "x"}) == {"u": ScimKind.USER, "g": ScimKind.GROUP}
        scim_rows.remove_resource(db, "u")
        assert (scim_rows.members_of(db, "g"), scim_rows.resource_of(db, ScimKind.USER, "u")) == ([], None)
        found = scim_rows.resource_of(db, ScimKind.GROUP, "g")
        assert found is not None
        assert found.created == NOW
