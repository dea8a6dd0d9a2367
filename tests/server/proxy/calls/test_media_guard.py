"""What the guard of media answers, and which partner's policy it takes."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from routing.messages import ALICES, FROM_PARTNER, PARTNER_EDGE, request, response
from sipmesh.cli.versions import built
from sipmesh.routing.identity.sender import Sender
from sipmesh.routing.media.rules import MediaRules
from sipmesh.routing.outcome import Forward
from sipmesh.routing.target import FlowTarget, ServerTarget, Target
from sipmesh.server.proxy.calls.media_guard import MediaGuard
from sipmesh.topology.document.media_policy import MediaPolicy
from sipmesh.trust.code import Code
from sipmesh.trust.evidence import LinkKind
from support.descriptions import CLEAR, SDES, put_body, with_body

pytestmark = pytest.mark.skipif(built() == "compiled", reason="what stands for a part is no object of a compiled class")

RULES = MediaRules(
    {"example.test": MediaPolicy.REQUIRED}, {"partner.test": MediaPolicy.ANY}, {PARTNER_EDGE: MediaPolicy.ANY}
)
TO_BOB = FlowTarget(1, b"", "sip:bob@192.0.2.9")
TO_PARTNER = ServerTarget((PARTNER_EDGE,), LinkKind.PARTNER, "sip:carol@partner.test")


def guard() -> MediaGuard:
    """Make a guard without the parts that no test here reaches."""
    view = SimpleNamespace(name="fe1.example.test", trusted={})
    current: Any = SimpleNamespace(value=SimpleNamespace(view=view, media=RULES))
    return MediaGuard(current, cast("Any", None), cast("Any", SimpleNamespace(is_in_the_clear=lambda _flow: False)))


def flow(sender: Sender) -> Any:
    return SimpleNamespace(sender=sender)


@pytest.mark.parametrize(
    ("method", "body", "sender", "target", "status"),
    [
        ("INVITE", CLEAR, ALICES, TO_BOB, 488),
        ("INVITE", SDES, ALICES, TO_BOB, None),
        ("INVITE", CLEAR, ALICES, TO_PARTNER, None),
        ("INVITE", CLEAR, FROM_PARTNER, TO_BOB, None),
        ("MESSAGE", CLEAR, ALICES, TO_BOB, None),
        ("ACK", CLEAR, ALICES, TO_BOB, 488),
    ],
)
def test_requests(method: str, body: bytes, sender: Sender, target: Target, status: int | None) -> None:
    refused = guard().refused(flow(sender), with_body(request(method), body), Forward((target,), None))
    assert (refused and refused.status) == status
    assert refused is None or refused.code is Code.MEDIA_NOT_ENCRYPTED


def test_provisional_response_to_another_method_is_not_judged() -> None:
    """It is not forwarded (RFC 4320 section 4.1), and no CANCEL could end its branch."""
    update = request("UPDATE", to_tag="2")
    proxied = SimpleNamespace(request=update, identity=None, flow=flow(ALICES), offer=None, context=None)
    sent: Any = SimpleNamespace(request=update, proxied=proxied, flow=flow(ALICES))
    for status, is_refused in ((183, False), (200, True)):
        came = response(status, method="UPDATE")
        put_body(came, CLEAR)
        assert (guard().refused_response(sent, came) is not None) is is_refused


@pytest.mark.parametrize(
    ("status", "to_tag", "answer"), [(183, "", 488), (200, "", 488), (183, "2", 488), (200, "2", 481), (488, "", None)]
)
def test_responses(status: int, to_tag: str, answer: int | None) -> None:
    """A failure has no answer to the offer in it; the body of a 488 says what the phone can do."""
    invite = request("INVITE", to_tag=to_tag)
    proxied = SimpleNamespace(request=invite, identity=None, flow=flow(ALICES), offer=None, context=None)
    came = response(status)
    put_body(came, CLEAR)
    for far, expected in ((ALICES, answer), (FROM_PARTNER, None)):
        sent: Any = SimpleNamespace(request=invite, proxied=proxied, flow=flow(far))
        refused = guard().refused_response(sent, came)
        assert (refused and refused.status) == expected
