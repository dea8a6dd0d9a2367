"""The draft is changed through the API by name, with comments kept; a viewer cannot, and no change leaves our folder."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from sipmesh.demo.organisation import Organisation, PoolPlan
from sipmesh.errors import OperatorError
from sipmesh.server.console.draft_commands import CHANGES, read_changes
from sipmesh.server.management.publishing.publisher import DRAFT
from sipmesh.trust.role import Role
from support.console import Visitor, management_with_console
from support.managed import MGMT
from support.network import BEGAN, FE2, PARTNER, POOL
from support.running import on_loop

EACH: dict[str, dict[str, Any]] = {
    "add-pool": {"role": "front-end", "name": "pool9", "servers": [{"name": "fe9", "address": "192.0.2.9"}]},
    "add-server": {"name": "fe8", "pool": "pool9", "address": "192.0.2.9"},
    "add-domain": {"name": "sip.example.test"},
    "add-site": {"name": "berlin"},
    "change": {"name": "fe9", "changes": ["site=berlin"]},
    "rename": {"name": "fe9", "new": "fe10"},
    "remove": {"name": "fe8", "kind": "server"},
}


def test_each_change_is_tried() -> None:
    assert EACH.keys() == CHANGES.keys()


@on_loop
@pytest.mark.wide
async def test_operator_changes_the_draft_and_an_officer_publishes_what_the_plan_says(tmp_path: Path) -> None:
    """The same requests by a viewer are refused, and change nothing. The plan names each grant, with the role for it."""
    async with (
        management_with_console(tmp_path) as network,
        Visitor(network, "vera-token") as viewer,
        Visitor(network, "otto-token") as operator,
        Visitor(network, "sona-token") as officer,
    ):
        draft = network.organisation.folder / DRAFT
        draft.write_text("# a comment of the operator\n" + draft.read_text())
        for name, given in EACH.items():
            before = draft.read_text()
            assert (await viewer.ask("POST", f"/api/v1/draft/{name}", json=given)).status == 403
            tried = await operator.ask("POST", f"/api/v1/draft/{name}", json={**given, "dry_run": True})
            assert (tried.status, draft.read_text()) == (200, before), tried.text
            assert not tried.json["written"]
            done = await operator.ask("POST", f"/api/v1/draft/{name}", json=given)
            assert done.status == 200, done.text
            assert (done.json["written"], done.json["diff"]) == (True, tried.json["diff"])
        assert draft.read_text().startswith("# a comment of the operator\n")
        plan = (await viewer.get("/api/v1/plan")).json
        assert plan["changes"] == done.json["changes"]
        assert any("fe10.example.test" in change for change in plan["changes"])
        given = {"why": "a new pool", "base": plan["base"], "digest": plan["digest"]}
        assert [(one["key"], one["role"]) for one in plan["grants"]] == [
            ("sip_domains", "security-officer"),
            ("pools", "operator"),
        ]
        refused = await operator.ask("POST", "/api/v1/publish", json=given)
        assert (refused.status, "sip.example.test" in refused.json["error"]) == (409, True)
        assert (await officer.ask("POST", "/api/v1/publish", json=given)).status == 200
        assert network.number(MGMT) == 2
        lines = (await viewer.get("/api/v1/audit")).json["lines"]
        changed = [(line["who"], line["about"]["change"]) for line in reversed(lines) if line["act"] == "draft"]
        assert changed == [("otto (API)", name) for name in EACH]


@on_loop
async def test_draft_with_problems_is_refused_with_the_sentences_of_the_command(tmp_path: Path) -> None:
    async with management_with_console(tmp_path) as network, Visitor(network, "otto-token") as operator:
        draft = network.organisation.folder / DRAFT
        before = draft.read_text()
        wrong: list[tuple[str, dict[str, Any], str]] = [
            ("remove", {"name": "fe7.example.test"}, "is not a pool, server, domain or site of the draft"),
            ("change", {"name": FE2, "changes": ["adress=192.0.2.1"]}, "has no key 'adress'"),
            ("change", {"name": FE2, "changes": ["address=nowhere"]}, ""),
            ("change", {"name": "network", "changes": ["authority.anchors+=/dev/zero"]}, "is a file elsewhere"),
            ("add-site", {"name": "not a site"}, ""),
        ]
        for name, given, says in wrong:
            refused = await operator.ask("POST", f"/api/v1/draft/{name}", json=given)
            assert (refused.status, says in refused.json["error"]) == (409, True), refused.text
        assert (await operator.ask("POST", "/api/v1/draft/change", json={"name": FE2, "changes": []})).status == 400
        assert draft.read_text() == before


@on_loop
async def test_operator_gives_no_access_by_way_of_the_draft(tmp_path: Path) -> None:
    """The draft may say so; only a security officer can publish it."""
    async with (
        management_with_console(tmp_path) as network,
        Visitor(network, "otto-token") as operator,
        Visitor(network, "sona-token") as officer,
    ):
        item = "console.operators+={name: mallory, role: security-officer, token_sha256: " + "0" * 64 + "}"
        given = {"name": "network", "changes": [item]}
        assert (await operator.ask("POST", "/api/v1/draft/change", json=given)).status == 200
        plan = (await operator.get("/api/v1/plan")).json
        publish = {"why": "why not", "base": plan["base"], "digest": plan["digest"]}
        refused = await operator.ask("POST", "/api/v1/publish", json=publish)
        assert (refused.status, "mallory" in refused.json["error"], network.number(MGMT)) == (409, True, 1)
        assert (await officer.ask("POST", "/api/v1/publish", json=publish)).status == 200


@on_loop
async def test_operator_gives_our_ca_no_other_root(tmp_path: Path) -> None:
    """A thief of the key of a root of ours can act as each server. `partner/add` stores roots that an operator sends."""
    stranger = Organisation.build(tmp_path / "p", PARTNER, (PoolPlan(POOL, Role.FRONT_END, (FE2,)),), issued_at=BEGAN)
    async with (
        management_with_console(tmp_path) as network,
        Visitor(network, "otto-token") as operator,
        Visitor(network, "sona-token") as officer,
    ):
        shutil.copytree(stranger.folder / "ca", network.organisation.folder / "partners")
        added = ["anchors+=partners/root.pem", "crls+=partners/root.crl", "crls+=partners/issuing.crl"]
        given = {"name": "network", "changes": [f"authority.{one}" for one in added]}
        changed = await operator.ask("POST", "/api/v1/draft/change", json=given)
        assert changed.status == 200, changed.text
        plan = (await operator.get("/api/v1/plan")).json
        publish = {"why": "why not", "base": plan["base"], "digest": plan["digest"]}
        for path in ("publish", "apply"):
            refused = await operator.ask("POST", f"/api/v1/{path}", json=publish)
            assert (refused.status, network.number(MGMT)) == (409, 1), refused.text
            assert "becomes a root of our CA" in refused.json["error"]
        assert (await officer.ask("POST", "/api/v1/publish", json=publish)).status == 200
        assert network.number(MGMT) == 2


@on_loop
async def test_operator_removes_no_crl_of_our_ca(tmp_path: Path) -> None:
    """It would be the last version: no signer would be accepted any more. Another file is for a security officer to name."""
    async with (
        management_with_console(tmp_path) as network,
        Visitor(network, "otto-token") as operator,
        Visitor(network, "sona-token") as officer,
    ):
        folder = network.organisation.folder / "ca"
        shutil.copy(folder / "issuing.crl", folder / "other.crl")
        for crls, status in (
            ("ca/root.crl", 409),
            ("ca/root.crl, ca/other.crl", 200),
            ("ca/root.crl, ca/issuing.crl", 200),
        ):
            given = {"name": "network", "changes": [f"authority.crls=[{crls}]"]}
            assert (await operator.ask("POST", "/api/v1/draft/change", json=given)).status == 200
            plan = (await operator.get("/api/v1/plan")).json
            publish = {"why": "why not", "base": plan["base"], "digest": plan["digest"]}
            answer = await operator.ask("POST", "/api/v1/publish", json=publish)
            assert (answer.status, bool(plan["dangers"])) == (409, status == 409), answer.text
            answer = await officer.ask("POST", "/api/v1/publish", json=publish)
            assert answer.status == status, answer.text
        assert network.number(MGMT) == 3


@pytest.mark.parametrize("value", ["/etc/passwd", "~root/x", "../x.pem", "ca/../../x.pem", "[a.pem, /x]", "{a: ../b}"])
def test_file_elsewhere_on_the_host_is_refused(value: str) -> None:
    with pytest.raises(OperatorError, match="is a file elsewhere on the management host"):
        read_changes({"changes": [f"anchors={value}"]})


@pytest.mark.parametrize("value", ["ca/root.pem", "http://crl.example.test/../x", "[a.pem, 5, true]", "{a: b}", ""])
def test_file_below_the_folder_and_a_url_are_named(value: str) -> None:
    assert len(read_changes({"changes": [f"anchors={value}"]})) == 1
