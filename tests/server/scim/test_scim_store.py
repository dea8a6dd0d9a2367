"""Resources as rows, and what groups give."""

from __future__ import annotations

from datetime import UTC, datetime

from sipmesh.server.scim.resources import User
from sipmesh.server.scim.scim_store import etag, resource_for, resource_of, row_of
from sipmesh.storage.users.scim_resource import ScimKind

NOW = datetime(2026, 12, 1, tzinfo=UTC)
LATER = datetime(2026, 12, 2, tzinfo=UTC)


def test_row_is_the_resource_and_its_version_rises() -> None:
    row = row_of(ScimKind.USER, User(user_name="Carol", external_id="x", active=True), None, "1", NOW)
    assert (row.name, row.external_id, row.version) == ("carol", "x", 1)
    found = resource_of(row, "https://m")
    assert isinstance(found, User)
    assert (found.id, found.user_name, found.active, str(found.meta and found.meta.location)) == (
        "1",
        "Carol",
        True,
        "https://m/scim/v2/Users/1",
    )
    again = row_of(ScimKind.USER, User(user_name="Caro"), row, "2", LATER)
    assert (again.id, again.version, again.created, again.changed) == ("1", 2, NOW, LATER)
    assert (etag(row), etag(again)) == ('W/"1"', 'W/"2"')


def test_local_user_gets_a_resource_with_the_whole_name() -> None:
    row, entry = resource_for("sip:alice@example.test", NOW)
    assert (row.name, entry.id, entry.aor) == ("alice@example.test", row.id, "sip:alice@example.test")
