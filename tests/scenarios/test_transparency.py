"""A partner whose certificates must be logged: what a public CA issues in secret is refused."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from scenarios.test_revocation import Credentials, Scene, partner_entry
from sipmesh.demo.forge import Forge, Forged
from sipmesh.topology.view import certificate_names
from sipmesh.trust.evidence import LinkKind
from support.network import EDGE, PARTNER_EDGE, Network
from support.running import on_loop
from trust.ct import SigningLog, logged

ONE, TWO, UNKNOWN = SigningLog("Google"), SigningLog("Cloudflare"), SigningLog("Evil")


def shown(federation: Network, folder: Path, *by: SigningLog) -> Credentials:
    """A certificate of the partner's CA for its edge, which the logs *by* have."""
    partner = federation.organisations[1]
    ca = partner.folder / "ca"
    root = Forged.read(ca / "root.pem", ca / "root.key")
    issuing = Forged.read(ca / "issuing.pem", ca / "issuing.key", root)
    names = certificate_names(partner.load().topology, PARTNER_EDGE)
    return logged(Forge(datetime.now(UTC)), issuing, *names, by=by).write(folder, f"edge-{len(by)}")


def scene(federation: Network, mode: str) -> Scene:
    example = federation.organisations[0]
    partner_entry(example)["ct"] = mode
    document: Any = example.document
    document["federation"]["ct_logs"] = [
        {"operator": log.operator, "key": base64.b64encode(log.spki).decode()} for log in (ONE, TWO)
    ]
    example.write()
    return Scene(example, EDGE, LinkKind.PARTNER)


@pytest.mark.parametrize("by", [(), (ONE,), (ONE, UNKNOWN)], ids=["no log", "one operator", "an unknown log"])
@on_loop
async def test_certificate_that_logs_do_not_have_is_refused(
    federation: Network, tmp_path: Path, by: tuple[SigningLog, ...]
) -> None:
    """The control is the same certificate with SCTs of two operators."""
    async with scene(federation, "require") as edge:
        await edge.refuses(shown(federation, tmp_path / "bad", *by), "not-logged")
        await edge.link(shown(federation, tmp_path / "good", ONE, TWO))


@on_loop
async def test_report_refuses_no_peer(federation: Network, tmp_path: Path) -> None:
    async with scene(federation, "report") as edge:
        linked = await edge.link(shown(federation, tmp_path / "bad"))
        [link] = [link for link in edge.node.pool.all() if link.id == linked.id]
        assert link.verdict is not None
        [found] = [finding for finding in link.verdict.findings if finding.check == "transparency"]
        assert found.saw == "no valid SCT; it has no SCT; accepted, because `ct` is report"


@on_loop
async def test_nothing_is_asked_by_default(federation: Network, tmp_path: Path) -> None:
    async with scene(federation, "off") as edge:
        await edge.link(shown(federation, tmp_path / "bad"))
