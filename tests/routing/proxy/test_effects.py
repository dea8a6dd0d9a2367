"""The effects are values: the relay reads them by their place, and tests compare them."""

from __future__ import annotations

from routing.messages import CONTACT, FE2, response, row
from sipmesh.routing.proxy.effects import AwaitSilent, Cancel, Forget, SendResponse, Silence, Start
from sipmesh.routing.target import FlowTarget, RemoteFlowTarget

PHONE = FlowTarget(1, b"8 octets", CONTACT)


def test_start_names_a_server_only_where_its_target_has_several() -> None:
    match Start(2, PHONE):
        case Start(number, target, name):
            assert (number, target, name) == (2, PHONE, "")
    assert Start(2, PHONE, "a.test") != Start(2, PHONE)


def test_effects_of_the_same_content_are_equal() -> None:
    answer, gone = response(486), RemoteFlowTarget(row(server=FE2), CONTACT)
    assert SendResponse(answer) == SendResponse(answer)
    assert Forget(gone) == Forget(gone)
    assert (Silence(), AwaitSilent()) == (Silence(), AwaitSilent())


def test_cancel_without_reasons_has_none() -> None:
    assert Cancel(1) == Cancel(1, ())
    assert Cancel(1).reasons == ()
