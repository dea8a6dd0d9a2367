"""The server side of a transaction (RFC 3261 17.2, RFC 6026 7.1). The tables are the machine; the class applies them.

Whatever a peer can send is in the tables, in every state. A pair that is not there can come from our own code only.
"""

from __future__ import annotations

from typing import Final

from sipmesh.sip.transaction.state import Do, Input, TransactionState, step
from sipmesh.sip.transaction.timers import Timer

# RFC 3261 figure 7 with RFC 6026 7.1. CONFIRMED is left out: timer I is zero (17.2.1).
INVITE: Final[dict[tuple[TransactionState, Input], tuple[TransactionState, Do]]] = {
    (TransactionState.PROCEEDING, Input.REQUEST): (TransactionState.PROCEEDING, Do.RESEND),
    (TransactionState.PROCEEDING, Input.PROVISIONAL): (TransactionState.PROCEEDING, Do.SEND),
    (TransactionState.PROCEEDING, Input.SUCCESS): (TransactionState.ACCEPTED, Do.SEND),
    (TransactionState.PROCEEDING, Input.FAILURE): (TransactionState.COMPLETED, Do.SEND),
    (TransactionState.PROCEEDING, Input.ACK): (
        TransactionState.PROCEEDING,
        Do.NOTHING,
    ),  # a peer's fault: nothing is there to acknowledge
    (TransactionState.PROCEEDING, Input.LINK_LOST): (TransactionState.TERMINATED, Do.FAIL),
    # ACCEPTED: further 2xx, of this leg or another, pass; their ACKs are the core's, and so are copies of them.
    (TransactionState.ACCEPTED, Input.REQUEST): (TransactionState.ACCEPTED, Do.NOTHING),
    (TransactionState.ACCEPTED, Input.PROVISIONAL): (TransactionState.ACCEPTED, Do.NOTHING),  # of a leg that lost
    (TransactionState.ACCEPTED, Input.SUCCESS): (TransactionState.ACCEPTED, Do.SEND),
    (TransactionState.ACCEPTED, Input.FAILURE): (TransactionState.ACCEPTED, Do.NOTHING),  # of a leg that lost
    (TransactionState.ACCEPTED, Input.ACK): (TransactionState.ACCEPTED, Do.PASS),
    (TransactionState.ACCEPTED, Input.TIMER_L): (TransactionState.TERMINATED, Do.NOTHING),
    (TransactionState.ACCEPTED, Input.LINK_LOST): (TransactionState.TERMINATED, Do.NOTHING),
    # COMPLETED: any other final response MUST be discarded (17.2.1).
    (TransactionState.COMPLETED, Input.REQUEST): (TransactionState.COMPLETED, Do.RESEND),
    (TransactionState.COMPLETED, Input.PROVISIONAL): (TransactionState.COMPLETED, Do.NOTHING),
    (TransactionState.COMPLETED, Input.SUCCESS): (TransactionState.COMPLETED, Do.NOTHING),
    (TransactionState.COMPLETED, Input.FAILURE): (TransactionState.COMPLETED, Do.NOTHING),
    (TransactionState.COMPLETED, Input.ACK): (TransactionState.TERMINATED, Do.NOTHING),
    (TransactionState.COMPLETED, Input.TIMER_H): (TransactionState.TERMINATED, Do.FAIL),
    (TransactionState.COMPLETED, Input.LINK_LOST): (TransactionState.TERMINATED, Do.NOTHING),
    # TERMINATED: a leg that answers late. Without its transaction even a 2xx MUST NOT be forwarded (RFC 6026 7.3).
    (TransactionState.TERMINATED, Input.REQUEST): (TransactionState.TERMINATED, Do.NOTHING),
    (TransactionState.TERMINATED, Input.LINK_LOST): (TransactionState.TERMINATED, Do.NOTHING),
    (TransactionState.TERMINATED, Input.ACK): (TransactionState.TERMINATED, Do.NOTHING),
    (TransactionState.TERMINATED, Input.PROVISIONAL): (TransactionState.TERMINATED, Do.NOTHING),
    (TransactionState.TERMINATED, Input.SUCCESS): (TransactionState.TERMINATED, Do.NOTHING),
    (TransactionState.TERMINATED, Input.FAILURE): (TransactionState.TERMINATED, Do.NOTHING),
}

