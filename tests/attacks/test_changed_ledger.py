"""Who can write to the CA's ledger cannot keep a stolen certificate alive: `sipmesh ca revoke` finds it all the same.

The peer with the stolen key is real, and so are ledger and audit log. The command is typed as an operator does.
"""

from __future__ import annotations

import shutil
import sqlite3
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509

from sipmesh.pki.ledger import FILE
from sipmesh.storage.audit_act import AuditAct
from sipmesh.storage.management_db import ManagementDb
from sipmesh.trust.role import Role
from support.managed import MGMT, Managed, links_between, without
from support.network import EXAMPLE, FE1, FE2
from support.peer import HungUpError, Peer
from support.running import on_loop, until

CHANGES = {
    "row removed": "DELETE FROM certificates WHERE serial = ?",
    "another name": """UPDATE certificates SET der = NULL, names = '["other.example.test"]' WHERE serial = ?""",
    "another serial": "UPDATE certificates SET der = NULL, serial = 'abc' WHERE serial = ?",
    "expired": "UPDATE certificates SET der = NULL, not_after = '2020-01-01T00:00:00+00:00' WHERE serial = ?",
    "certificate removed": "UPDATE certificates SET der = NULL WHERE serial = ?",
}


def serial_of(managed: Managed, name: str) -> str:
    leaf = x509.load_pem_x509_certificate(managed.credentials(name)[0].read_bytes())
    return f"{leaf.serial_number:x}"


def change(managed: Managed, statement: str, serial: str) -> None:
    with sqlite3.connect(managed.organisation.ca.folder / FILE) as db:
        assert db.execute(statement, (serial,)).rowcount == 1


async def greet(peer: Peer) -> None:
    """Send a request; with TLS 1.3 a peer learns only then that its link is refused."""
    await peer.ask(peer.request("OPTIONS", f"sip:{EXAMPLE}"))


@pytest.mark.parametrize("statement", CHANGES.values(), ids=CHANGES.keys())
@pytest.mark.parametrize("known_by", ["file", "audit log"])
@on_loop
async def test_revocation_by_name_finds_a_certificate_that_the_ledger_has_lost(
    managed: Managed, statement: str, known_by: str
) -> None:
    serial, stolen = serial_of(managed, FE2), managed.where / "stolen"
    stolen.mkdir()
    chain, key = (Path(shutil.copy(file, stolen / file.name)) for file in managed.credentials(FE2))
    if known_by == "audit log":
        managed.credentials(FE2)[0].unlink()
        management_db = ManagementDb(managed.folder(MGMT))
        about = {"server": FE2, "serial": serial}
        management_db.audit.append("ada (1)", AuditAct.ISSUE, about, at=datetime.now(UTC))
        management_db.close()
    async with managed:
        await managed.start(MGMT, FE1)
        mate = await managed.peer_with((chain, key), FE1)
        await greet(mate)
        change(managed, statement, serial)
        printed = await managed.type("ca", "revoke", FE2, "--reason", "key-compromise")
        assert f"serial {serial} of" in printed
        await until(lambda: not links_between(managed.nodes[FE1], FE2))
        with pytest.raises(HungUpError):
            await greet(await managed.peer_with((chain, key), FE1))


@on_loop
async def test_certificate_that_nothing_on_this_host_knows_is_revoked_by_name_and_serial(managed: Managed) -> None:
    """The operator has the serial from the status: the server itself reports what it presents."""
    serial, statement = serial_of(managed, FE1), CHANGES["row removed"]
    async with managed:
        await managed.start(MGMT, FE1)
        managed.credentials(FE1)[0].unlink()
        change(managed, statement, serial)
        mine = managed.organisation.ca.issue([FE1], Role.FRONT_END, datetime.now(UTC))
        await until(lambda: FE1 in managed.master.reports.reports)
        printed = await managed.type("ca", "revoke", FE1)
        assert f"{mine.certificate.serial_number:x} of {FE1}" in printed
        wanted = f"presents a certificate that is NOT revoked: sipmesh ca revoke {FE1} --serial {serial}"
        assert wanted in " ".join(printed.split())
        printed = await managed.type("ca", "revoke", FE1, "--serial", serial)
        assert f"serial {serial} of {FE1}" in printed
        assert "NOT revoked" not in printed
    assert managed.organisation.ca.crls.in_force().lists(int(serial, 16))


@on_loop
async def test_removed_server_is_revoked_although_the_ledger_has_lost_its_certificate(managed: Managed) -> None:
    serial = serial_of(managed, FE2)
    change(managed, CHANGES["row removed"], serial)
    async with managed:
        await managed.start(MGMT, FE1)
        await managed.publish(without(FE2))
    assert managed.organisation.ca.crls.in_force().lists(int(serial, 16))
