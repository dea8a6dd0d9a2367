"""The code of a link that does not work is that of its verdict or, if no server has judged it, that of the cause."""

from __future__ import annotations

import os
from errno import ECONNREFUSED, EHOSTUNREACH
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest

from server.proxy.test_counters import verdict as verdict_of
from sipmesh.server.replication.link_fault import Cause, LinkFault
from sipmesh.trust.code import Code

if TYPE_CHECKING:
    from sipmesh.transport.link.link import Link
    from sipmesh.trust.verdict import Verdict


def fault(why: str, verdict: Verdict | None = None) -> LinkFault:
    return LinkFault.of(cast("Link", SimpleNamespace(verdict=verdict)), why)


@pytest.mark.parametrize("verdict", [None, verdict_of(Code.ACCEPTED)])
def test_without_a_refusal_the_cause_is_what_the_dial_has_seen(verdict: Verdict | None) -> None:
    whys = {
        f"fe1 cannot be reached: 127.0.0.1 port 1: {os.strerror(ECONNREFUSED)}": Cause.PORT_REFUSES,
        f"fe1 cannot be reached: 127.0.0.1 port 1: {os.strerror(EHOSTUNREACH)}": Cause.NO_ROUTE,
        "fe1 cannot be reached: 127.0.0.1 port 1: no answer within 5 s": Cause.NO_ROUTE,
        "fe1 cannot be reached: fe1 has no address: DNS knows none": Cause.NO_ADDRESS,
        "no SIP byte within 5 s": Cause.NO_ANSWER,
    }
    assert {why: fault(why, verdict).code for why in whys} == whys


def test_refusal_has_the_code_of_its_verdict() -> None:
    assert fault("fe1 cannot be reached: revoked", verdict_of(Code.REVOKED)).code == Code.REVOKED
