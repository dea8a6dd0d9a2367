"""Which sides of a call need rtpengine in between."""

from __future__ import annotations

import pytest

from sipmesh.routing.media.bridging.leg import ICE, Leg, needs_bridge, offers_like
from support.descriptions import CLEAR, DTLS, SDES

BROWSER = DTLS + ICE + b"abcd\r\n"


@pytest.mark.parametrize(
    ("offer", "sender", "receiver", "needs"),
    [
        (BROWSER, Leg.BROWSER, Leg.BROWSER, False),
        (BROWSER, Leg.BROWSER, Leg.PHONE, True),
        (SDES, Leg.PHONE, Leg.BROWSER, True),
        (SDES, Leg.PHONE, Leg.PHONE, False),
        (DTLS, Leg.PHONE, Leg.PHONE, False),
        (BROWSER, Leg.SERVER, Leg.BROWSER, False),
        (SDES, Leg.SERVER, Leg.BROWSER, True),
        (DTLS, Leg.SERVER, Leg.BROWSER, True),
        (BROWSER, Leg.SERVER, Leg.PHONE, True),
        (BROWSER, Leg.BROWSER, Leg.SERVER, False),
        (SDES, Leg.SERVER, Leg.CLEAR, True),
        (SDES, Leg.SERVER, Leg.SDES, True),
        (CLEAR, Leg.CLEAR, Leg.SERVER, True),
    ],
)
def test_bridge_is_needed_where_the_receiver_cannot_take_the_offer(
    offer: bytes, sender: Leg, receiver: Leg, *, needs: bool
) -> None:
    assert needs_bridge(offer, sender, receiver) is needs


@pytest.mark.parametrize(
    ("offer", "kind"), [(BROWSER, Leg.BROWSER), (DTLS, Leg.DTLS), (SDES, Leg.PHONE), (CLEAR, Leg.PHONE)]
)
def test_later_offers_are_keyed_like_the_first_one(offer: bytes, kind: Leg) -> None:
    assert offers_like(offer) is kind
