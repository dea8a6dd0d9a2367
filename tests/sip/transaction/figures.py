"""RFC 3261 figures 5 to 8 and RFC 6026 section 7: the result of every input in every state.

The expected values are written here a second time, in the form of the figures: state, input, next state and action. A pair
that is not here must be refused.
"""

from __future__ import annotations

import pytest

from sipmesh.errors import LocalError
from sipmesh.sip.transaction.client import ClientTransaction
from sipmesh.sip.transaction.server import ServerTransaction
from sipmesh.sip.transaction.state import Do, Input, TransactionState
from sipmesh.sip.transaction.timers import Timer

# Lines of: state, then input>next state/what is done (nothing where left out).
SERVER_INVITE = """
PROCEEDING REQUEST>PROCEEDING/RESEND PROVISIONAL>PROCEEDING/SEND SUCCESS>ACCEPTED/SEND FAILURE>COMPLETED/SEND
PROCEEDING ACK>PROCEEDING LINK_LOST>TERMINATED/FAIL
ACCEPTED REQUEST>ACCEPTED PROVISIONAL>ACCEPTED SUCCESS>ACCEPTED/SEND FAILURE>ACCEPTED ACK>ACCEPTED/PASS
ACCEPTED TIMER_L>TERMINATED LINK_LOST>TERMINATED
COMPLETED REQUEST>COMPLETED/RESEND PROVISIONAL>COMPLETED SUCCESS>COMPLETED FAILURE>COMPLETED ACK>TERMINATED
COMPLETED TIMER_H>TERMINATED/FAIL LINK_LOST>TERMINATED
TERMINATED REQUEST>TERMINATED PROVISIONAL>TERMINATED SUCCESS>TERMINATED FAILURE>TERMINATED ACK>TERMINATED
TERMINATED LINK_LOST>TERMINATED
"""
SERVER_OTHER = """
TRYING REQUEST>TRYING PROVISIONAL>PROCEEDING/SEND SUCCESS>TERMINATED/SEND FAILURE>TERMINATED/SEND
TRYING LINK_LOST>TERMINATED/FAIL
PROCEEDING REQUEST>PROCEEDING/RESEND PROVISIONAL>PROCEEDING/SEND SUCCESS>TERMINATED/SEND FAILURE>TERMINATED/SEND
PROCEEDING LINK_LOST>TERMINATED/FAIL
TERMINATED REQUEST>TERMINATED PROVISIONAL>TERMINATED SUCCESS>TERMINATED FAILURE>TERMINATED LINK_LOST>TERMINATED
"""
CLIENT_INVITE = """
CALLING PROVISIONAL>PROCEEDING/PASS SUCCESS>ACCEPTED/PASS FAILURE>TERMINATED/ACK
CALLING TIMER_B>TERMINATED/FAIL GIVE_UP>TERMINATED/FAIL LINK_LOST>TERMINATED/FAIL
PROCEEDING PROVISIONAL>PROCEEDING/PASS SUCCESS>ACCEPTED/PASS FAILURE>TERMINATED/ACK
PROCEEDING TIMER_B>PROCEEDING GIVE_UP>TERMINATED/FAIL LINK_LOST>TERMINATED/FAIL
ACCEPTED PROVISIONAL>ACCEPTED SUCCESS>ACCEPTED/PASS FAILURE>ACCEPTED
ACCEPTED TIMER_B>ACCEPTED TIMER_M>TERMINATED GIVE_UP>ACCEPTED LINK_LOST>TERMINATED
TERMINATED PROVISIONAL>TERMINATED SUCCESS>TERMINATED FAILURE>TERMINATED LINK_LOST>TERMINATED
"""
CLIENT_OTHER = """
TRYING PROVISIONAL>PROCEEDING/PASS SUCCESS>TERMINATED/PASS FAILURE>TERMINATED/PASS
TRYING TIMER_F>TERMINATED/FAIL LINK_LOST>TERMINATED/FAIL
PROCEEDING PROVISIONAL>PROCEEDING/PASS SUCCESS>TERMINATED/PASS FAILURE>TERMINATED/PASS
PROCEEDING TIMER_F>TERMINATED/FAIL LINK_LOST>TERMINATED/FAIL
TERMINATED PROVISIONAL>TERMINATED SUCCESS>TERMINATED FAILURE>TERMINATED LINK_LOST>TERMINATED
"""
Expected = dict[tuple[TransactionState, Input], tuple[TransactionState, Do]]


Transaction = ClientTransaction | ServerTransaction


def expected(text: str) -> Expected:
    """Read a figure."""
    found: Expected = {}
    for state, *edges in map(str.split, text.strip().splitlines()):
        for edge in edges:
            given, _, leads = edge.partition(">")
            after, _, todo = leads.partition("/")
            found[TransactionState[state], Input[given]] = TransactionState[after], Do[todo or "NOTHING"]
    return found


def must_follow(transaction: Transaction, figure: str, state: TransactionState, given: Input) -> None:
    """See that *transaction* does in *state* with *given* what the figure says, and refuses what is not in it."""
    transaction.state, edges = state, expected(figure)
    if (state, given) in edges:
        after, todo = edges[state, given]
        assert (transaction.receive(given), transaction.state) == (todo, after)
    else:
        with pytest.raises(LocalError, match=f"{given.name} is impossible in {state.name}"):
            transaction.receive(given)
        assert transaction.state is state


def must_be_complete(table: Expected, *from_peers: Input) -> None:
    """See that no peer may drive us into what we call our own bug."""
    possible = {Input.LINK_LOST, Input.PROVISIONAL, Input.SUCCESS, Input.FAILURE, *from_peers}
    states = {state for state, _ in table} | {after for after, _ in table.values()}
    assert {(state, given) for state in states for given in possible} <= table.keys()


def must_end(transaction: Transaction, figure: str) -> None:
    """See that every state can be reached from the first and leads to the end."""
    edges, reached = expected(figure), {transaction.state}
    for _ in TransactionState:
        reached |= {after for (state, _), (after, _) in edges.items() if state in reached}
    assert reached == {state for state, _ in edges}
    for at in reached:
        assert any(after is TransactionState.TERMINATED for (state, _), (after, _) in edges.items() if state is at)


def must_take_its_timers(transaction: Transaction, figure: str, timers: dict[TransactionState, Timer]) -> None:
    """See that the timer of each state is valid in the state."""
    edges = expected(figure)
    for state in {state for state, _ in edges}:
        transaction.state = state
        assert transaction.timer is timers.get(state)
        assert transaction.timer is None or (state, transaction.timer.input) in edges
