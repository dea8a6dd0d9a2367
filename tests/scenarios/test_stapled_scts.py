"""An edge reads the SCTs in the OCSP response that a partner staples; OpenSSL's own server plays the partner."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from scenarios.test_revocation import partner_entry
from scenarios.test_stapled_responses import Stapling
from scenarios.test_transparency import ONE, TWO
from sipmesh.demo.forge import Forge
from sipmesh.demo.ports import free_port
from sipmesh.trust.code import Code
from support.network import PARTNER_EDGES, Network
from support.running import on_loop
from trust.ct import stapled


@pytest.fixture(name="scene")
def _scene(federation: Network, tmp_path: Path) -> Stapling:
    """The partner, whose certificates must be logged, and are revoked by CRLs alone."""
    scene = Stapling(federation, tmp_path / "s", Forge(datetime.now(UTC)), free_port())
    example, partner = federation.organisations
    crls = [str(partner.folder / "ca" / name) for name in ("root.crl", "issuing.crl")]
    changes = {"edge": f"{PARTNER_EDGES}:{scene.port}", "address": "127.0.0.1", "crls": crls, "ct": "require"}
    partner_entry(example).update(changes)
    document: Any = example.document
    document["federation"]["ct_logs"] = [
        {"operator": log.operator, "key": base64.b64encode(log.spki).decode()} for log in (ONE, TWO)
    ]
    example.write()
    return scene


@on_loop
async def test_stapled_scts_of_two_operators_count_and_nothing_or_a_copy_does_not(scene: Stapling) -> None:
    """The copy is of a logged certificate of another key: an attacker finds its SCTs in the logs."""
    leaf, other, now = scene.certificate(), scene.certificate(), scene.forge.at
    right = stapled(leaf.certificate, *(log.sct_of(leaf.certificate, now) for log in (ONE, TWO)))
    copy = stapled(leaf.certificate, *(log.sct_of(other.certificate, now) for log in (ONE, TWO)))
    assert await scene.verdict(leaf, right) is Code.ACCEPTED
    for wrong in (None, copy, stapled(leaf.certificate, ONE.sct_of(leaf.certificate, now))):
        assert await scene.verdict(leaf, wrong) is Code.NOT_LOGGED
