"""A process that is killed while a user leaves: no device keeps a certificate without its user."""

from __future__ import annotations

import asyncio
import signal
import sqlite3
import sys
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from sipmesh.demo.organisation import Organisation
from sipmesh.pki.ca_rotation import CaGenerations
from sipmesh.pki.status import CertificateState
from sipmesh.server.management.device_certificates import device_certificates
from sipmesh.trust.x509.device_identity import DeviceIdentity
from support.invited import sipmesh
from support.managed import build_published
from support.running import within

ALICE = "alice@example.test"


def states(organisation: Organisation, user: str = ALICE) -> list[CertificateState]:
    """Give the state of each certificate of the devices of a user."""
    found = device_certificates(CaGenerations(organisation.folder / "ca"), user, datetime.now(UTC))
    return [one.state for one in found]


def has_left(file: Path, end: str) -> bool:
    """Tell whether alice is removed or disabled in the database."""
    query = (
        "SELECT count(*) FROM users_disabled" if end == "disable" else "SELECT 1 - count(*) FROM users WHERE aor = ?"
    )
    given = () if end == "disable" else (f"sip:{ALICE}",)
    with closing(sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True)) as db:
        return bool(db.execute(query, given).fetchone()[0])


@pytest.mark.parametrize("end", ["disable", pytest.param("remove", marks=pytest.mark.wide)])
@within(120.0)
async def test_process_that_is_killed_as_its_user_leaves_has_revoked_the_devices(tmp_path: Path, end: str) -> None:
    """It is killed as soon as the database says that the user has left; the control is bob, whose device stays valid."""
    organisation = build_published(tmp_path / "o")
    organisation.certify_devices()
    for user in ("alice", "bob"):
        organisation.ca.issue_device(DeviceIdentity(f"sip:{user}@example.test", "desk"), datetime.now(UTC))
    assert states(organisation) == [CertificateState.VALID]
    file = organisation.folder / "users.db"
    command = (sys.executable, "-m", "sipmesh", "user", end, ALICE, "--topology", str(organisation.file))
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
    )
    while process.returncode is None and not has_left(file, end):
        await asyncio.sleep(0)
    if process.returncode is None:
        process.send_signal(signal.SIGKILL)
    await process.wait()
    assert has_left(file, end)
    assert states(organisation) == [CertificateState.REVOKED]
    assert states(organisation, "bob@example.test") == [CertificateState.VALID]
    if end == "disable":
        await sipmesh(organisation.file, "user", "enable", ALICE)
