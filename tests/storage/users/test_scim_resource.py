"""What a resource is."""

from __future__ import annotations

from sipmesh.storage.users.scim_resource import ScimKind


def test_kinds_are_the_resource_types() -> None:
    assert [str(kind) for kind in ScimKind] == ["User", "Group"]
