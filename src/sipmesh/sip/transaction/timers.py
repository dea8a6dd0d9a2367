"""The timers of RFC 3261 table 4 and RFC 6026 that run on reliable transports. Units: seconds."""

from __future__ import annotations

from enum import Enum
from typing import Final

from sipmesh.sip.transaction.state import Input

T1: Final = 0.5
# 16.6 step 11: timer C MUST be larger than 3 minutes.
_TIMER_C: Final = 185.0


class Timer(Enum):
    """A timer. :attr:`seconds` after its start, the caller gives :attr:`input` to the transaction."""

    B = Input.TIMER_B  # no response to an INVITE
    C = Input.GIVE_UP  # no final response to an INVITE
    F = Input.TIMER_F  # no final response to another request
    H = Input.TIMER_H  # no ACK
    L = Input.TIMER_L  # how long a server keeps an accepted INVITE (RFC 6026 7.1)
    M = Input.TIMER_M  # how long a client accepts further 2xx (RFC 6026 7.2)

    @property
    def seconds(self) -> float:
        """How long the timer runs: 185 s for C, 64*T1 for the others."""
        return _TIMER_C if self is Timer.C else 64 * T1

    @property
    def input(self) -> Input:
        """The input of the transaction when the timer fires."""
        return self.value
