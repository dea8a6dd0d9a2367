"""The server transaction (RFC 3261 17.2, RFC 6026 7.1): state tables, and the class that applies them.

The tables contain every input that a peer can cause, in every state. Only our own code can cause another pair.
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
    ),  # an error of the peer: there is no final response to acknowledge
    (TransactionState.PROCEEDING, Input.LINK_LOST): (TransactionState.TERMINATED, Do.FAIL),
    # ACCEPTED: further 2xx of this and other branches are sent. The core handles their ACKs and retransmissions.
    (TransactionState.ACCEPTED, Input.REQUEST): (TransactionState.ACCEPTED, Do.NOTHING),
    (TransactionState.ACCEPTED, Input.PROVISIONAL): (TransactionState.ACCEPTED, Do.NOTHING),  # of another branch
    (TransactionState.ACCEPTED, Input.SUCCESS): (TransactionState.ACCEPTED, Do.SEND),
    (TransactionState.ACCEPTED, Input.FAILURE): (TransactionState.ACCEPTED, Do.NOTHING),  # of another branch
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
    # TERMINATED: a branch answers late. Without a transaction even a 2xx MUST NOT be forwarded (RFC 6026 7.3).
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
    # TERMINATED: a branch answers late. Without a transaction even a 2xx MUST NOT be forwarded (RFC 6026 7.3).
    (TransactionState.TERMINATED, Input.REQUEST): (TransactionState.TERMINATED, Do.NOTHING),
    (TransactionState.TERMINATED, Input.LINK_LOST): (TransactionState.TERMINATED, Do.NOTHING),
    (TransactionState.TERMINATED, Input.PROVISIONAL): (TransactionState.TERMINATED, Do.NOTHING),
    (TransactionState.TERMINATED, Input.SUCCESS): (TransactionState.TERMINATED, Do.NOTHING),
    (TransactionState.TERMINATED, Input.FAILURE): (TransactionState.TERMINATED, Do.NOTHING),
}

# The timer of each state of an INVITE transaction. It starts when the state is entered.
_INVITE_TIMERS: Final = {TransactionState.ACCEPTED: Timer.L, TransactionState.COMPLETED: Timer.H}


class ServerTransaction:
    """The transaction of a request that we received. It ends after the response; for an INVITE, after the ACK or a timer.

    A CANCEL has a transaction of its own. It is not an input of the transaction that it cancels (9.2).
    """

    __slots__ = ("invite", "state")

    def __init__(self, *, invite: bool) -> None:
        self.invite = invite
        self.state = TransactionState.PROCEEDING if invite else TransactionState.TRYING

    def receive(self, given: Input) -> Do:
        """Apply one input, and give the action; LocalError for a pair that is not in the table, which is a bug."""
        self.state, todo = step(INVITE if self.invite else NON_INVITE, self.state, given)
        return todo

    @property
    def timer(self) -> Timer | None:
        """The timer of this state."""
        return _INVITE_TIMERS.get(self.state) if self.invite else None

    @property
    def over(self) -> bool:
        """Whether the transaction has ended and can be deleted."""
        return self.state is TransactionState.TERMINATED

    def __repr__(self) -> str:
        return f"<ServerTransaction {'INVITE' if self.invite else 'non-INVITE'} {self.state.name}>"
