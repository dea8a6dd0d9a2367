"""Publishing while no management server runs: the first version, the next one, and a block."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from sipmesh.database.shared import has_management_db
from sipmesh.demo.organisation import Organisation
from sipmesh.errors import OperatorError
from sipmesh.server.management.publishing.offline_publish import Rested, block_at_rest, publish_at_rest, publish_first
from sipmesh.server.replication.published_version import version_of
from sipmesh.server.service import Service
from sipmesh.storage.audit_act import AuditAct
from sipmesh.storage.management_db import ManagementDb
from support.managed import MGMT, Managed, without
from support.network import FE1, FE2, POOL
from support.running import on_loop
from support.telling import Told

WHO = "ada (1)"


def now() -> datetime:
    return datetime.now(UTC)


def at_rest(managed: Managed, *, force: bool = False) -> Rested:
    return publish_at_rest(
        managed.organisation.file,
        WHO,
        "because",
        now(),
        Told().log.error,
        base=kept(managed)[0],
        digest="",
        force=force,
    )


def kept(managed: Managed) -> tuple[int, list[str]]:
    """Return the number of the newest version, and the lines of the audit log."""
    management_db = ManagementDb(managed.folder(MGMT))
    head = management_db.history.head()
    acts = [line.act for line in management_db.audit.read()]
    assert management_db.history.verify() == []
    management_db.close()
    return head.number if head is not None else 0, acts


def test_first_version_has_number_1_and_can_be_made_once(managed_model: Organisation, managed: Managed) -> None:
    assert kept(managed) == (1, [AuditAct.PUBLISH])
    with pytest.raises(OperatorError):
        publish_first(managed.organisation.file, WHO, "again", now())
    assert kept(managed)[0] == 1


def test_first_version_needs_management(example: Organisation) -> None:
    with pytest.raises(OperatorError, match="names no management server"):
        publish_first(example.file, WHO, "because", now())
    assert not has_management_db(example.folder)


def test_next_version_has_the_draft_and_lists_the_changes(managed: Managed) -> None:
    managed.edit(without(FE2))
    rested = at_rest(managed)
    assert (rested.version.number, rested.forced) == (2, [])
    assert any(FE2 in change for change in rested.changes)
    assert kept(managed) == (2, [AuditAct.PUBLISH, AuditAct.PUBLISH, AuditAct.REVOKE])


def lose_a_pool(document: dict[str, Any]) -> None:
    """Remove a pool that is the home of users."""
    document["pools"] = [pool for pool in document["pools"] if pool["name"] != POOL]
    for pool in document["pools"]:
        if "next_hop" in pool:
            pool["next_hop"] = "pool2.example.test"


def test_version_that_breaks_something_needs_force(managed: Managed) -> None:
    managed.edit(lose_a_pool)
    with pytest.raises(OperatorError, match="it would break something"):
        at_rest(managed)
    assert kept(managed) == (1, [AuditAct.PUBLISH, AuditAct.REFUSED])
    rested = at_rest(managed, force=True)
    assert (rested.version.number, bool(rested.forced)) == (2, True)


def test_unreadable_draft_is_not_published(managed: Managed) -> None:
    managed.organisation.file.unlink()
    with pytest.raises(OperatorError, match="there is no draft"):
        at_rest(managed)
    assert kept(managed)[0] == 1


def test_network_without_a_version_has_no_next_one(example: Organisation) -> None:
    with pytest.raises(OperatorError, match="there is no published version yet"):
        publish_at_rest(example.file, WHO, "because", now(), Told().log.error, base=0, digest="", force=False)


def test_unreadable_user_database_does_not_prevent_a_version(managed: Managed) -> None:
    """The version may itself name another database."""
    file = managed.organisation.load().users_file
    assert file is not None
    file.unlink()
    file.mkdir()
    managed.edit(lambda document: document.update(storage={"users": "sqlite:///people.db"}))
    rested = at_rest(managed)
    assert rested.version.number == 2
    assert any("the user database could not be read" in change for change in rested.changes)


def test_block_is_a_separate_version_and_does_not_change_the_draft(managed: Managed) -> None:
    managed.organisation.file.write_text("this draft is not in order")
    rested = block_at_rest(managed.folder(MGMT), "evil.test", WHO, now(), Told().log.error)
    assert rested.version.number == 2
    management_db = ManagementDb(managed.folder(MGMT))
    assert "evil.test" in version_of(management_db, 2).topology
    management_db.close()
    again = block_at_rest(managed.folder(MGMT), "evil.test", WHO, now(), Told().log.error)
    assert (again.version.number, again.changes) == (2, ())


def test_refused_block_is_in_the_audit_log(managed: Managed) -> None:
    with pytest.raises(OperatorError):
        block_at_rest(managed.folder(MGMT), "not a domain", WHO, now(), Told().log.error)
    assert kept(managed) == (1, [AuditAct.PUBLISH, AuditAct.REFUSED])


def test_version_without_a_signer_is_not_published(managed: Managed) -> None:
    managed.credentials(f"{MGMT}.signer")[0].unlink()
    managed.edit(without(FE1))
    with pytest.raises(OperatorError, match="the topology cannot be signed"):
        at_rest(managed)
    assert kept(managed)[0] == 1


@pytest.mark.wide
@on_loop
async def test_command_publishes_no_version_behind_a_server_that_starts(managed: Managed) -> None:
    """The server has read its version, and does not answer yet. Once it serves, the operator publishes through it."""
    service = Service(managed.folder(MGMT) / "topology.yaml", MGMT, Told().log)
    service.read()
    try:
        managed.edit(without(FE2))
        refused = await managed.type("topology", "publish", "-m", "too early", code=1)
        assert "is starting, running or draining" in refused
        assert kept(managed)[0] == 1
    finally:
        await service.close()
    async with managed:
        await managed.start(MGMT)
        await managed.type(
            "topology", "publish", "-m", "in time", "--force", code=1
        )  # not in force at servers that are off
        assert managed.number(MGMT) == 2