# RFC 3261 figure 8. COMPLETED is left out: timer J is zero (17.2.2).
NON_INVITE: Final[dict[tuple[TransactionState, Input], tuple[TransactionState, Do]]] = {
    (TransactionState.TRYING, Input.REQUEST): (TransactionState.TRYING, Do.NOTHING),  # 17.2.2: discarded
    (TransactionState.TRYING, Input.PROVISIONAL): (TransactionState.PROCEEDING, Do.SEND),
    (TransactionState.TRYING, Input.SUCCESS): (TransactionState.TERMINATED, Do.SEND),
    (TransactionState.TRYING, Input.FAILURE): (TransactionState.TERMINATED, Do.SEND),
    (TransactionState.TRYING, Input.LINK_LOST): (TransactionState.TERMINATED, Do.FAIL),
    (TransactionState.PROCEEDING, Input.REQUEST): (TransactionState.PROCEEDING, Do.RESEND),
    (TransactionState.PROCEEDING, Input.PROVISIONAL): (TransactionState.PROCEEDING, Do.SEND),
    (TransactionState.PROCEEDING, Input.SUCCESS): (TransactionState.TERMINATED, Do.SEND),
    (TransactionState.PROCEEDING, Input.FAILURE): (TransactionState.TERMINATED, Do.SEND),
    (TransactionState.PROCEEDING, Input.LINK_LOST): (TransactionState.TERMINATED, Do.FAIL),
    # TERMINATED: a leg that answers late. Without its transaction even a 2xx MUST NOT be forwarded (RFC 6026 7.3).
    (TransactionState.TERMINATED, Input.REQUEST): (TransactionState.TERMINATED, Do.NOTHING),
    (TransactionState.TERMINATED, Input.LINK_LOST): (TransactionState.TERMINATED, Do.NOTHING),
    (TransactionState.TERMINATED, Input.PROVISIONAL): (TransactionState.TERMINATED, Do.NOTHING),
    (TransactionState.TERMINATED, Input.SUCCESS): (TransactionState.TERMINATED, Do.NOTHING),
    (TransactionState.TERMINATED, Input.FAILURE): (TransactionState.TERMINATED, Do.NOTHING),
}

# Which timer runs in which state of an INVITE transaction, from the moment the state was entered.
_INVITE_TIMERS: Final = {TransactionState.ACCEPTED: Timer.L, TransactionState.COMPLETED: Timer.H}


class ServerTransaction:
    """One request that came to us, until it is answered (and an INVITE's answer acknowledged).

    A CANCEL is a transaction of its own, not an input of the one it cancels (9.2).
    """

    __slots__ = ("invite", "state")

    def __init__(self, *, invite: bool) -> None:
        self.invite = invite
        self.state = TransactionState.PROCEEDING if invite else TransactionState.TRYING

    def receive(self, given: Input) -> Do:
        """Apply one input; LocalError where our own code gave what cannot be."""
        self.state, todo = step(INVITE if self.invite else NON_INVITE, self.state, given)
        return todo

    @property
    def timer(self) -> Timer | None:
        """The timer that runs now."""
        return _INVITE_TIMERS.get(self.state) if self.invite else None

    @property
    def over(self) -> bool:
        """Nothing more will come of it: forget it."""
        return self.state is TransactionState.TERMINATED

    def __repr__(self) -> str:
        return f"<ServerTransaction {'INVITE' if self.invite else 'non-INVITE'} {self.state.name}>"
