"""The rule of a trunk without roots: no signature is valid. The whole way is in tests/scenarios/test_signed_numbers.py."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from routing.messages import request
from sipmesh.server.in_force.stir_rules import StirRule
from sipmesh.server.proxy.other_processes import OtherProcesses
from sipmesh.server.proxy.trunks.number_verifier import NumberVerifier
from sipmesh.server.proxy.trunks.signer_chains import SignerChains
from sipmesh.server.proxy.trunks.signer_lists import SignerLists
from sipmesh.server.proxy.used_passports import UsedPassports
from sipmesh.server.quotas.limited_log import LimitedLog
from sipmesh.topology.document.parts.stir import StirMode
from support.number_signer import NumberSigner, token
from support.telling import Told

CALLER, CALLEE, URL = "+491705550100", "+493012345", "https://certs.test/a.pem"
SIGNERS = NumberSigner()
SIGNER = SIGNERS.signer()
ROOTS = (SIGNERS.root.certificate,)


def verifier(told: Told) -> NumberVerifier:
    gatekeeper: Any = SimpleNamespace(clock=lambda: datetime.now(UTC))
    chains = SignerChains(lambda: 0.0)
    chains.arrived("sbc.test", URL, SIGNER.chain)
    lists = SignerLists(SimpleNamespace(value=SimpleNamespace(stir={})), lambda: 0.0)  # type: ignore[arg-type]
    log = LimitedLog(told.log, lambda: 0.0, each=9, total=9, window_s=60.0)
    return NumberVerifier(gatekeeper, chains, lists, UsedPassports(OtherProcesses(), log), log)


@pytest.mark.parametrize(
    ("roots", "fields", "caller", "result"),
    [
        (ROOTS, 1, CALLER, "TN-Validation-Passed;attest=A"),
        ((), 1, CALLER, "TN-Validation-Failed"),
        (ROOTS, 1, "", "TN-Validation-Failed"),
        (ROOTS, 5, CALLER, "TN-Validation-Failed"),
        (ROOTS, 0, CALLER, "No-TN-Validation"),
    ],
)
def test_result_is_written_for_front_ends_and_what_fails_is_logged(
    roots: tuple[Any, ...], fields: int, caller: str, result: str
) -> None:
    told = Told()
    call = request("INVITE", f"sip:{CALLEE}@example.test")
    for _ in range(fields):
        call.append("identity", token(SIGNER, URL, CALLER, CALLEE))
    rule = StirRule(StirMode.REPORT, frozenset({"certs.test"}), roots)
    assert verifier(told).judge(call, "sbc.test", rule, caller) is None
    assert call.first("number-verification") == result
    assert bool(list(told.events("a call of a trunk is not verified"))) is ("Passed" not in result)


def test_required_signature_is_demanded() -> None:
    rule = StirRule(StirMode.REQUIRE, frozenset({"certs.test"}), ROOTS)
    answer = verifier(Told()).judge(request("INVITE", f"sip:{CALLEE}@example.test"), "sbc.test", rule, CALLER)
    assert answer is not None
    assert (answer.status, answer.why) == (428, "sbc.test: the call is not signed")
