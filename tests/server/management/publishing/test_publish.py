"""Every way to publish passes the same checks."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from sipmesh.errors import OperatorError
from sipmesh.server.management.publishing import publish as publishing
from sipmesh.server.management.publishing.offline_publish import block_at_rest, publish_at_rest, publish_first
from sipmesh.server.management.publishing.publish import OF_HOST, must_fit
from sipmesh.server.management.publishing.publisher import Publisher
from sipmesh.server.management.publishing.relocation import publish_moved
from sipmesh.server.management.server_reports import ServerReports
from sipmesh.server.replication.crl_store import LARGEST_GIVEN
from sipmesh.server.replication.document_store import DocumentStore
from sipmesh.server.replication.published_version import PublishedVersion
from sipmesh.server.replication.server_status import ServerStatus
from sipmesh.server.replication.topology_source import published_in
from sipmesh.storage.audit_act import AuditAct
from sipmesh.storage.management_db import ManagementDb
from sipmesh.storage.users.user_database import Users
from sipmesh.topology.view import ServerView, view
from support.managed import MGMT, build_managed
from support.telling import Told
from support.tiers import wide_after

ADA, AT = "ada (1)", datetime.now(UTC)


@dataclass
class Desk:
    """A management server in *folder* that applies nothing; *applied* records the versions to apply."""

    folder: Path
    applied: list[int] = field(default_factory=list)

    @property
    def view(self) -> ServerView:
        """The newest version, as the management server sees it."""
        loaded = published_in(self.folder)
        assert loaded is not None
        return view(loaded, MGMT)

    async def apply(self, number: int, _octets: int) -> list[str]:
        """Record that a version has to be in force, and accept it."""
        self.applied.append(number)
        versions = self.versions
        versions.accept(versions.management_db.history.get(number), versions.load(), datetime.now(UTC))
        return ["a-link"]

    @property
    def versions(self) -> PublishedVersion:
        """What this server has accepted."""
        return PublishedVersion(ManagementDb(self.folder), DocumentStore(self.folder, MGMT))

    @property
    def publisher(self) -> Publisher:
        """Return the publisher of this server."""
        users, reports = Users(self.view.loaded.users_url), ServerReports()
        status, told = ServerStatus(number=1), Told()
        return Publisher(self, lambda: status, self.versions, users, reports, self.apply, told.log)

    async def publish_draft(self) -> object:
        """Publish the draft as an operator does: plan, then publish."""
        plan = await self.publisher.plan()
        return await self.publisher.publish(ADA, "why", plan.base, plan.digest, force=False, role=OF_HOST)

    @property
    def head(self) -> int:
        """The number of the newest version, 0 if nothing was published."""
        head = ManagementDb(self.folder).history.head()
        return head.number if head is not None else 0


@pytest.fixture(name="unpublished", scope="module")
def _unpublished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_managed(tmp_path_factory.mktemp("u") / "o").folder


@pytest.fixture(name="desk")
def _desk(unpublished: Path, tmp_path: Path) -> Desk:
    """Version 1 is published; every test has its own copy."""
    folder = tmp_path / "o"
    shutil.copytree(unpublished, folder)
    publish_first(folder / "topology.yaml", ADA, "it begins", AT)
    return Desk(folder)


def tell(event: str, *, servers: str, why: str) -> None:
    """Fail: no server is removed in these tests."""
    raise AssertionError((event, servers, why))


WAYS: dict[str, Callable[[Desk], object]] = {
    "publish": lambda desk: asyncio.run(desk.publish_draft()),
    "rollback": lambda desk: asyncio.run(desk.publisher.rollback(ADA, "why", 1, 1, force=False, role=OF_HOST)),
    "block": lambda desk: asyncio.run(desk.publisher.block(ADA, "evil.test", OF_HOST)),
    "publish at rest": lambda desk: publish_at_rest(
        desk.folder / "topology.yaml", ADA, "why", AT, tell, base=1, digest="", force=False
    ),
    "block at rest": lambda desk: block_at_rest(desk.folder, "evil.test", ADA, AT, tell),
    "relocation": lambda desk: publish_moved(desk.folder, "127.0.0.9", ADA, AT),
}


@pytest.mark.parametrize("way", wide_after(3, WAYS))
def test_version_that_is_too_large_is_refused_by_each_way_to_publish(
    desk: Desk, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publishing, "LARGEST_GIVEN", 1000)
    with pytest.raises(OperatorError, match="octets; servers accept at most 1000"):
        WAYS[way](desk)
    assert (desk.head, desk.applied) == (1, [])


@pytest.mark.parametrize("way", wide_after(3, WAYS))
def test_version_within_the_size_limit_is_published_by_each_way(desk: Desk, way: str) -> None:
    """The control of the test above."""
    WAYS[way](desk)
    assert desk.head == 2


def test_first_version_that_is_too_large_is_refused(
    unpublished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(unpublished, tmp_path / "o")
    monkeypatch.setattr(publishing, "LARGEST_GIVEN", 1000)
    with pytest.raises(OperatorError, match="octets; servers accept at most 1000"):
        publish_first(tmp_path / "o" / "topology.yaml", ADA, "it begins", AT)
    assert Desk(tmp_path / "o").head == 0


def test_largest_document_is_accepted_and_one_octet_more_is_not() -> None:
    assert must_fit(bytes(LARGEST_GIVEN))
    with pytest.raises(OperatorError, match=f"{LARGEST_GIVEN + 1} octets"):
        must_fit(bytes(LARGEST_GIVEN + 1))


@pytest.mark.parametrize("way", wide_after(2, ["publish", "rollback", "block", "publish at rest", "block at rest"]))
def test_refused_attempt_is_a_line_in_the_audit_log(desk: Desk, way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publishing, "LARGEST_GIVEN", 1000)
    with pytest.raises(OperatorError):
        WAYS[way](desk)
    last = ManagementDb(desk.folder).audit.last()
    assert last is not None
    assert (last.act, last.who) == (AuditAct.REFUSED, ADA)


def test_only_a_running_server_puts_a_version_in_force(desk: Desk) -> None:
    WAYS["publish"](desk)
    assert desk.applied == [2]


def test_draft_that_no_version_could_follow_is_refused_at_rest_too(desk: Desk) -> None:
    """Without the CRL of our CA, no server would accept a later version. Control: the same draft with the CRL."""
    file = desk.folder / "topology.yaml"
    draft = file.read_text()
    file.write_text(without_the_crl(draft))
    with pytest.raises(OperatorError, match="no version could follow this one"):
        publish_at_rest(file, ADA, "why", AT, tell, base=1, digest="", force=True)
    assert desk.head == 1
    file.write_text(draft)
    publish_at_rest(file, ADA, "why", AT, tell, base=1, digest="", force=True)
    assert desk.head == 2


def without_the_crl(draft: str) -> str:
    document = YAML().load(draft)
    document["authority"]["crls"].remove("ca/issuing.crl")
    made = StringIO()
    YAML().dump(document, made)
    return made.getvalue()
