"""A context makes a handshake with itself over a socket pair: what each end saw is what peers would see."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding

from sipmesh.transport.tls.self_handshake import SelfHandshakeError, check_handshake
from sipmesh.trust.evidence import Direction
from transport.authority import Authority

if TYPE_CHECKING:
    from sipmesh.transport.tls.contexts import Identity


def test_evidence_of_both_ends_is_returned(ca: Authority, here: Identity) -> None:
    seen = check_handshake(here, [ca.root], "here.test")
    assert [evidence.direction for evidence in seen] == [Direction.OPENED, Direction.ACCEPTED]
    for evidence in seen:
        assert evidence.presented[0] == here.leaf.public_bytes(Encoding.DER)
        assert (evidence.failure, evidence.engine_errors, evidence.tls.version) == (None, (), "TLSv1.3")
    assert seen[1].tls.sni == "here.test"


def test_only_the_evidence_of_the_refusing_end_is_returned(here: Identity, tmp_path: Path) -> None:
    """The other end has seen only the alert."""
    stranger = Authority.create(tmp_path / "stranger", "Stranger")
    [seen] = check_handshake(here, [stranger.root], "here.test")
    assert seen.failure is not None
    assert seen.presented[0] == here.leaf.public_bytes(Encoding.DER)


@pytest.mark.parametrize(("until", "ends"), [(timedelta(hours=-1), 1), (timedelta(hours=1), 2)])
def test_expired_certificate_fails_the_handshake(ca: Authority, until: timedelta, ends: int) -> None:
    seen = check_handshake(ca.issue("here.test", until=until), [ca.root], "here.test")
    assert len(seen) == ends
    assert (seen[0].failure is None) is (ends == 2)


@pytest.mark.parametrize("bits", [1024, 2048])
def test_key_that_openssl_refuses_raises_rehearsal_error(ca: Authority, bits: int) -> None:
    short = ca.issue(f"rsa{bits}.test", key=rsa.generate_private_key(65537, bits))
    if bits == 2048:
        assert len(check_handshake(short, [ca.root], "here.test")) == 2
        return
    with pytest.raises(SelfHandshakeError, match="OpenSSL does not accept it"):
        check_handshake(short, [ca.root], "here.test")
