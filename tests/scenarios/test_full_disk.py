"""A real disk without room: what a managed server does at its start, while it runs, and when there is room again."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from sipmesh.demo.organisation import Organisation
from sipmesh.errors import OperatorError
from sipmesh.pki.authority import EnterpriseCa
from sipmesh.pki.file_error import FileError
from sipmesh.server.management.controller import AGAIN_EVERY_S
from sipmesh.trust.role import Role
from support.full_disk import SmallDisk, small_disk
from support.managed import MGMT, Managed
from support.network import EXAMPLE, FE1, copied
from support.running import on_loop, until


def with_another_domain(document: dict[str, Any]) -> None:
    """Change a draft."""
    document["sip_domains"] = [*document["sip_domains"], f"more.{EXAMPLE}"]


@pytest.mark.usefixtures("reserve")
@on_loop
@pytest.mark.wide
async def test_server_works_on_a_full_disk_and_catches_up_by_itself(managed: Managed) -> None:
    """Its link to management stays up, `status` shows the file and the remedy, and it starts without room too."""
    async with managed:
        with small_disk(managed.folder(FE1)) as disk:
            await managed.start(MGMT, FE1)
            await managed.acknowledged(1, FE1)
            await until(lambda: managed.nodes[FE1].users.ready)
            disk.fill()
            await managed.publish(with_another_domain)
            await until(lambda: "not stored" in managed.master.reports.reports[FE1].status.error)
            told = await managed.network()
            [fault] = [fault["what"] for fault in told[FE1]["faults"] if "not stored" in fault["what"]]
            assert "No space left on device; make room on the disk of" in fault
            assert str(managed.folder(FE1)) in fault
            await managed.agent("alice", FE1)
            lines = managed.told[FE1].lines
            assert len([line for line in lines if line["level"] == "error"]) == 1
            assert not [line for line in lines if line["event"] == "link closed" and line["peer"] == MGMT]
            await managed.stop(FE1)
            await managed.start(FE1)
            assert managed.number(FE1) == 1
            disk.empty()
            await managed.acknowledged(2, FE1)
            assert managed.holding(FE1).load().number == 2
            await managed.stop(FE1)


@pytest.mark.usefixtures("reserve")
@on_loop
async def test_server_that_cannot_start_names_the_file_and_the_remedy(managed: Managed) -> None:
    """Without its key there is nothing to sign tokens with; the same server starts when there is room."""
    async with managed:
        with small_disk(managed.folder(FE1)) as disk:
            managed.join(FE1)
            disk.fill()
            key = managed.folder(FE1) / "state" / f"{FE1}.token-key"
            with pytest.raises(FileError) as wrong:
                await managed.start(FE1)
            assert str(wrong.value) == (
                f"{key} cannot be written: No space left on device; make room on the disk of {key.parent}"
            )
            disk.empty()
            await managed.start(FE1)
            await managed.stop(FE1)


@pytest.fixture(name="master")
def _master(managed_model: Organisation, tmp_path: Path) -> Iterator[tuple[SmallDisk, Managed]]:
    """The disk of a management server, and what is on it."""
    with small_disk(tmp_path / "disk", 2 << 20) as disk:
        yield disk, Managed(copied(managed_model, disk.folder / "m"), tmp_path)


@on_loop
async def test_version_is_published_completely_or_not_at_all(master: tuple[SmallDisk, Managed]) -> None:
    """The error names the database and the remedy; the number is not used up, and the audit log verifies."""
    disk, managed = master
    async with managed:
        await managed.start(MGMT)
        managed.edit(with_another_domain)
        disk.fill()
        with pytest.raises(OperatorError, match=r"management\.db cannot be used: .*; make room on the disk of"):
            await managed.publish()
        assert managed.master.newest == managed.number(MGMT) == 1
        disk.empty()
        assert (await managed.publish())["version"] == 2
        assert managed.master.management_db.audit.verify() == []
        await managed.stop(MGMT)


def test_certificate_is_issued_and_recorded_or_not_at_all(master: tuple[SmallDisk, Managed]) -> None:
    disk, managed = master
    authority = EnterpriseCa.open(managed.organisation.folder / "ca")
    before = [record for record in authority.certificates if record.der is not None]
    disk.fill()
    with pytest.raises(OperatorError, match="ledger cannot be used"):
        authority.issue([FE1], Role.FRONT_END, datetime.now(UTC))
    disk.empty()
    assert [record for record in authority.certificates if record.der is not None] == before
    issued = authority.issue([FE1], Role.FRONT_END, datetime.now(UTC))
    assert authority.certificates[-1].serial == issued.certificate.serial_number


def test_crl_that_does_not_fit_leaves_the_old_one_and_is_due_again(master: tuple[SmallDisk, Managed]) -> None:
    """A revocation is in the ledger first: the CRL follows when there is room."""
    disk, managed = master
    authority = EnterpriseCa.open(managed.organisation.folder / "ca")
    file = authority.folder / "issuing.crl"
    before, at = file.read_bytes(), datetime.now(UTC)
    disk.fill()
    with pytest.raises(OperatorError):
        authority.crls.publish(at)
    assert file.read_bytes() == before
    disk.empty()
    authority.crls.publish(at)
    assert file.read_bytes() != before


@on_loop
async def test_leader_without_room_puts_in_force_what_it_has_published_once_there_is_room(managed: Managed) -> None:
    """The database has the version, which the command has confirmed: the servers get it without another publication."""
    async with managed:
        await managed.start(MGMT, FE1)
        await managed.acknowledged(1, FE1)
        own = managed.folder(MGMT) / "servers"
        files = {file.name: file.read_bytes() for file in own.iterdir()}
        own.rename(own.with_name("before"))
        with small_disk(own) as disk:
            for name, content in files.items():
                (own / name).write_bytes(content)
                (own / name).chmod(0o600)
            disk.fill()
            assert (await managed.publish(with_another_domain))["version"] == 2
            assert managed.number(MGMT) == 1
            disk.empty()
            managed.master._gave_again_at = -AGAIN_EVERY_S
            managed.master.tick()
            await managed.acknowledged(2, FE1)
            assert managed.number(MGMT) == 2
            await managed.stop(FE1)
            await managed.stop(MGMT)
