"""The certificates of HTTPS servers under our own CA: each property is changed in turn, with an unchanged control beside it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID

from sipmesh.demo.forge import KeyKind, Wish
from sipmesh.transport.tls.path_check import path_errors
from sipmesh.trust.code import Code
from sipmesh.trust.judgement.document_signer import SignerVerdict
from sipmesh.trust.judgement.https_server import judge_https_server, servers_named
from trust.network import FE1, NOON, Network

DAY = timedelta(days=1)
HOST, SERVERS = "id.example.test", frozenset({FE1, "fe2.example.test"})
WISH = Wish("id", dns=(HOST, "login.example.test"), usages=(ExtendedKeyUsageOID.SERVER_AUTH,), ends=DAY)
NETWORK = Network()


def judged(host: str = HOST, *, revoked: bool = False, **changes: Any) -> SignerVerdict:
    shown = NETWORK.forge.forge(WISH, NETWORK.ours, **changes)
    authority = NETWORK.authority("Example", NETWORK.ours)
    if revoked:
        authority = NETWORK.authority("Example", NETWORK.ours, shown)
    errors = path_errors(shown.chain, authority.anchors, NOON)
    return judge_https_server(
        shown.presented, authority, host, SERVERS, at=NOON, engine_errors=errors, here="mgmt.example.test"
    )


def test_server_is_accepted_by_each_of_its_names() -> None:
    for host in (HOST, "login.example.test"):
        verdict = judged(host)
        assert (verdict.is_trusted, verdict.code, verdict.reasons) == (True, Code.ACCEPTED, ())


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"dns": (HOST, FE1)}, Code.ROLE_NOT_ALLOWED),
        ({"dns": (HOST, FE1.upper())}, Code.ROLE_NOT_ALLOWED),
        ({"dns": ("other.example.test",)}, Code.NAME_MISMATCH),
        ({"dns": ("*.example.test",)}, Code.NAME_MISMATCH),
        ({"dns": ()}, Code.NAME_MISMATCH),
        ({"usages": (ExtendedKeyUsageOID.CLIENT_AUTH,)}, Code.WRONG_USAGE),
        ({"usages": ()}, Code.WRONG_USAGE),
        ({"ends": timedelta(seconds=-1)}, Code.EXPIRED),
        ({"key": KeyKind.RSA_1024}, Code.WEAK_KEY),
        ({"revoked": True}, Code.REVOKED),
    ],
)
def test_each_fault_refuses(changes: dict[str, Any], code: Code) -> None:
    verdict = judged(**changes)
    assert code in [one.code for one in verdict.findings if not one.passed]
    assert not verdict.is_trusted
    assert verdict.reasons
    assert verdict.remedies


def test_servers_that_a_certificate_names_are_found_in_any_case() -> None:
    shown = NETWORK.forge.forge(WISH, dns=(HOST, FE1.upper(), "fe9.example.test"))
    assert servers_named(shown.certificate, SERVERS) == [FE1]
    assert servers_named(NETWORK.fe2_certificate().certificate, SERVERS) == ["fe2.example.test"]
