"""The sides of a call, by how their media are keyed, and whether two of them need rtpengine in between."""

from __future__ import annotations

from enum import Enum
from typing import Final

FINGERPRINT: Final = b"a=fingerprint:"
CRYPTO: Final = b"a=crypto:"
ICE: Final = b"a=ice-ufrag:"


class Leg(Enum):
    """One side of a call. The value says how rtpengine offers media to it."""

    SERVER = "server"
    """Another server of ours: who is behind it is not known here."""
    BROWSER = "browser"
    """A client over WebSocket: it takes DTLS-SRTP with ICE only (RFC 8827)."""
    PHONE = "phone"
    """A client over TLS: it takes SDES, and often DTLS-SRTP too."""
    SDES = "sdes"
    """A trunk with keys in its session descriptions (RFC 4568)."""
    DTLS = "dtls"
    """A trunk with DTLS-SRTP (RFC 5764)."""
    CLEAR = "none"
    """A trunk without any encryption of media: a named exception of this trunk."""

    @property
    def is_trunk(self) -> bool:
        """Whether it is a trunk whose entry says how its media are keyed: all of its calls pass rtpengine."""
        return self in {Leg.SDES, Leg.DTLS, Leg.CLEAR}


def needs_bridge(offer: bytes, sender: Leg, receiver: Leg) -> bool:
    """Tell whether *receiver* cannot take the *offer* of *sender* as it is."""
    if sender.is_trunk or receiver.is_trunk:
        return True
    if receiver is Leg.BROWSER:
        return sender is Leg.PHONE or FINGERPRINT not in offer or ICE not in offer
    return receiver is Leg.PHONE and sender is not Leg.PHONE and FINGERPRINT in offer and CRYPTO not in offer


def offers_like(offer: bytes) -> Leg:
    """Give the kind of side that has made *offer*: what is offered to it later is keyed alike.

    An offer without keys does not make a side whose media may be in the clear: only the entry of a trunk does that.
    """
    if FINGERPRINT in offer:
        return Leg.BROWSER if ICE in offer else Leg.DTLS
    return Leg.PHONE
