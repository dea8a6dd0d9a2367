"""An edge reads the OCSP response that a partner staples; OpenSSL's own server plays the partner."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp

from scenarios.test_revocation import partner_entry
from sipmesh.demo.forge import Forge, Forged
from sipmesh.demo.ports import free_port
from sipmesh.server.in_force.roles import partner_hop
from sipmesh.topology.view import certificate_names
from sipmesh.transport.link.state import LinkState
from sipmesh.trust.code import Code
from support.network import EDGE, PARTNER, PARTNER_EDGE, PARTNER_EDGES, Network
from support.programs import listens
from support.publisher import Responder
from support.running import on_loop, until
from support.service import service_here
from support.telling import Told

MUST_STAPLE = {"extra": (x509.TLSFeature([x509.TLSFeatureType.status_request]),)}
GOOD, REVOKED = ocsp.OCSPCertStatus.GOOD, ocsp.OCSPCertStatus.REVOKED


@dataclass
class Stapling:
    """The partner, whose OCSP responder does not answer; *port* is that of its edge."""

    federation: Network
    folder: Path
    forge: Forge
    port: int

    def __post_init__(self) -> None:
        ca = self.federation.organisations[1].folder / "ca"
        root = Forged.read(ca / "root.pem", ca / "root.key")
        self.issuing = Forged.read(ca / "issuing.pem", ca / "issuing.key", root)

    def certificate(self, **changes: Any) -> Forged:
        names = certificate_names(self.federation.organisations[1].load().topology, PARTNER_EDGE)
        return self.forge.server(self.issuing, *names, **changes)

    def response(self, leaf: Forged, **changes: Any) -> bytes:
        """What the CA of the partner says about *leaf*, with *changes* of the responder."""
        asked = ocsp.OCSPRequestBuilder().add_certificate(leaf.certificate, self.issuing.certificate, hashes.SHA256())
        request = ocsp.load_der_ocsp_request(asked.build().public_bytes(Encoding.DER))
        return Responder(self.issuing, **{"known": [leaf.certificate], **changes}).answer(request)

    async def verdict(self, leaf: Forged, stapled: bytes | None) -> Code:
        """What our edge decides when it connects to a server with that certificate, which staples that response."""
        example = self.federation.organisations[0]
        async with service_here(example, Told(), EDGE) as (_, node), self._server(leaf, stapled):
            partner = node.view.partner_named(PARTNER)
            assert partner is not None
            link = node.pool.dial(partner_hop(partner, PARTNER))
            await until(lambda: link.state in {LinkState.UP, LinkState.CLOSED})
            assert link.verdict is not None, link.why
            return link.verdict.code

    @asynccontextmanager
    async def _server(self, leaf: Forged, stapled: bytes | None) -> AsyncIterator[None]:
        chain, key = leaf.write(self.folder, "edge")
        more = ["-status_file", str(self.folder / "staple.der")] if stapled is not None else []
        (self.folder / "staple.der").write_bytes(stapled or b"")
        command = ["openssl", "s_server", "-accept", str(self.port), "-cert", str(chain), "-key", str(key), *more]
        command += ["-cert_chain", str(chain), "-quiet", "-naccept", "1", "-verify", "1", "-verify_quiet"]
        pipe = asyncio.subprocess.PIPE
        done = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, stderr=pipe)
        try:
            await until(lambda: listens(self.port))
            yield
        finally:
            if done.returncode is None:
                done.kill()
            await done.communicate()


@pytest.fixture(name="scene")
def _scene(federation: Network, tmp_path: Path) -> Stapling:
    scene = Stapling(federation, tmp_path / "s", Forge(datetime.now(UTC)), free_port())
    example, partner = federation.organisations
    changes = {
        "edge": f"{PARTNER_EDGES}:{scene.port}",
        "address": "127.0.0.1",
        "crls": [str(partner.folder / "ca" / "root.crl")],
        "ocsp": [f"http://127.0.0.1:{free_port()}/"],
        "revocation": "ocsp",
    }
    partner_entry(example).update(changes)
    example.write()
    return scene


@on_loop
async def test_stapled_response_counts_though_no_responder_answers(scene: Stapling) -> None:
    leaf = scene.certificate()
    assert await scene.verdict(leaf, scene.response(leaf)) is Code.ACCEPTED
    assert await scene.verdict(leaf, None) is Code.REVOCATION_UNKNOWN


@on_loop
async def test_stapled_response_that_says_revoked_refuses(scene: Stapling) -> None:
    leaf = scene.certificate()
    assert await scene.verdict(leaf, scene.response(leaf, status=REVOKED)) is Code.REVOKED


@pytest.mark.parametrize("what", ["of another certificate", "of another CA", "expired", "rubbish"])
@on_loop
async def test_stapled_response_that_does_not_count_changes_nothing(scene: Stapling, what: str) -> None:
    leaf, other = scene.certificate(), scene.certificate()
    of_nobody = scene.forge.organisation("Evil")
    made: dict[str, Callable[[], bytes]] = {
        "of another certificate": lambda: scene.response(other),
        "of another CA": lambda: scene.response(leaf, signer=of_nobody),
        "expired": lambda: scene.response(leaf, begins=timedelta(days=-9), ends=timedelta(days=-8)),
        "rubbish": lambda: b"\x30\x03\x0a\x01\x00",
    }
    assert await scene.verdict(leaf, made[what]()) is Code.REVOCATION_UNKNOWN


@pytest.mark.parametrize("changes", [None, {"begins": timedelta(days=-9), "ends": timedelta(days=-8)}])
@on_loop
async def test_certificate_that_demands_a_staple_is_refused_without_a_current_one(
    scene: Stapling, changes: dict[str, Any] | None
) -> None:
    """The control staples a current response."""
    leaf = scene.certificate(**MUST_STAPLE)
    stale = None if changes is None else scene.response(leaf, **changes)
    assert await scene.verdict(leaf, stale) is Code.STAPLE_MISSING
    assert await scene.verdict(leaf, scene.response(leaf)) is Code.ACCEPTED


@on_loop
async def test_where_crls_decide_no_staple_is_asked_for_and_none_is_demanded(scene: Stapling) -> None:
    example, partner = scene.federation.organisations
    entry = partner_entry(example)
    del entry["ocsp"], entry["revocation"]
    entry["crls"] = [str(partner.folder / "ca" / f"{name}.crl") for name in ("root", "issuing")]
    example.write()
    assert await scene.verdict(scene.certificate(**MUST_STAPLE), None) is Code.ACCEPTED
