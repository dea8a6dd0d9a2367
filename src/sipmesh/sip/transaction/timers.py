"""The timers of RFC 3261 table 4 and RFC 6026, in seconds, as far as they run on reliable links."""

from __future__ import annotations

from enum import Enum
from typing import Final

from sipmesh.sip.transaction.state import Input

T1: Final = 0.5
# 16.6 step 11: timer C MUST be larger than 3 minutes.
_TIMER_C: Final = 185.0


class Timer(Enum):
    """A timer: :attr:`seconds` after it began, the caller gives :attr:`input` to the transaction."""

    B = Input.TIMER_B  # no answer to an INVITE
    C = Input.GIVE_UP  # no final answer to an INVITE
    F = Input.TIMER_F  # no final answer to another request
    H = Input.TIMER_H  # no ACK
    L = Input.TIMER_L  # how long a server remembers an accepted INVITE (RFC 6026 7.1)
    M = Input.TIMER_M  # how long a client takes further 2xx (RFC 6026 7.2)

    @property
    def seconds(self) -> float:
        """How long it runs: 64*T1 for all but C."""
        return _TIMER_C if self is Timer.C else 64 * T1

    @property
    def input(self) -> Input:
        """What to give the transaction when it fires."""
        return self.value
