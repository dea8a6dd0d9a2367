"""What SCIM clients have written is read as a directory is."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sipmesh.server.scim.scim_source import SCIM, ScimSource
from sipmesh.storage.users.user_database import Users
from support.managed import build_published

NOW = datetime(2026, 12, 1, tzinfo=UTC)


def test_adopted_user_is_an_entry(tmp_path: Path) -> None:
    loaded = build_published(tmp_path / "o").load()
    users = Users(loaded.users_url, in_memory=False)
    source: Any = ScimSource(loaded, users)
    entry, store = source.made_for("sip:alice@example.test", NOW)
    with users.locked() as db:
        store(db)
    answer, server = source.read(NOW)
    assert ([one.aor for one in answer.entries], server) == ([entry.aor], SCIM)
    assert source.read_entry("alice@example.test", NOW)[0].entries == answer.entries
    assert not source.read_entry("bob@example.test", NOW)[0].entries
    assert source.read_entry("bob@example.test", NOW, entry.id)[0].entries == answer.entries
    users.close()
