"""Certificates of devices: names come from the user store, and each certificate is a line in the audit log."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from sipmesh.demo.organisation import Organisation
from sipmesh.errors import OperatorError
from sipmesh.pki import files
from sipmesh.pki.ca_rotation import CaGenerations
from sipmesh.pki.crl.builder import Reason
from sipmesh.pki.issuance.profiles import CertificateKind
from sipmesh.pki.lock import ca_lock
from sipmesh.server.management.device_certificates import DeviceIssuing, device_certificates, revoke_devices
from sipmesh.server.management.revoking import is_listed
from sipmesh.storage.audit_act import AuditAct
from sipmesh.storage.users.user_database import Users
from sipmesh.trust.x509.device_identity import DeviceIdentity, device_identity
from support.network import copied
from support.running import on_loop, until

if TYPE_CHECKING:
    from collections.abc import Iterator

NOW = datetime.now(UTC)
Lines = list[tuple[AuditAct, dict[str, object]]]


@pytest.fixture(name="example")
def _example(example_model: Organisation, tmp_path: Path) -> Organisation:
    made = copied(example_model, tmp_path / "example")
    made.certify_devices()
    made.write()
    return made


@pytest.fixture(name="users")
def _users(example: Organisation) -> Iterator[Users]:
    users = Users(example.load().users_url)
    yield users
    users.close()


def issuing(example: Organisation, users: Users, lines: Lines) -> DeviceIssuing:
    def note(act: AuditAct, /, **about: object) -> None:
        lines.append((act, about))

    return DeviceIssuing(example.ca, users, example.load().topology, note)


def test_user_of_the_store_gets_a_certificate_and_a_line_in_the_log(example: Organisation, users: Users) -> None:
    lines: Lines = []
    issued = issuing(example, users, lines).issue("alice", "desk", NOW)
    assert device_identity(issued.certificate) == DeviceIdentity("sip:alice@example.test", "desk")
    serial = f"{issued.certificate.serial_number:x}"
    assert lines == [(AuditAct.ISSUE, {"user": "alice@example.test", "device": "desk", "serial": serial, "days": 180})]
    (told,) = device_certificates(CaGenerations(example.folder / "ca"), "alice@example.test", NOW)
    assert (told.device, told.serial, str(told.state)) == ("desk", serial, "valid")


def test_device_may_have_made_its_key(example: Organisation, users: Users) -> None:
    key = files.new_key().public_key()
    assert issuing(example, users, []).certify("alice", "desk", key, NOW).certificate.public_key() == key


@pytest.mark.parametrize(
    ("user", "device"),
    [("nobody", "desk"), ("alice@evil.test", "desk"), ("alice", "De sk"), ("fe1.example.test", "desk"), ("", "desk")],
)
def test_other_names_get_no_certificate(example: Organisation, users: Users, user: str, device: str) -> None:
    before = len(example.ca.certificates)
    with pytest.raises(OperatorError):
        issuing(example, users, []).issue(user, device, NOW)
    assert len(example.ca.certificates) == before


def test_user_who_is_disabled_while_the_proof_is_used_gets_none(example: Organisation, users: Users) -> None:
    maker, key = issuing(example, users, []), files.new_key().public_key()
    before = len(example.ca.certificates)

    def disable() -> None:
        users.disable("sip:alice@example.test", NOW)

    with pytest.raises(OperatorError, match="is disabled"):
        maker.certify("alice", "desk", key, NOW, check=disable)
    assert len(example.ca.certificates) == before


@on_loop
async def test_user_who_is_disabled_while_the_ca_is_busy_gets_none(example: Organisation, users: Users) -> None:
    """The CA makes the key, as for `sipmesh ca issue --user`, and the operator disables the user in this moment."""
    maker, before = issuing(example, users, []), len(example.ca.certificates)
    with ca_lock(example.folder / "ca"):
        asked = asyncio.create_task(asyncio.to_thread(maker.issue, "alice", "desk", NOW))
        await until(lambda: waits_for(example.folder / "ca" / ".lock"))
        users.disable("sip:alice@example.test", NOW)
    with pytest.raises(OperatorError, match="is disabled"):
        await asked
    assert len(example.ca.certificates) == before
    users.enable("sip:alice@example.test")
    assert maker.issue("alice", "desk", NOW)


def waits_for(lock: Path) -> bool:
    """Tell whether a thread waits for a lock."""
    inode = f":{lock.stat().st_ino} "
    return any("->" in line and inode in line for line in Path("/proc/locks").read_text().splitlines())


def test_disabled_user_gets_none_until_enabled(example: Organisation, users: Users) -> None:
    users.disable("sip:alice@example.test", NOW)
    with pytest.raises(OperatorError, match="sipmesh user enable"):
        issuing(example, users, []).issue("alice", "desk", NOW)
    users.enable("sip:alice@example.test")
    assert issuing(example, users, []).issue("alice", "desk", NOW)


def test_devices_of_one_user_are_revoked_all_or_one(example: Organisation, users: Users) -> None:
    made, lines = issuing(example, users, []), list[tuple[AuditAct, dict[str, object]]]()
    desk, mobile, bob = (made.issue(*names, NOW) for names in (("alice", "desk"), ("alice", "mobile"), ("bob", "desk")))
    generations = CaGenerations(example.folder / "ca")

    def note(act: AuditAct, /, **about: object) -> None:
        lines.append((act, about))

    (one,) = revoke_devices(generations, ("alice@example.test",), Reason.UNSPECIFIED, NOW, note, "mobile")
    assert one.serial == mobile.certificate.serial_number
    assert not is_listed(generations, desk.certificate.serial_number)
    (other,) = revoke_devices(generations, ("Alice@example.test",), Reason.CESSATION_OF_OPERATION, NOW, note)
    assert other.serial == desk.certificate.serial_number
    assert revoke_devices(generations, ("alice@example.test",), Reason.UNSPECIFIED, NOW, note) == []
    assert is_listed(generations, desk.certificate.serial_number)
    assert not is_listed(generations, bob.certificate.serial_number)
    assert [about["device"] for _act, about in lines] == ["mobile", "desk"]


def test_devices_of_many_users_are_revoked_by_one_crl(example: Organisation, users: Users) -> None:
    made = issuing(example, users, [])
    serials = [made.issue(user, "desk", NOW).certificate.serial_number for user in ("alice", "bob")]
    generations = CaGenerations(example.folder / "ca")
    crls, kind = generations.current.crls, CertificateKind.DEVICES
    before = crls.in_force(kind).number
    both = ("alice@example.test", "BOB@example.test")
    revoked = revoke_devices(generations, both, Reason.CESSATION_OF_OPERATION, NOW, lambda *_, **__: None)
    assert [one.serial for one in revoked] == serials
    assert crls.in_force(kind).number == before + 1
