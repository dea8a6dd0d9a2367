"""`sipmesh management move`: an operator moves the data of management to PostgreSQL."""

from __future__ import annotations

import pytest

from cli.world import MGMT, Organisation
from sipmesh.database.shared import SharedDatabase
from support.postgres import PASSWORD

pytestmark = pytest.mark.peer("postgresql")


@pytest.mark.wide
def test_moved_management_publishes_and_revokes_as_before(organisation: Organisation, postgres_url: str) -> None:
    moved = organisation.type("management", "move", "-", typed=f"{postgres_url}\n")
    assert moved.code == 0, moved.err
    shown = [organisation.type(*command) for command in (("topology", "history"), ("audit",), ("audit", "verify"))]
    shown += [organisation.type("topology", "publish", "-m", "at rest"), organisation.type("ca", "status")]
    organisation.serve(MGMT)
    shown += [organisation.type("topology", "publish", "-m", "running"), organisation.type("user", "list")]
    shown += [organisation.type("ca", "crl"), organisation.type("audit", "verify")]
    again = organisation.type("management", "move", "-", typed=f"{postgres_url}\n")
    assert (again.code, "stop it" in again.err) == (1, True)
    for result in (moved, again, *shown):
        assert PASSWORD not in result.out + result.err
    assert [result.err for result in shown if result.err] == []
    assert PASSWORD not in "".join(log.read_text() for log in organisation.folder.glob("*.log"))


def test_other_urls_are_refused(organisation: Organisation) -> None:
    for url in ("sqlite:///x.db", "postgresql://x/y", ""):
        refused = organisation.type("management", "move", "-", typed=f"{url}\n")
        assert (refused.code, "names no PostgreSQL database" in refused.err) == (1, True)
    assert SharedDatabase.find(organisation.folder) is None
