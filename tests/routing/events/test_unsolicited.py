"""A NOTIFY outside a subscription."""

from __future__ import annotations

import pytest

from routing.messages import BOB, FROM_BOT, FROM_EDGE, FROM_PARTNER, MATE, request
from sipmesh.routing.events.unsolicited import refused_unsolicited
from sipmesh.routing.identity.sender import ClientSender, Sender
from sipmesh.routing.outcome import Answer

CLIENT = ClientSender(1, 1, frozenset({"sip:alice@example.test"}))


@pytest.mark.parametrize("sender", [CLIENT, FROM_PARTNER, FROM_EDGE])
def test_notify_without_a_subscription_is_refused(sender: Sender) -> None:
    answer = refused_unsolicited(request("NOTIFY"), sender)
    assert isinstance(answer, Answer)
    assert answer.status == 481
    assert refused_unsolicited(request("MESSAGE"), sender) is None


@pytest.mark.parametrize(
    ("event", "passes"),
    [
        ("refer", True),
        ("Dialog;id=1", True),
        ("conference", True),
        ("talk", False),
        ("refer, talk", False),
        ("", False),
    ],
)
@pytest.mark.parametrize("sender", [CLIENT, FROM_PARTNER, FROM_EDGE])
def test_notify_inside_a_dialog_tells_only_a_state(sender: Sender, event: str, *, passes: bool) -> None:
    """With `talk`, many phones answer the call that rings."""
    answer = refused_unsolicited(request("NOTIFY", BOB, ("event", event), to_tag="2"), sender)
    assert (answer is None) is passes


@pytest.mark.parametrize("sender", [MATE, FROM_BOT])
def test_notify_of_a_server_of_ours_passes(sender: Sender) -> None:
    assert refused_unsolicited(request("NOTIFY"), sender) is None
    assert refused_unsolicited(request("NOTIFY", BOB, ("event", "talk"), to_tag="2"), sender) is None
