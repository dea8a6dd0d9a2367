"""The table of links: one entry for one user."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from sqlalchemy.exc import IntegrityError

from sipmesh.storage.users.directory_tables import LINKS
from sipmesh.storage.users.user_database import Users
from storage.databases import shell

ROW = {
    "id": "1",
    "aor": "sip:alice@example.test",
    "dn": "",
    "name": "",
    "mail": "",
    "aliases": "[]",
    "ended_by": "",
    "since": datetime(2026, 12, 1, tzinfo=UTC),
    "is_loss": False,
    "to_revoke": "",
}


@pytest.mark.parametrize("same", ["id", "aor"])
def test_no_two_links_have_one_entry_or_one_user(url: str, same: str) -> None:
    Users(url).close()
    other = {**ROW, "id": "2", "aor": "sip:bob@example.test"}
    with shell(url) as db:
        db.execute(LINKS.insert().values(ROW))
    with pytest.raises(IntegrityError), shell(url) as db:
        db.execute(LINKS.insert().values({**other, same: ROW[same]}))
    with shell(url) as db:
        db.execute(LINKS.insert().values(other))
