"""A management server is admitted by a certificate that was issued for it, and by a key that has no other use."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from sipmesh.errors import OperatorError
from sipmesh.pki.ca_rotation import CaGenerations
from sipmesh.pki.crl.builder import Reason
from sipmesh.server.management.admission import FILE, Admissions, admit, key_digest, withdraw_left
from sipmesh.storage.audit_act import AuditAct
from sipmesh.storage.management_db import ManagementDb
from sipmesh.topology.document.named_files.trust_anchors import read_certificates
from sipmesh.trust.x509.certificate import fingerprint
from support.managed import MGMT, Managed
from support.network import FE1

NOTED: list[tuple[AuditAct, dict[str, object]]] = []


def note(act: AuditAct, /, **about: object) -> None:
    NOTED.append((act, about))


def leaf_of(managed: Managed, server: str) -> x509.Certificate:
    return read_certificates(managed.credentials(server)[0])[0]


def admitted(managed: Managed, server: str, digest: str, at: datetime | None = None) -> x509.Certificate:
    folder = managed.organisation.folder
    when = at or datetime.now(UTC)
    return admit(managed.organisation.load(), CaGenerations(folder / "ca"), server, digest, when, note=note)


def test_server_is_admitted_by_its_key_with_a_line_in_the_audit_log(managed: Managed) -> None:
    leaf = leaf_of(managed, MGMT)
    assert Admissions.read(managed.organisation.folder / "ca").keys == {}
    assert admitted(managed, MGMT, fingerprint(leaf)) == leaf
    assert Admissions.read(managed.organisation.folder / "ca").keys == {MGMT: key_digest(leaf)}
    assert NOTED[-1] == (AuditAct.ADMIT, {"server": MGMT, "certificate": fingerprint(leaf)})


def test_front_end_and_unknown_certificate_are_not_admitted(managed: Managed) -> None:
    with pytest.raises(OperatorError, match="is no management server in version"):
        admitted(managed, FE1, fingerprint(leaf_of(managed, FE1)))
    for digest in ("0" * 64, fingerprint(leaf_of(managed, FE1))):
        with pytest.raises(OperatorError, match=f"our CA has issued no certificate with the SHA-256 {digest}"):
            admitted(managed, MGMT, digest)


def test_certificate_that_has_expired_or_was_revoked_admits_no_server(managed: Managed) -> None:
    leaf = leaf_of(managed, MGMT)
    with pytest.raises(OperatorError, match="has expired or was revoked"):
        admitted(managed, MGMT, fingerprint(leaf), leaf.not_valid_after_utc + timedelta(seconds=1))
    generations = CaGenerations(managed.organisation.folder / "ca")
    generations.revoke_servers((MGMT,), Reason.KEY_COMPROMISE, datetime.now(UTC))
    with pytest.raises(OperatorError, match="has expired or was revoked"):
        admitted(managed, MGMT, fingerprint(leaf))


def test_key_of_a_server_that_has_left_is_never_admitted_again(managed: Managed) -> None:
    leaf, ca = leaf_of(managed, MGMT), managed.organisation.folder / "ca"
    admitted(managed, MGMT, fingerprint(leaf))
    Admissions.read(ca).with_key("old.example.test", key_digest(leaf)).write(ca)
    management_db = ManagementDb(managed.organisation.folder)
    withdraw_left(ca, management_db.audit, managed.organisation.load(), "ada (1)", datetime.now(UTC))
    assert Admissions.read(ca) == Admissions({MGMT: key_digest(leaf)}, frozenset({key_digest(leaf)}))
    lines = [line.about["server"] for line in management_db.audit.read() if line.act == AuditAct.ADMIT]
    assert lines == ["old.example.test"]
    management_db.close()
    with pytest.raises(OperatorError, match="its key was in use for another role"):
        admitted(managed, MGMT, fingerprint(leaf))


@pytest.mark.parametrize("content", [b"", b"[]", b'{"keys": []}', b'{"keys": {}}', b"\xff"])
def test_damaged_file_admits_no_server(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FILE).write_bytes(content)
    with pytest.raises(OperatorError, match="the admissions of management servers are damaged"):
        Admissions.read(tmp_path)
