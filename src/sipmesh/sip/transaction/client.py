"""The client transaction (RFC 3261 17.1, RFC 6026 7.2): state tables, and the class that applies them.

The tables contain every input that a peer can cause, in every state. Only our own code can cause another pair.
"""

from __future__ import annotations

from typing import Final

from sipmesh.sip.transaction.state import Do, Input, TransactionState, step
from sipmesh.sip.transaction.timers import Timer

# RFC 3261 figure 5 with RFC 6026 7.2. COMPLETED is left out: timer D is zero (17.1.1.2), and timer A does not run.
INVITE: Final[dict[tuple[TransactionState, Input], tuple[TransactionState, Do]]] = {
    (TransactionState.CALLING, Input.PROVISIONAL): (TransactionState.PROCEEDING, Do.PASS),
    (TransactionState.CALLING, Input.SUCCESS): (TransactionState.ACCEPTED, Do.PASS),
    (TransactionState.CALLING, Input.FAILURE): (TransactionState.TERMINATED, Do.ACK),
    (TransactionState.CALLING, Input.TIMER_B): (TransactionState.TERMINATED, Do.FAIL),
    (TransactionState.CALLING, Input.GIVE_UP): (TransactionState.TERMINATED, Do.FAIL),
    (TransactionState.CALLING, Input.LINK_LOST): (TransactionState.TERMINATED, Do.FAIL),
    (TransactionState.PROCEEDING, Input.PROVISIONAL): (TransactionState.PROCEEDING, Do.PASS),
    (TransactionState.PROCEEDING, Input.SUCCESS): (TransactionState.ACCEPTED, Do.PASS),
    (TransactionState.PROCEEDING, Input.FAILURE): (TransactionState.TERMINATED, Do.ACK),
    (TransactionState.PROCEEDING, Input.TIMER_B): (
        TransactionState.PROCEEDING,
        Do.NOTHING,
    ),  # timer B has a meaning in CALLING only
    (TransactionState.PROCEEDING, Input.GIVE_UP): (TransactionState.TERMINATED, Do.FAIL),
    (TransactionState.PROCEEDING, Input.LINK_LOST): (TransactionState.TERMINATED, Do.FAIL),
    # ACCEPTED: copies of the 2xx, and the 2xx of other branches, pass to the core. The core forwards or acknowledges them.
    (TransactionState.ACCEPTED, Input.PROVISIONAL): (TransactionState.ACCEPTED, Do.NOTHING),
    (TransactionState.ACCEPTED, Input.SUCCESS): (TransactionState.ACCEPTED, Do.PASS),
    (TransactionState.ACCEPTED, Input.FAILURE): (TransactionState.ACCEPTED, Do.NOTHING),
    (TransactionState.ACCEPTED, Input.TIMER_B): (TransactionState.ACCEPTED, Do.NOTHING),
    (TransactionState.ACCEPTED, Input.TIMER_M): (TransactionState.TERMINATED, Do.NOTHING),
    (TransactionState.ACCEPTED, Input.GIVE_UP): (TransactionState.ACCEPTED, Do.NOTHING),  # the 2xx came first
    (TransactionState.ACCEPTED, Input.LINK_LOST): (TransactionState.TERMINATED, Do.NOTHING),
    # TERMINATED: what a peer may still send before the transaction is deleted.
    (TransactionState.TERMINATED, Input.PROVISIONAL): (TransactionState.TERMINATED, Do.NOTHING),
    (TransactionState.TERMINATED, Input.SUCCESS): (TransactionState.TERMINATED, Do.NOTHING),
    (TransactionState.TERMINATED, Input.FAILURE): (TransactionState.TERMINATED, Do.NOTHING),
    (TransactionState.TERMINATED, Input.LINK_LOST): (TransactionState.TERMINATED, Do.NOTHING),
}

