"""The client side of a transaction (RFC 3261 17.1, RFC 6026 7.2). The tables are the machine; the class applies them.

Whatever a peer can send is in the tables, in every state. A pair that is not there can come from our own code only.
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
    ),  # it counts in CALLING only
    (TransactionState.PROCEEDING, Input.GIVE_UP): (TransactionState.TERMINATED, Do.FAIL),
    (TransactionState.PROCEEDING, Input.LINK_LOST): (TransactionState.TERMINATED, Do.FAIL),
    # ACCEPTED: copies of the 2xx and those of other forks pass to the core, which forwards or acknowledges each.
    (TransactionState.ACCEPTED, Input.PROVISIONAL): (TransactionState.ACCEPTED, Do.NOTHING),
    (TransactionState.ACCEPTED, Input.SUCCESS): (TransactionState.ACCEPTED, Do.PASS),
    (TransactionState.ACCEPTED, Input.FAILURE): (TransactionState.ACCEPTED, Do.NOTHING),
    (TransactionState.ACCEPTED, Input.TIMER_B): (TransactionState.ACCEPTED, Do.NOTHING),
    (TransactionState.ACCEPTED, Input.TIMER_M): (TransactionState.TERMINATED, Do.NOTHING),
    (TransactionState.ACCEPTED, Input.GIVE_UP): (TransactionState.ACCEPTED, Do.NOTHING),  # it crossed with the 2xx
    (TransactionState.ACCEPTED, Input.LINK_LOST): (TransactionState.TERMINATED, Do.NOTHING),
    # TERMINATED: what a peer may still send to a transaction that is not yet forgotten.
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


# Which timer runs in which state. (Timer C is a proxy's, and is counted anew with every provisional response: 16.7.)
_INVITE_TIMERS: Final = {
    TransactionState.CALLING: Timer.B,
    TransactionState.PROCEEDING: Timer.C,
    TransactionState.ACCEPTED: Timer.M,
}
_NON_INVITE_TIMERS: Final = {TransactionState.TRYING: Timer.F, TransactionState.PROCEEDING: Timer.F}


class ClientTransaction:
    """One request that we sent, until its final answer is in (and further answers to an INVITE are out of time).

    An ACK for a 2xx belongs to no transaction (17).
    """

    __slots__ = ("invite", "state")

    def __init__(self, *, invite: bool) -> None:
        self.invite = invite
        self.state = TransactionState.CALLING if invite else TransactionState.TRYING

    def receive(self, given: Input) -> Do:
        """Apply one input; LocalError where our own code gave what cannot be."""
        self.state, todo = step(INVITE if self.invite else NON_INVITE, self.state, given)
        return todo

    def accepts(self, given: Input) -> bool:
        """Tell whether the core would get a message of this kind now; nothing changes."""
        _, todo = (INVITE if self.invite else NON_INVITE).get((self.state, given), (self.state, Do.NOTHING))
        return todo is Do.PASS or todo is Do.ACK

    @property
    def timer(self) -> Timer | None:
        """The timer that runs now, from the moment this state was entered (F: from the request on)."""
        return (_INVITE_TIMERS if self.invite else _NON_INVITE_TIMERS).get(self.state)

    @property
    def pending(self) -> bool:
        """No final answer is in."""
        return self.state not in {TransactionState.ACCEPTED, TransactionState.TERMINATED}

    @property
    def over(self) -> bool:
        """Nothing more will come of it: forget it."""
        return self.state is TransactionState.TERMINATED

    def __repr__(self) -> str:
        return f"<ClientTransaction {'INVITE' if self.invite else 'non-INVITE'} {self.state.name}>"
