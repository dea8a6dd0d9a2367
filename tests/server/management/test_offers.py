"""What management offers to each server: versions, CRLs, certificates and users. No network: the test passes the octets."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest
from cryptography import x509

from sipmesh.errors import OperatorError
from sipmesh.pki.crl.builder import Reason
from sipmesh.storage.users.user_database import Users
from support.control_plane import Plane
from support.managed import MGMT, Managed
from support.network import EDGE, FE1, FE2, POOL, POOL2
from support.running import on_jumping_loop, on_loop


@on_jumping_loop
async def test_reconnected_server_gets_what_it_has_missed(managed: Managed) -> None:
    with Plane(managed) as plane:
        plane.connect_all()
        plane.disconnect(MGMT, FE1, "the cable is out")
        await plane.publish()
        assert plane.number(FE1) == 1
        await asyncio.sleep(1)
        plane.connect(MGMT, FE1)
        assert plane.number(FE1) == plane.number(EDGE) == 2


@on_loop
async def test_server_gets_the_users_of_its_pool_and_later_changes(managed: Managed) -> None:
    with Plane(managed) as plane:
        await plane.controller.refresh_users()
        plane.connect_all()
        host = plane.hosts[FE1]
        assert host.users is not None
        assert set(host.users.verifiers) == {"sip:alice@example.test", "sip:bob@example.test"}
        plane.users.add("dora@example.test", "dora-secret", pool=POOL2)
        await plane.controller.refresh_users()
        plane.exchange()
        assert host.users.homes == {"sip:dora@example.test": POOL2}
        assert host.number == plane.users.number
        assert plane.hosts[EDGE].users is None


@on_loop
async def test_backup_pool_gets_the_users_of_the_other_pool_with_the_version_that_names_it(managed: Managed) -> None:
    """And loses them with the version that does not. Only the signed topology says so: another pool gets none."""

    def paired(document: dict[str, Any]) -> None:
        next(pool for pool in document["pools"] if pool["name"] == POOL2)["backup_pool"] = POOL

    def alone(document: dict[str, Any]) -> None:
        del next(pool for pool in document["pools"] if pool["name"] == POOL2)["backup_pool"]

    with Plane(managed) as plane:
        await plane.controller.refresh_users()
        plane.connect_all()
        plane.users.add("dora@example.test", "dora-secret", pool=POOL2)
        host, known = plane.hosts[FE1], list[tuple[set[str], object]]()
        for change in (None, paired, alone):
            await plane.publish(change)
            await plane.controller.refresh_users()
            await plane.settle()
            assert host.users is not None
            known.append((set(host.users.backups), host.users.homes))
        dora = "sip:dora@example.test"
        assert known == [(set(), {dora: POOL2}), ({dora}, {dora: POOL2}), (set(), {dora: POOL2})]


@on_jumping_loop
async def test_revocation_is_pushed_before_its_crl(managed: Managed) -> None:
    with Plane(managed) as plane:
        plane.connect_all()
        serial = x509.load_pem_x509_certificate(managed.credentials(FE2)[0].read_bytes()).serial_number
        ca = managed.organisation.ca
        ca.revoke(serial, Reason.KEY_COMPROMISE, datetime.now(UTC))
        named = (ca.issuing.subject.public_bytes(), serial)
        plane.controller.crls_changed(frozenset({named}))
        plane.exchange()
        for name in (FE1, EDGE):
            assert plane.hosts[name].revoked == {named}
            assert (managed.folder(name) / "ca/issuing.crl") in plane.hosts[name].looked


@on_loop
async def test_unreachable_user_database_stops_no_other_work(managed: Managed) -> None:
    with Plane(managed, FE1) as plane:
        file = plane.hosts[MGMT].view.loaded.users_file
        assert file is not None
        plane.users.close()
        file.rename(file.with_suffix(".away"))
        file.mkdir()
        await plane.controller.refresh_users()
        assert list(plane.hosts[MGMT].told.events("user database cannot be read: the known users stay in force"))
        assert (await plane.publish(force=True))["version"] == 2


@on_loop
async def test_users_that_could_not_be_read_are_sent_later(managed: Managed, monkeypatch: pytest.MonkeyPatch) -> None:
    """The database goes away after its changes were seen: nothing may be lost by that."""
    with Plane(managed, FE1) as plane:
        await plane.controller.refresh_users()

        def away(*_: object, **__: object) -> None:
            raise OperatorError("the database has gone")

        with monkeypatch.context() as while_away:
            while_away.setattr(Users, "documents", away)
            plane.connect(MGMT, FE1)
            assert plane.hosts[FE1].users is None
            assert [line["pool"] for line in plane.hosts[MGMT].told.events("users not sent yet")] == [POOL]
        await plane.controller.refresh_users()
        plane.exchange()
        assert plane.hosts[FE1].users is not None


@on_jumping_loop
async def test_revocation_that_cannot_be_signed_follows_with_the_crl(managed: Managed) -> None:
    with Plane(managed, FE1) as plane:
        plane.connect(MGMT, FE1)
        managed.credentials(f"{MGMT}.signer")[1].unlink()
        plane.controller.crls_changed(frozenset({(b"issuer", 1)}))
        plane.exchange()
        assert plane.hosts[FE1].revoked == set()
        assert list(plane.hosts[MGMT].told.events("revocations cannot be pushed: servers receive them with the CRL"))
