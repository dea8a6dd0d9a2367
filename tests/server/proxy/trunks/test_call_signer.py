"""Which calls to a trunk are signed; the whole way is in tests/scenarios/test_signed_numbers.py."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from routing.messages import request
from sipmesh.cli.versions import built
from sipmesh.server.in_force.stir_rules import OwnSigner, StirRule
from sipmesh.server.proxy.trunks.call_signer import CallSigner
from sipmesh.server.quotas.limited_log import LimitedLog
from sipmesh.topology.document.parts.stir import StirMode
from support.number_signer import NumberSigner, one
from support.telling import Told

ALICE, TRUNK, OUTSIDE = "+493012345", "sbc.test", "sip:+491705550100@sbc.test;user=phone"
SIGNER = NumberSigner().signer(one(ALICE[1:]))
OWN = OwnSigner(SIGNER.certificate, SIGNER.key, "https://c.test/a.pem")  # type: ignore[arg-type]  # it is on P-256


@pytest.mark.skipif(built() == "compiled", reason="what stands for a part is no object of a compiled class")
@pytest.mark.parametrize(
    ("own", "method", "uri", "number", "signed", "logged"),
    [
        (OWN, "INVITE", OUTSIDE, ALICE, True, ""),
        (OWN, "INVITE withheld", OUTSIDE, ALICE, False, ""),
        (OWN, "UPDATE", OUTSIDE, ALICE, False, ""),
        (OWN, "INVITE", "sip:112@sbc.test;user=phone", ALICE, False, ""),
        (OWN, "INVITE", OUTSIDE, "", False, ""),
        (OWN, "INVITE", OUTSIDE, "+493012346", False, "+493012346 is not in the TNAuthList"),
        (None, "INVITE", OUTSIDE, ALICE, False, "the files of `stir.sign` cannot be used"),
    ],
)
def test_call_between_numbers_of_our_certificate_is_signed(
    own: OwnSigner | None, method: str, uri: str, number: str, *, signed: bool, logged: str
) -> None:
    told = Told()
    log = LimitedLog(told.log, lambda: 0.0, each=9, total=9, window_s=60.0)
    rule = StirRule(StirMode.OFF, frozenset(), (), signs=True, own=own)
    current: Any = SimpleNamespace(value=SimpleNamespace(stir={TRUNK: rule}))
    gatekeeper: Any = SimpleNamespace(clock=lambda: datetime.now(UTC))
    copy = request(method.partition(" ")[0], uri)
    if "withheld" in method:  # such a caller asks for privacy, and the token has the number
        copy.append("privacy", "id")
    CallSigner(current, gatekeeper, log).sign(copy, TRUNK, number, is_own=True)
    assert copy.has("identity") is copy.has("date") is signed
    assert [line["why"] for line in told.events("a call was not signed")] == ([logged] if logged else [])
