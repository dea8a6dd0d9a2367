"""The server side of a transaction (RFC 3261 17.2, RFC 6026 7.1). The tables are the machine; the class applies them.

Whatever a peer can send is in the tables, in every state. A pair that is not there can come from our own code only.
"""

from __future__ import annotations

from typing import Final

from sipmesh.sip.transaction.state import Do, Input, State, step
from sipmesh.sip.transaction.timers import Timer

# RFC 3261 figure 7 with RFC 6026 7.1. CONFIRMED is left out: timer I is zero (17.2.1).
INVITE: Final[dict[tuple[State, Input], tuple[State, Do]]] = {
    (State.PROCEEDING, Input.REQUEST): (State.PROCEEDING, Do.RESEND),
    (State.PROCEEDING, Input.PROVISIONAL): (State.PROCEEDING, Do.SEND),
    (State.PROCEEDING, Input.SUCCESS): (State.ACCEPTED, Do.SEND),
    (State.PROCEEDING, Input.FAILURE): (State.COMPLETED, Do.SEND),
    (State.PROCEEDING, Input.ACK): (State.PROCEEDING, Do.NOTHING),  # a peer's fault: nothing is there to acknowledge
    (State.PROCEEDING, Input.LINK_LOST): (State.TERMINATED, Do.FAIL),
    # ACCEPTED: further 2xx, of this leg or another, pass; their ACKs are the core's, and so are copies of them.
    (State.ACCEPTED, Input.REQUEST): (State.ACCEPTED, Do.NOTHING),
    (State.ACCEPTED, Input.PROVISIONAL): (State.ACCEPTED, Do.NOTHING),  # of a leg that lost
    (State.ACCEPTED, Input.SUCCESS): (State.ACCEPTED, Do.SEND),
    (State.ACCEPTED, Input.FAILURE): (State.ACCEPTED, Do.NOTHING),  # of a leg that lost
    (State.ACCEPTED, Input.ACK): (State.ACCEPTED, Do.PASS),
    (State.ACCEPTED, Input.TIMER_L): (State.TERMINATED, Do.NOTHING),
    (State.ACCEPTED, Input.LINK_LOST): (State.TERMINATED, Do.NOTHING),
    # COMPLETED: any other final response MUST be discarded (17.2.1).
    (State.COMPLETED, Input.REQUEST): (State.COMPLETED, Do.RESEND),
    (State.COMPLETED, Input.PROVISIONAL): (State.COMPLETED, Do.NOTHING),
    (State.COMPLETED, Input.SUCCESS): (State.COMPLETED, Do.NOTHING),
    (State.COMPLETED, Input.FAILURE): (State.COMPLETED, Do.NOTHING),
    (State.COMPLETED, Input.ACK): (State.TERMINATED, Do.NOTHING),
    (State.COMPLETED, Input.TIMER_H): (State.TERMINATED, Do.FAIL),
    (State.COMPLETED, Input.LINK_LOST): (State.TERMINATED, Do.NOTHING),
    # TERMINATED: a leg that answers late. Without its transaction even a 2xx MUST NOT be forwarded (RFC 6026 7.3).
    (State.TERMINATED, Input.REQUEST): (State.TERMINATED, Do.NOTHING),
    (State.TERMINATED, Input.LINK_LOST): (State.TERMINATED, Do.NOTHING),
    (State.TERMINATED, Input.ACK): (State.TERMINATED, Do.NOTHING),
    (State.TERMINATED, Input.PROVISIONAL): (State.TERMINATED, Do.NOTHING),
    (State.TERMINATED, Input.SUCCESS): (State.TERMINATED, Do.NOTHING),
    (State.TERMINATED, Input.FAILURE): (State.TERMINATED, Do.NOTHING),
}

# RFC 3261 figure 8. COMPLETED is left out: timer J is zero (17.2.2).
NON_INVITE: Final[dict[tuple[State, Input], tuple[State, Do]]] = {
    (State.TRYING, Input.REQUEST): (State.TRYING, Do.NOTHING),  # 17.2.2: discarded
    (State.TRYING, Input.PROVISIONAL): (State.PROCEEDING, Do.SEND),
    (State.TRYING, Input.SUCCESS): (State.TERMINATED, Do.SEND),
    (State.TRYING, Input.FAILURE): (State.TERMINATED, Do.SEND),
    (State.TRYING, Input.LINK_LOST): (State.TERMINATED, Do.FAIL),
    (State.PROCEEDING, Input.REQUEST): (State.PROCEEDING, Do.RESEND),
    (State.PROCEEDING, Input.PROVISIONAL): (State.PROCEEDING, Do.SEND),
    (State.PROCEEDING, Input.SUCCESS): (State.TERMINATED, Do.SEND),
    (State.PROCEEDING, Input.FAILURE): (State.TERMINATED, Do.SEND),
    (State.PROCEEDING, Input.LINK_LOST): (State.TERMINATED, Do.FAIL),
    # TERMINATED: a leg that answers late. Without its transaction even a 2xx MUST NOT be forwarded (RFC 6026 7.3).
    (State.TERMINATED, Input.REQUEST): (State.TERMINATED, Do.NOTHING),
    (State.TERMINATED, Input.LINK_LOST): (State.TERMINATED, Do.NOTHING),
    (State.TERMINATED, Input.PROVISIONAL): (State.TERMINATED, Do.NOTHING),
    (State.TERMINATED, Input.SUCCESS): (State.TERMINATED, Do.NOTHING),
    (State.TERMINATED, Input.FAILURE): (State.TERMINATED, Do.NOTHING),
}

# Which timer runs in which state of an INVITE transaction, from the moment the state was entered.
_INVITE_TIMERS: Final = {State.ACCEPTED: Timer.L, State.COMPLETED: Timer.H}


class ServerTransaction:
    """One request that came to us, until it is answered (and an INVITE's answer acknowledged).

    A CANCEL is a transaction of its own, not an input of the one it cancels (9.2).
    """

    __slots__ = ("invite", "state")

    def __init__(self, *, invite: bool) -> None:
        self.invite = invite
        self.state = State.PROCEEDING if invite else State.TRYING

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
        return self.state is State.TERMINATED

    def __repr__(self) -> str:
        return f"<ServerTransaction {'INVITE' if self.invite else 'non-INVITE'} {self.state.name}>"
