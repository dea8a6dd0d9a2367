"""`sipmesh directory plan` and `apply`, with a real OpenLDAP."""

from __future__ import annotations

import pytest

from sipmesh.storage.management_db import ManagementDb
from support.directory_world import DirectoryWorld

pytestmark = pytest.mark.peer("openldap")


def test_plan_changes_nothing_and_apply_takes_it(world: DirectoryWorld) -> None:
    for _ in range(2):
        planned = world.type("directory", "plan", "--json")
        assert (planned.code, [(one["kind"], one["user"]) for one in planned.json["steps"]]) == (
            0,
            [("add", "carol@example.test")],
        )
        assert "is a local user" in planned.json["conflicts"][0]["reason"]
        assert "no telephone number" in planned.json["faults"][0]
    assert set(world.users()) == {"alice", "bob"}
    assert "add" in world.type("directory", "plan").out
    applied = world.type("directory", "apply")
    assert (applied.code, "1 add" in applied.out, "sipmesh directory adopt alice" in applied.out) == (0, True, True)
    assert set(world.users()) == {"alice", "bob", "carol"}
    management_db = ManagementDb(world.folder)
    (line,) = [line for line in management_db.audit.readable() if line.about.get("directory") == "add"]
    management_db.close()
    assert line.about["user"] == "carol@example.test"
