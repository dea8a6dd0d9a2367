"""The decoy answers every client, and the attacker reports what a port has answered: both without our TLS code."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from OpenSSL import SSL

from sipmesh.demo.attacker import knock
from sipmesh.demo.decoy import Decoy
from sipmesh.demo.forge import Forge, Forged

NAME = "sip.example.test"


@pytest.fixture(name="credentials", scope="module")
def _papers() -> Forged:
    forge = Forge(datetime.now(UTC))
    return forge.server(forge.organisation("Example"), NAME)


def test_each_request_is_counted_and_answered(credentials: Forged) -> None:
    with Decoy(credentials, mutual=False) as decoy:
        for _ in range(2):
            assert knock(decoy.address, None, name=NAME, domain=NAME).answer == "SIP/2.0 200 OK"
        assert decoy.received == 2


@pytest.mark.parametrize("shown", [True, False])
def test_decoy_may_require_a_certificate_and_accepts_any(credentials: Forged, *, shown: bool) -> None:
    stranger = Forge(datetime.now(UTC)).server(None, "stranger.test")
    with Decoy(credentials) as decoy:
        came = knock(decoy.address, stranger if shown else None, name=NAME, domain=NAME)
    assert came.served is shown
    assert decoy.received == int(shown)


def test_connection_that_is_no_tls_ends_alone(credentials: Forged) -> None:
    with Decoy(credentials, mutual=False) as decoy:
        assert not knock(decoy.address, None, name=NAME, domain=NAME, highest=SSL.TLS1_1_VERSION).served
        assert knock(decoy.address, None, name=NAME, domain=NAME).served
