"""The certificate of a server that asks for its next one: which certificates are refused, and which is accepted."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from sipmesh.pki.ca_rotation import CaGenerations
from sipmesh.pki.issuance.profiles import LEAF_LIFETIME
from sipmesh.server.enrolment.enrollable import NotEnrollableError
from sipmesh.server.enrolment.server_certificate import CertificateRefusedError, proved_by
from support.enrolling import BOT, enrolling
from support.managed import MGMT
from support.network import EDGE, FE1
from support.running import on_loop


@on_loop
async def test_certificate_proves_its_server_alone_while_it_is_valid(tmp_path: Path) -> None:
    async with enrolling(tmp_path, "est") as network:
        view, at = network.nodes[MGMT].view, network.nodes[MGMT].gatekeeper.clock()
        current = CaGenerations(view.loaded.folder / "ca").current
        leaf, issuing = x509.load_pem_x509_certificates(network.credentials(FE1)[0].read_bytes())[:2]
        der = leaf.public_bytes(Encoding.DER)
        assert proved_by(der, view, [issuing], at).name == FE1
        other = current.issue((BOT, "other.example.test"), view.pools[view.pool.name].role, at).certificate
        refused = {
            "expired": (der, [issuing], at + 2 * LEAF_LIFETIME + timedelta(days=400)),
            "untrusted-issuer": (der, [], at),
            "wrong-usage|no-sip-identity|not-in-topology": (_signer(network), [issuing], at),
        }
        for why, (given, issuers, when) in refused.items():
            with pytest.raises((CertificateRefusedError, NotEnrollableError), match=f"{why}|is a management server"):
                proved_by(given, view, issuers, when)
        with pytest.raises(CertificateRefusedError, match="cannot be read"):
            proved_by(b"\x30\x00", view, [issuing], at)
        assert proved_by(other.public_bytes(Encoding.DER), view, [issuing], at).name == BOT
        edge = x509.load_pem_x509_certificate(network.credentials(EDGE)[0].read_bytes())
        assert proved_by(edge.public_bytes(Encoding.DER), view, [issuing], at).name == EDGE


def _signer(network: object) -> bytes:
    chain = network.credentials(f"{MGMT}.signer")[0]  # type: ignore[attr-defined]
    return x509.load_pem_x509_certificate(chain.read_bytes()).public_bytes(Encoding.DER)
