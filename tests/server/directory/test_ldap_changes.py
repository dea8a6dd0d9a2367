"""Which servers tell changes, and by which filters."""

from __future__ import annotations

from pathlib import Path

import pytest

from sipmesh.server.directory.directory_mirror import DirectoryMirror
from sipmesh.storage.users.directory_entry import StepKind
from support.directory_world import directory_world
from support.openldap import SYNCPROV

pytestmark = pytest.mark.peer("openldap")


@pytest.mark.parametrize(
    ("overlay", "search_filter", "expected"),
    [
        (SYNCPROV, "(objectClass=person)", (1, 2)),
        (SYNCPROV, "(|(objectClass=person)(memberOf=cn=x))", (3, 0)),
        ("overlay syncprov", "(objectClass=person)", (2, 1)),
        ("", "(objectClass=person)", (3, 0)),
    ],
)
def test_server_that_does_not_tell_changes_is_read_as_a_whole(
    tmp_path: Path, overlay: str, search_filter: str, expected: tuple[int, int]
) -> None:
    """It has no log of changes (one answer without a change is read), or no overlay; or the filter has a computed attribute."""
    with directory_world(tmp_path, overlay=overlay) as world:
        mirror, dn = DirectoryMirror(), world.ldap.person("carol")
        world.follow(mirror, filter=search_filter)
        world.follow(mirror, filter=search_filter)
        world.ldap.change(dn, displayName="Caroline")
        assert dict(world.follow(mirror, filter=search_filter).steps) == {StepKind.UPDATE: 1}
        assert (mirror.whole, mirror.partial) == expected
