"""A directory is only read: no entry is made for a local user."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from sipmesh.errors import OperatorError
from sipmesh.server.directory.source import LdapSource, Source
from support.directory_world import DirectoryWorld

NOW = datetime(2026, 12, 1, tzinfo=UTC)
pytestmark = pytest.mark.peer("openldap")


def test_directory_is_read_and_makes_no_entry(world: DirectoryWorld) -> None:
    world.ldap.person("carol")
    source = LdapSource(world.loaded())
    assert [entry.aor for entry in source.read(NOW)[0].entries] == ["sip:carol@example.test"]
    assert not source.read_entry("dave@example.test", NOW)[0].entries
    any_source: Source = source
    assert any_source.made_for("sip:alice@example.test", NOW) is None
    world.ldap.stop()
    with pytest.raises(OperatorError):
        source.read(NOW)
