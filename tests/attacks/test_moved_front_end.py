"""A stolen front end gets no key of the CA by a move into the management pool: a person admits each new manager."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from sipmesh.database.shared import SharedDatabase
from sipmesh.errors import OperatorError, RemoteError
from sipmesh.pki import files
from sipmesh.pki.ca_rotation import CaGenerations
from sipmesh.pki.csr import request_for
from sipmesh.pki.keys.algorithm import OwnKey
from sipmesh.server.management.admission import Admissions, admit
from sipmesh.server.management.enrolment import Enrolment, EnrolmentRequest
from sipmesh.server.management.grantor import Grantor
from sipmesh.server.management.pool.joining import join_pool
from sipmesh.server.replication.renewal import REQUEST
from sipmesh.storage.management_db import ManagementDb
from sipmesh.topology.document.named_files.trust_anchors import read_certificates
from sipmesh.topology.document.operators.console_role import ConsoleRole
from sipmesh.topology.versions.jose import sign
from sipmesh.trust.x509.certificate import fingerprint
from support.managed import MGMT, MGMT2, servers_of
from support.network import FE1, FE2, POOL
from support.pool import MANAGERS, Pool, build_pool
from support.running import on_loop, until

pytestmark = pytest.mark.peer("postgresql")
CA_KEYS = ("ca/root.key", "ca/issuing.key")


@pytest.fixture(name="pool")
def _pool(tmp_path: Path, postgres_url: str) -> Pool:
    organisation, entry = build_pool(tmp_path / "m")
    return Pool.make(organisation, entry, tmp_path, postgres_url)


def move_into_management(document: dict[str, Any]) -> None:
    """FE2 leaves its pool, and becomes a management server with the address and the port that it has."""
    old, new = servers_of(document, POOL), servers_of(document, MANAGERS)
    entry = next(member for member in old if member["name"] == FE2)
    old.remove(entry)
    entry["ports"].pop("client", None)
    new.append(entry)


def sealed_for(pool: Pool, server: str) -> set[str]:
    """The names of the files that the database has for *server*."""
    management_db = ManagementDb(pool.network.organisation.folder)
    found = {row.name for row in management_db.files.since(server, 0)}
    management_db.close()
    return found


def admitted_by(pool: Pool, server: str, certificate: Path) -> str:
    organisation = pool.network.organisation
    digest = fingerprint(read_certificates(certificate)[0])
    given = (organisation.load(), CaGenerations(organisation.folder / "ca"), server, digest, datetime.now(UTC))
    return fingerprint(admit(*given, note=lambda *_, **__: None))


@on_loop
async def test_front_end_in_the_management_pool_gets_nothing_until_it_is_admitted_with_a_new_key(pool: Pool) -> None:
    """The operator's token cannot move it. If a security officer does, its old certificate is not accepted."""
    network = pool.network
    async with network:
        await network.start(MGMT, FE1, FE2)
        await network.in_force(2, FE1, FE2)
        network.edit(move_into_management)
        publisher = pool.controller(MGMT).publisher
        plan = await publisher.plan()
        assert [grant.role for grant in plan.grants if grant.key == "pools.servers"] == [ConsoleRole.SECURITY_OFFICER]
        given = ("otto (API)", "why not", plan.base, plan.digest)
        with pytest.raises(OperatorError, match=f"security-officer: {FE2} becomes a management server"):
            await publisher.publish(*given, force=True, role=ConsoleRole.OPERATOR)
        await publisher.publish(*given, force=True, role=ConsoleRole.SECURITY_OFFICER)
        await until(lambda: FE2 in pool.controller(MGMT)._files.waiting)
        assert any(
            FE2 in fault.what and "not admitted" in fault.what for fault in pool.controller(MGMT).own_faults.of_pool()
        )
        assert sealed_for(pool, FE2) == set()

        certificate, key_file = network.credentials(FE2)  # the thief has both
        with pytest.raises(OperatorError, match="this certificate was issued for another role"):
            admitted_by(pool, FE2, certificate)
        with pytest.raises(RemoteError, match="the leader renews its certificate, or it joins again with a new key"):
            renewal(pool, certificate, key_file)
        own = files.read_key(key_file)
        with pytest.raises(OperatorError, match="its key was in use for another role"):
            admitted_by(pool, FE2, enrolled(pool, own, certificate.with_name("again.pem")))
        assert sealed_for(pool, FE2) == set()

        fresh = enrolled(pool, ec.generate_private_key(ec.SECP256R1()), certificate.with_name("fresh.pem"))
        assert sealed_for(pool, FE2) == set(), "a certificate alone is no admission"
        admitted_by(pool, FE2, fresh)
        await until(lambda: set(CA_KEYS) <= sealed_for(pool, FE2))


def renewal(pool: Pool, certificate: Path, key_file: Path) -> None:
    """Ask for a certificate of the new role, with the key of the old one."""
    folder = pool.network.organisation.folder
    grantor = Grantor(folder / "ca", lambda payload, _kind: payload, lambda *_: None)
    request = request_for(FE2, ec.generate_private_key(ec.SECP256R1()))
    signed = sign(request, REQUEST, read_certificates(certificate), files.read_key(key_file)).decode()
    soon = read_certificates(certificate)[0].not_valid_after_utc - timedelta(hours=1)
    grantor.asked(FE2, signed, pool.network.organisation.load(), soon)


def enrolled(pool: Pool, key: OwnKey, file: Path) -> Path:
    """Let FE2 join with *key*, as `sipmesh join grant` does; returns the file of its certificate."""
    folder = pool.network.organisation.folder
    management_db = ManagementDb(folder)
    enrolment = Enrolment(management_db, CaGenerations(folder / "ca"), folder)
    request = EnrolmentRequest(FE2, key.public_key(), "ada (1)", datetime.now(UTC), timedelta(days=1), replace=True)
    grant = enrolment.enrol(request).grant
    management_db.close()
    file.write_bytes(b"".join(certificate.public_bytes(Encoding.PEM) for certificate in grant.chain))
    return file


@on_loop
async def test_second_management_server_gets_the_ca_once_it_is_admitted_and_not_after_it_has_left(pool: Pool) -> None:
    network = pool.network
    shared = SharedDatabase(pool.url, MGMT2)
    async with network:
        await network.start(MGMT, FE1)
        await network.in_force(2, FE1)
        network.join(MGMT2)
        assert not join_pool(network.folder(MGMT2), shared)
        await until(lambda: MGMT2 in pool.controller(MGMT)._files.waiting)
        assert sealed_for(pool, MGMT2) == set()
        pool.admit()
        await until(lambda: join_pool(network.folder(MGMT2), shared))
        assert all((network.folder(MGMT2) / name).exists() for name in CA_KEYS)

        ca = network.organisation.folder / "ca"
        key = Admissions.read(ca).keys[MGMT2]
        await network.publish(left, force=True)
        assert (MGMT2 in Admissions.read(ca).keys, key in Admissions.read(ca).withdrawn) == (False, True)
        lines = [line.about for line in pool.controller(MGMT).management_db.audit.read() if line.act == "admit"]
        assert [line["server"] for line in lines if "withdrawn" in line] == [MGMT2]


def left(document: dict[str, Any]) -> None:
    servers = servers_of(document, MANAGERS)
    servers[:] = [member for member in servers if member["name"] != MGMT2]
