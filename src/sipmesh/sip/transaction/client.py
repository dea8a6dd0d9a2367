"""The client side of a transaction (RFC 3261 17.1, RFC 6026 7.2). The tables are the machine; the class applies them.

Whatever a peer can send is in the tables, in every state. A pair that is not there can come from our own code only.
"""

from __future__ import annotations

from typing import Final

from sipmesh.sip.transaction.state import Do, Input, State, step
from sipmesh.sip.transaction.timers import Timer

# RFC 3261 figure 5 with RFC 6026 7.2. COMPLETED is left out: timer D is zero (17.1.1.2), and timer A does not run.
INVITE: Final[dict[tuple[State, Input], tuple[State, Do]]] = {
    (State.CALLING, Input.PROVISIONAL): (State.PROCEEDING, Do.PASS),
    (State.CALLING, Input.SUCCESS): (State.ACCEPTED, Do.PASS),
    (State.CALLING, Input.FAILURE): (State.TERMINATED, Do.ACK),
    (State.CALLING, Input.TIMER_B): (State.TERMINATED, Do.FAIL),
    (State.CALLING, Input.GIVE_UP): (State.TERMINATED, Do.FAIL),
    (State.CALLING, Input.LINK_LOST): (State.TERMINATED, Do.FAIL),
    (State.PROCEEDING, Input.PROVISIONAL): (State.PROCEEDING, Do.PASS),
    (State.PROCEEDING, Input.SUCCESS): (State.ACCEPTED, Do.PASS),
    (State.PROCEEDING, Input.FAILURE): (State.TERMINATED, Do.ACK),
    (State.PROCEEDING, Input.TIMER_B): (State.PROCEEDING, Do.NOTHING),  # it counts in CALLING only
    (State.PROCEEDING, Input.GIVE_UP): (State.TERMINATED, Do.FAIL),
    (State.PROCEEDING, Input.LINK_LOST): (State.TERMINATED, Do.FAIL),
    # ACCEPTED: copies of the 2xx and those of other forks pass to the core, which forwards or acknowledges each.
    (State.ACCEPTED, Input.PROVISIONAL): (State.ACCEPTED, Do.NOTHING),
    (State.ACCEPTED, Input.SUCCESS): (State.ACCEPTED, Do.PASS),
    (State.ACCEPTED, Input.FAILURE): (State.ACCEPTED, Do.NOTHING),
    (State.ACCEPTED, Input.TIMER_B): (State.ACCEPTED, Do.NOTHING),
    (State.ACCEPTED, Input.TIMER_M): (State.TERMINATED, Do.NOTHING),
    (State.ACCEPTED, Input.GIVE_UP): (State.ACCEPTED, Do.NOTHING),  # it crossed with the 2xx
    (State.ACCEPTED, Input.LINK_LOST): (State.TERMINATED, Do.NOTHING),
    # TERMINATED: what a peer may still send to a transaction that is not yet forgotten.
    (State.TERMINATED, Input.PROVISIONAL): (State.TERMINATED, Do.NOTHING),
    (State.TERMINATED, Input.SUCCESS): (State.TERMINATED, Do.NOTHING),
    (State.TERMINATED, Input.FAILURE): (State.TERMINATED, Do.NOTHING),
    (State.TERMINATED, Input.LINK_LOST): (State.TERMINATED, Do.NOTHING),
}

# RFC 3261 figure 6. COMPLETED is left out: timer K is zero (17.1.2.2), and timer E does not run.
NON_INVITE: Final[dict[tuple[State, Input], tuple[State, Do]]] = {
    (State.TRYING, Input.PROVISIONAL): (State.PROCEEDING, Do.PASS),
    (State.TRYING, Input.SUCCESS): (State.TERMINATED, Do.PASS),
    (State.TRYING, Input.FAILURE): (State.TERMINATED, Do.PASS),
    (State.TRYING, Input.TIMER_F): (State.TERMINATED, Do.FAIL),
    (State.TRYING, Input.LINK_LOST): (State.TERMINATED, Do.FAIL),
    (State.PROCEEDING, Input.PROVISIONAL): (State.PROCEEDING, Do.PASS),
    (State.PROCEEDING, Input.SUCCESS): (State.TERMINATED, Do.PASS),
    (State.PROCEEDING, Input.FAILURE): (State.TERMINATED, Do.PASS),
    (State.PROCEEDING, Input.TIMER_F): (State.TERMINATED, Do.FAIL),
    (State.PROCEEDING, Input.LINK_LOST): (State.TERMINATED, Do.FAIL),
    (State.TERMINATED, Input.PROVISIONAL): (State.TERMINATED, Do.NOTHING),
    (State.TERMINATED, Input.SUCCESS): (State.TERMINATED, Do.NOTHING),
    (State.TERMINATED, Input.FAILURE): (State.TERMINATED, Do.NOTHING),
    (State.TERMINATED, Input.LINK_LOST): (State.TERMINATED, Do.NOTHING),
}


# Which timer runs in which state. (Timer C is a proxy's, and is counted anew with every provisional response: 16.7.)
_INVITE_TIMERS: Final = {State.CALLING: Timer.B, State.PROCEEDING: Timer.C, State.ACCEPTED: Timer.M}
_NON_INVITE_TIMERS: Final = {State.TRYING: Timer.F, State.PROCEEDING: Timer.F}


class ClientTransaction:
    """One request that we sent, until its final answer is in (and further answers to an INVITE are out of time).

    An ACK for a 2xx belongs to no transaction (17).
    """

    __slots__ = ("invite", "state")

    def __init__(self, *, invite: bool) -> None:
        self.invite = invite
        self.state = State.CALLING if invite else State.TRYING

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
        return self.state not in {State.ACCEPTED, State.TERMINATED}

    @property
    def over(self) -> bool:
        """Nothing more will come of it: forget it."""
        return self.state is State.TERMINATED

    def __repr__(self) -> str:
        return f"<ClientTransaction {'INVITE' if self.invite else 'non-INVITE'} {self.state.name}>"
