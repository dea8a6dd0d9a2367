"""One certificate is revoked, and the audit log has its server, its serial and the reason."""

from __future__ import annotations

from pathlib import Path

import pytest

from sipmesh.errors import OperatorError
from sipmesh.pki.ca_rotation import CaGenerations
from sipmesh.pki.crl.builder import Reason
from sipmesh.server.management.revoking import revoke
from sipmesh.storage.audit_act import AuditAct
from support.network import BEGAN, FE1, build_example


def test_certificate_is_revoked_and_noted_and_an_unknown_serial_is_not(tmp_path: Path) -> None:
    build_example(tmp_path)
    generations, noted = CaGenerations(tmp_path / "ca"), list[tuple[AuditAct, dict[str, object]]]()
    issued = next(record for record in generations.records() if FE1 in record.names)

    def note(act: AuditAct, /, **about: object) -> None:
        noted.append((act, about))

    with pytest.raises(OperatorError):
        revoke(generations, 1, Reason.SUPERSEDED, BEGAN, note)
    assert noted == []
    record = revoke(generations, issued.serial, Reason.SUPERSEDED, BEGAN, note)
    assert (record.revoked_at, record.reason) == (BEGAN, Reason.SUPERSEDED)
    assert noted == [(AuditAct.REVOKE, {"server": FE1, "serial": issued.serial_hex, "because": "superseded"})]
