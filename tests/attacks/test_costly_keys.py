"""Keys and chains whose signatures take long to verify are refused before OpenSSL verifies one, at ports and by dialling.

A stranger needs no CA for it: the subject and the key identifier of a partner's root are public, and OpenSSL goes on behind the
first bad signature where a port has the anchors of several organisations.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import Encoding

from attacks.cells import Came, Model, World, shared
from sipmesh.demo.forge import Forged, Wish
from sipmesh.demo.impostors import partner_edge
from sipmesh.trust.code import Code
from sipmesh.trust.evidence import LinkKind
from sipmesh.trust.path.chain import DEEPEST
from support.mersenne_keys import LARGEST, LONG_EXPONENT, TOO_LARGE
from support.network import EDGE, FE1, FE2, PARTNER
from support.tiers import wide_after

keys = pytest.mark.parametrize(
    ("key", "told"),
    [
        (TOO_LARGE, "an RSA key of 15636 bits, more than 8192"),
        (LONG_EXPONENT, "an RSA key with an exponent of 2701 bits, more than 32"),
    ],
    ids=["RSA-15636", "exponent-of-2701-bits"],
)


@dataclass(frozen=True, slots=True)
class Stage:
    """example.test, running."""

    runner: asyncio.Runner
    world: World

    def knock(self, server: str, kind: LinkKind, credentials: Forged) -> Came:
        return self.runner.run(self.world.knock(server, kind, credentials))

    def leaf(self, issuer: Forged, key: RSAPrivateKey | None, *names: str) -> Forged:
        """A certificate for *names* by a CA that issues any certificate."""
        return self.world.cast.forge.forge(Wish(names[0], names=names), issuer, reuse=key)

    def pretended(self, count: int, key: RSAPrivateKey | None) -> Forged:
        """A partner's certificate below *count* CAs, of which the partner's root has certified none."""
        partner, forge = self.world.cast.partner, self.world.cast.forge
        assert partner.issuer is not None
        above = replace(partner.issuer, issuer=None)
        for n in range(count):
            made = forge.forge(Wish(f"CA {n}", ca=True, usages=()), above, reuse=key)
            above = replace(made, certificate=damaged(made.certificate), issuer=above)
        return self.leaf(above, None, PARTNER)


def damaged(certificate: x509.Certificate) -> x509.Certificate:
    """The same certificate with one bit of its signature turned."""
    der = bytearray(certificate.public_bytes(Encoding.DER))
    der[-1] ^= 1
    return x509.load_der_x509_certificate(bytes(der))


def errors_in(came: Came) -> list[str]:
    """The errors of OpenSSL that the verdict names."""
    assert came.verdict is not None
    return next(found.saw for found in came.verdict.findings if found.check == "engine").split("; ")


@pytest.fixture(name="stage", scope="module")
def _stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    folder = tmp_path_factory.mktemp("costly")
    with shared(Model.build(folder / "model"), folder / "copy", FE1, EDGE) as (runner, world):
        yield Stage(runner, world)


@keys
@pytest.mark.parametrize("port", wide_after(2, ["server", "partner"]))
def test_certificate_with_a_costly_key_is_refused_before_its_key_is_used(
    stage: Stage, port: str, key: RSAPrivateKey, told: str
) -> None:
    """Its CA is trusted. The largest key that counts is served at the same port."""
    cast = stage.world.cast
    server, kind = (FE1, LinkKind.SERVER) if port == "server" else (EDGE, LinkKind.PARTNER)
    issuer, names = (cast.ours, (FE2,)) if port == "server" else (cast.partner, ("sip.partner.test", PARTNER))
    came = stage.knock(server, kind, stage.leaf(issuer, key, *names))
    assert (came.code, came.spoke) == (Code.WEAK_KEY, False)
    assert errors_in(came) == [f"error 66 at depth 0: {told}"]
    assert stage.knock(server, kind, stage.leaf(issuer, LARGEST, *names)).answer == "SIP/2.0 200 OK"


@keys
def test_server_that_we_dial_is_refused_before_its_costly_key_is_used(
    stage: Stage, key: RSAPrivateKey, told: str
) -> None:
    def dial(key: RSAPrivateKey) -> Came:
        leaf = stage.leaf(stage.world.cast.ours, key, FE2)
        return stage.runner.run(stage.world.dial(FE1, LinkKind.SERVER, FE2, leaf))

    came = dial(key)
    assert (came.code, came.spoke) == (Code.WEAK_KEY, False)
    assert errors_in(came) == [f"error 66 at depth 0: {told}"]
    assert dial(LARGEST).code is Code.ACCEPTED


@keys
def test_strangers_cas_with_costly_keys_cost_one_signature(stage: Stage, key: RSAPrivateKey, told: str) -> None:
    """The first of these CAs is compared with the partner's root. No signature is verified with the key of one of them."""
    came = stage.knock(EDGE, LinkKind.PARTNER, stage.pretended(DEEPEST, key))
    assert (came.code, came.spoke) == (Code.UNTRUSTED_ISSUER, False)
    bad, costly = errors_in(came)
    assert bad == f"error 7 at depth {DEEPEST}: certificate signature failure"
    assert costly == f"error 67 at depth {DEEPEST}: {told}"
    twin = partner_edge()(stage.world.cast)
    assert twin is not None
    assert stage.knock(EDGE, LinkKind.PARTNER, twin).answer == "SIP/2.0 200 OK"


@pytest.mark.parametrize(("count", "error"), [(DEEPEST, 7), (DEEPEST + 1, 22), (60, 22)])
def test_chain_of_a_stranger_is_verified_to_a_bounded_depth(stage: Stage, count: int, error: int) -> None:
    """Beyond it OpenSSL ends the handshake before it verifies a signature."""
    came = stage.knock(EDGE, LinkKind.PARTNER, stage.pretended(count, None))
    assert (came.code, came.spoke) == (Code.UNTRUSTED_ISSUER, False)
    (told,) = errors_in(came)
    assert f"error {error} at depth" in told
