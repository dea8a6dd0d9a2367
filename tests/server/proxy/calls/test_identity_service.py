"""Who is signed for, who has to sign, and a key that cannot sign; the whole way is in tests/scenarios/test_identity.py."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from routing.messages import ALICES, BOBS, FROM_EDGE, FROM_PARTNER, NEW_LINK, request
from sipmesh.routing.identity.alias import alias_keys
from sipmesh.routing.identity.sender import ClientSender, Sender
from sipmesh.routing.passport.identity_field import names_nobody, read_field
from sipmesh.server.in_force.roles import signing_partners
from sipmesh.server.proxy.calls.identity_service import IdentityService
from sipmesh.server.proxy.other_processes import OtherProcesses
from sipmesh.server.proxy.trunks.number_verifier import NumberVerifier
from sipmesh.server.proxy.trunks.signer_chains import SignerChains
from sipmesh.server.proxy.trunks.signer_lists import SignerLists
from sipmesh.server.proxy.used_passports import UsedPassports
from sipmesh.server.quotas.limited_log import LimitedLog
from sipmesh.topology.document.identity_policy import IdentityPolicy
from sipmesh.trust.code import Code
from support.call_signer import SIGNER
from support.descriptions import CRYPTO, DTLS, with_body
from support.telling import Told

CAROL = "sip:carol@partner.test"


def service(policy: IdentityPolicy | None, key: object = SIGNER.key, told: Told | None = None) -> IdentityService:
    partner = SimpleNamespace(domains=frozenset({"partner.test"}), peer=FROM_PARTNER.peer, identity_policy=policy)
    view: Any = SimpleNamespace(partners=(partner,), sip_domains=frozenset({"example.test", "lab.test"}))
    current: Any = SimpleNamespace(value=SimpleNamespace(view=view, signing=signing_partners(view), stir={}))
    gatekeeper: Any = SimpleNamespace(clock=lambda: datetime.now(UTC))
    own: Any = SimpleNamespace(chain=SIGNER.chain, key=key)
    log = LimitedLog((told or Told()).log, lambda: 0.0, each=9, total=9, window_s=60.0)
    used = UsedPassports(OtherProcesses(), log)
    numbers = NumberVerifier(gatekeeper, SignerChains(lambda: 0.0), SignerLists(current, lambda: 0.0), used, log)
    return IdentityService(current, gatekeeper, lambda: own, log, numbers, used)


def flow(sender: Sender) -> Any:
    return SimpleNamespace(sender=sender)


@pytest.mark.parametrize(
    ("method", "uri", "sender", "is_signed"),
    [
        ("INVITE", CAROL, ALICES, True),
        ("UPDATE", CAROL, ALICES, True),
        ("PRACK", CAROL, ALICES, True),
        ("MESSAGE", CAROL, ALICES, False),
        ("INVITE", "sip:bob@example.test", ALICES, False),
        ("INVITE", CAROL, NEW_LINK, False),
        ("INVITE", CAROL, FROM_EDGE, False),
    ],
)
def test_calls_of_our_users_to_the_partner_are_signed(
    method: str, uri: str, sender: Sender, *, is_signed: bool
) -> None:
    made = with_body(request(method, uri, to=uri), DTLS)
    service(IdentityPolicy.SIGN).sign(flow(sender), made)
    assert made.has("identity") is made.has("date") is is_signed
    if is_signed:
        assert b'"mky"' in read_field(made.first("identity") or "").payload


NUMBER = "sip:+4930123@example.test"


def owner_of(name: str) -> str:
    """Alice has the number +4930123."""
    return "sip:alice@example.test" if "tel:+4930123" in alias_keys(name) else ""


@pytest.mark.parametrize(("sender", "is_signed"), [(ALICES, True), (BOBS, False)])
def test_alias_is_signed_for_its_own_user_and_as_a_number(sender: ClientSender, *, is_signed: bool) -> None:
    made = with_body(request("INVITE", CAROL, sender=NUMBER, to=CAROL), DTLS)
    service(IdentityPolicy.SIGN).sign(flow(replace(sender, owner_of=owner_of)), made)
    assert made.has("identity") is is_signed
    if is_signed:
        assert b'"orig":{"tn":"4930123"}' in read_field(made.first("identity") or "").payload


@pytest.mark.parametrize("to", [CAROL, "sip:anonymous@anonymous.invalid"])
def test_withheld_sender_is_signed_by_its_domain(to: str) -> None:
    """Inside a dialog also to one whom a partner withholds."""
    hidden = with_body(request("INVITE", CAROL, sender="sip:anonymous@anonymous.invalid", to=to, to_tag="2"), DTLS)
    service(IdentityPolicy.SIGN).sign(flow(ALICES), hidden)
    field = hidden.first("identity") or ""
    assert b'"orig":{"uri":"sip:anonymous@example.test"}' in read_field(field).payload
    assert names_nobody(field)


def test_body_that_no_signature_holds_is_not_signed() -> None:
    mixed = with_body(request("INVITE", CAROL), DTLS + CRYPTO)
    for made in (mixed, with_body(request("INVITE", CAROL), b"v=1")):
        service(IdentityPolicy.SIGN).sign(flow(ALICES), made)
        assert not made.has("identity")


@pytest.mark.parametrize("key", [rsa.generate_private_key(65537, 2048), ec.generate_private_key(ec.SECP521R1())])
def test_key_that_cannot_sign_is_named_in_the_log_once(key: object) -> None:
    told = Told()
    signing = service(IdentityPolicy.SIGN, key, told)
    for _ in range(2):
        made = request("INVITE", CAROL)
        signing.sign(flow(ALICES), made)
        assert not made.has("identity")
    assert len(told.lines) == 1


@pytest.mark.parametrize(
    ("policy", "method", "to_tag", "sender", "status"),
    [
        (IdentityPolicy.REQUIRED, "INVITE", "", FROM_PARTNER, 428),
        (IdentityPolicy.REQUIRED, "INVITE", "2", FROM_PARTNER, None),
        (IdentityPolicy.REQUIRED, "MESSAGE", "", FROM_PARTNER, None),
        (IdentityPolicy.REQUIRED, "INVITE", "", FROM_EDGE, None),
        (IdentityPolicy.VERIFY, "INVITE", "", FROM_PARTNER, None),
        (IdentityPolicy.SIGN, "INVITE", "", FROM_PARTNER, None),
        (None, "INVITE", "", FROM_PARTNER, None),
    ],
)
def test_call_without_a_signature(
    policy: IdentityPolicy | None, method: str, to_tag: str, sender: Sender, status: int | None
) -> None:
    refused = service(policy).judge(flow(sender), request(method, to_tag=to_tag), None)
    assert (refused and refused.status) == status
    assert refused is None or refused.code is Code.IDENTITY_MISSING
