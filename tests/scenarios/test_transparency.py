"""A partner whose certificates must be logged: what a public CA issues in secret is refused."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from scenarios.test_revocation import Credentials, Scene, partner_entry
from sipmesh.demo.forge import Forge, Forged
from sipmesh.topology.view import certificate_names
from sipmesh.trust.evidence import LinkKind
from support.network import EDGE, PARTNER_EDGE, Network
from support.running import on_loop
from trust.ct import SCT_LIST, SigningLog, logged

ONE, TWO, UNKNOWN = SigningLog("Google"), SigningLog("Cloudflare"), SigningLog("Evil")


def shown(federation: Network, folder: Path, *by: SigningLog) -> Credentials:
    """A certificate of the partner's CA for its edge, which the logs *by* have."""
    forge, issuing, names = maker(federation)
    return logged(forge, issuing, *names, by=by).write(folder, f"edge-{len(by)}")


def maker(federation: Network) -> tuple[Forge, Forged, tuple[str, ...]]:
    """What certificates of the partner's edge are made by, their issuer, and their names."""
    partner = federation.organisations[1]
    ca = partner.folder / "ca"
    root = Forged.read(ca / "root.pem", ca / "root.key")
    issuing = Forged.read(ca / "issuing.pem", ca / "issuing.key", root)
    return Forge(datetime.now(UTC)), issuing, certificate_names(partner.load().topology, PARTNER_EDGE)


def scene(federation: Network, mode: str, until: datetime | None = None) -> Scene:
    """Our edge; both logs are counted *until* then."""
    example = federation.organisations[0]
    partner_entry(example)["ct"] = mode
    document: Any = example.document
    document["federation"]["ct_logs"] = [
        {
            "operator": log.operator,
            "key": base64.b64encode(log.spki).decode(),
            **({"until": until.isoformat()} if until else {}),
        }
        for log in (ONE, TWO)
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


@pytest.mark.parametrize("attack", ["copied", "of the future", "of a log that has ended"])
@on_loop
async def test_scts_that_say_nothing_of_this_certificate_are_refused(
    federation: Network, tmp_path: Path, attack: str
) -> None:
    """SCTs of two known operators. The control is the certificate to which they belong; that log ended after it was logged."""
    forge, issuing, names = maker(federation)
    good = logged(forge, issuing, *names, by=(ONE, TWO))
    if attack == "copied":
        found = good.certificate.extensions.get_extension_for_oid(SCT_LIST).value
        assert isinstance(found, x509.PrecertificateSignedCertificateTimestamps)
        bad = forge.server(issuing, *names, extra=(found,))
    else:
        later = timedelta(days=1) if attack == "of the future" else timedelta(minutes=-1)
        bad = logged(forge, issuing, *names, by=(ONE, TWO), at=forge.at + later)
    ended = None if attack == "of the future" else forge.at - timedelta(minutes=30)
    async with scene(federation, "require", ended) as edge:
        await edge.refuses(bad.write(tmp_path / "bad", "edge"), "not-logged")
        await edge.link(good.write(tmp_path / "good", "edge"))


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