# RFC 3261 figure 6. COMPLETED is left out: timer K is zero (17.1.2.2), and timer E does not run.
NON_INVITE: Final[dict[tuple[TransactionState, Input], tuple[TransactionState, Do]]] = {
    (TransactionState.TRYING, Input.PROVISIONAL): (TransactionState.PROCEEDING, Do.PASS),
    (TransactionState.TRYING, Input.SUCCESS): (TransactionState.TERMINATED, Do.PASS),
    (TransactionState.TRYING, Input.FAILURE): (TransactionState.TERMINATED, Do.PASS),
    (TransactionState.TRYING, Input.TIMER_F): (TransactionState.TERMINATED, Do.FAIL),
    (TransactionState.TRYING, Input.LINK_LOST): (TransactionState.TERMINATED, Do.FAIL),
    (TransactionState.PROCEEDING, Input.PROVISIONAL): (TransactionState.PROCEEDING, Do.PASS),
    (TransactionState.PROCEEDING, Input.SUCCESS): (TransactionState.TERMINATED, Do.PASS),
    (TransactionState.PROCEEDING, Input.FAILURE): (TransactionState.TERMINATED, Do.PASS),
    (TransactionState.PROCEEDING, Input.TIMER_F): (TransactionState.TERMINATED, Do.FAIL),
    (TransactionState.PROCEEDING, Input.LINK_LOST): (TransactionState.TERMINATED, Do.FAIL),
    (TransactionState.TERMINATED, Input.PROVISIONAL): (TransactionState.TERMINATED, Do.NOTHING),
    (TransactionState.TERMINATED, Input.SUCCESS): (TransactionState.TERMINATED, Do.NOTHING),
    (TransactionState.TERMINATED, Input.FAILURE): (TransactionState.TERMINATED, Do.NOTHING),
    (TransactionState.TERMINATED, Input.LINK_LOST): (TransactionState.TERMINATED, Do.NOTHING),
}


# The timer of each state. (A proxy restarts timer C at each provisional response: 16.7.)
_INVITE_TIMERS: Final = {
    TransactionState.CALLING: Timer.B,
    TransactionState.PROCEEDING: Timer.C,
    TransactionState.ACCEPTED: Timer.M,
}
_NON_INVITE_TIMERS: Final = {TransactionState.TRYING: Timer.F, TransactionState.PROCEEDING: Timer.F}


class ClientTransaction:
    """The transaction of a request that we sent. It ends after the final response; for a 2xx of an INVITE, after timer M.

    The ACK for a 2xx belongs to no transaction (RFC 3261 17).
    """

    __slots__ = ("invite", "state")

    def __init__(self, *, invite: bool) -> None:
        self.invite = invite
        self.state = TransactionState.CALLING if invite else TransactionState.TRYING

    def receive(self, given: Input) -> Do:
        """Apply one input, and give the action; LocalError for a pair that is not in the table, which is a bug."""
        self.state, todo = step(INVITE if self.invite else NON_INVITE, self.state, given)
        return todo

    def accepts(self, given: Input) -> bool:
        """Tell whether the core would get a message of this kind now. The state does not change."""
        _, todo = (INVITE if self.invite else NON_INVITE).get((self.state, given), (self.state, Do.NOTHING))
        return todo is Do.PASS or todo is Do.ACK

    @property
    def timer(self) -> Timer | None:
        """The timer of this state. It starts when the state is entered; timer F starts when the request is sent."""
        return (_INVITE_TIMERS if self.invite else _NON_INVITE_TIMERS).get(self.state)

    @property
    def pending(self) -> bool:
        """Whether no final response has come."""
        return self.state is not TransactionState.ACCEPTED and self.state is not TransactionState.TERMINATED

    @property
    def over(self) -> bool:
        """Whether the transaction has ended and can be deleted."""
        return self.state is TransactionState.TERMINATED

    def __repr__(self) -> str:
        return f"<ClientTransaction {'INVITE' if self.invite else 'non-INVITE'} {self.state.name}>"
