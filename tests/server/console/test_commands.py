"""What the console reads from files: limits, and a CA that is elsewhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from sipmesh.errors import OperatorError
from sipmesh.pki.crl.builder import Reason
from sipmesh.server.console import commands
from sipmesh.server.console.commands import _read_audit, _revoke, _sign_crls
from sipmesh.storage.audit_act import AuditAct
from sipmesh.storage.management_db import ManagementDb
from sipmesh.trust.evidence import LinkKind
from support.console import Visitor, management_with_console
from support.managed import MGMT, build_managed
from support.network import BEGAN, FE1
from support.running import on_loop


def test_long_audit_log_is_read_in_pages_newest_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands, "MOST_LINES", 2)
    management_db = ManagementDb(tmp_path)
    for _ in range(3):
        management_db.audit.append("ada", AuditAct.LIST, at=BEGAN)
    newest = _read_audit(management_db, 0, 2**53, "")
    assert ([line.seq for line in newest.lines], newest.faults, newest.before) == ([3, 2], [], 2)
    assert ([line.seq for line in _read_audit(management_db, 0, 2, "").lines], newest.faults) == ([1], [])
    after = _read_audit(management_db, 2, 2**53, "")
    assert ([line.seq for line in after.lines], after.before) == ([3], None)
    management_db.close()


def test_ca_on_another_machine_is_named_in_the_refusal(tmp_path: Path) -> None:
    management_db = ManagementDb(tmp_path)
    with pytest.raises(OperatorError, match="the CA is on another machine"):
        _revoke(tmp_path / "ca", management_db, "ada", 1, Reason.UNSPECIFIED)
    with pytest.raises(OperatorError, match="the CA is on another machine"):
        _sign_crls(tmp_path / "ca", management_db, "ada")
    assert management_db.audit.read() == []
    management_db.close()


def test_new_crls_are_signed_and_noted_with_the_name_of_the_operator(tmp_path: Path) -> None:
    folder = build_managed(tmp_path).folder
    management_db = ManagementDb(folder)
    files = _sign_crls(folder / "ca", management_db, "ada (API)")
    assert files
    lines = management_db.audit.read()
    assert [(line.who, line.act, line.about["file"]) for line in lines] == [
        ("ada (API)", "list", file) for file in files
    ]
    management_db.close()


@on_loop
async def test_security_officer_issues_a_certificate_that_the_server_uses_at_once(tmp_path: Path) -> None:
    async with (
        management_with_console(tmp_path) as network,
        Visitor(network, "otto-token") as operator,
        Visitor(network, "sona-token") as officer,
    ):
        body = {"server": MGMT.upper(), "days": 20}
        assert (await operator.ask("POST", "/api/v1/issue", json=body)).status == 403
        issued = await officer.ask("POST", "/api/v1/issue", json=body)
        assert (issued.status, issued.json["used_by"], issued.json["faults"]) == (200, [MGMT], []), issued.text
        shown = network.nodes[MGMT].certificates.presented.of(LinkKind.SERVER).chain[0]
        assert f"{shown.serial_number:x}" == issued.json["serial"]
        line = network.master.management_db.audit.read()[-1]
        assert (line.who, line.act, line.about["days"]) == ("sona (API)", "issue", 20)
        unknown = await officer.ask("POST", "/api/v1/issue", json={"server": "evil.test"})
        assert (unknown.status, "evil.test" in unknown.json["error"]) == (409, True)
        (network.organisation.folder / "servers" / f"{FE1}.key").unlink()
        elsewhere = await officer.ask("POST", "/api/v1/issue", json={"server": FE1})
        assert (elsewhere.status, "is on another machine" in elsewhere.json["error"]) == (409, True)


@on_loop
async def test_what_is_read_from_files_is_answered_and_a_revocation_is_noted(tmp_path: Path) -> None:
    async with management_with_console(tmp_path) as network, Visitor(network, "sona-token") as officer:
        await network.ask(MGMT, "block", name="evil.test")
        assert (await officer.get("/api/v1/partners")).json == {"partners": [], "blocked": ["evil.test"]}
        entries = (await officer.get("/api/v1/certificates")).json["entries"]
        entry = next(one for one in entries if (one["what"], one["name"]) == ("server", FE1))
        assert (await officer.get("/api/v1/audit/check")).json["faults"] == []
        assert (await officer.get("/api/v1/audit")).json["before"] is None
        serial = (entry["in_use"] or entry["on_disk"])["number"]
        for path, given in (("revoke", {"serial": serial}), ("sign-crls", {})):
            assert (await officer.ask("POST", f"/api/v1/{path}", json=given)).status == 200
        acts = [line["act"] for line in (await officer.get("/api/v1/audit")).json["lines"]]
        assert acts[:3] == ["list", "list", "revoke"]
