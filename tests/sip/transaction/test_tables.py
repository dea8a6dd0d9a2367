"""Every state with every input: what the four tables say, and what they refuse.

The expectation is written out here a second time, in the shape of the RFC's figures: a state, an input, where it leads
and what is done. A pair that does not stand here must be refused.
"""

from __future__ import annotations

from itertools import product

import pytest

from sipmesh.errors import LocalError
from sipmesh.sip.transaction import client, server
from sipmesh.sip.transaction.client import ClientTransaction
from sipmesh.sip.transaction.server import ServerTransaction
from sipmesh.sip.transaction.state import Do, Input, TransactionState, of_status
from sipmesh.sip.transaction.timers import T1, Timer

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


def expected(text: str) -> Expected:
    found: Expected = {}
    for state, *edges in map(str.split, text.strip().splitlines()):
        for edge in edges:
            given, _, leads = edge.partition(">")
            after, _, todo = leads.partition("/")
            found[TransactionState[state], Input[given]] = TransactionState[after], Do[todo or "NOTHING"]
    return found


Machine = tuple[type[ServerTransaction] | type[ClientTransaction], bool, Expected]
MACHINES: dict[str, Machine] = {
    "server INVITE": (ServerTransaction, True, expected(SERVER_INVITE)),
    "server other": (ServerTransaction, False, expected(SERVER_OTHER)),
    "client INVITE": (ClientTransaction, True, expected(CLIENT_INVITE)),
    "client other": (ClientTransaction, False, expected(CLIENT_OTHER)),
}
PAIRS = [(name, state, given) for name in MACHINES for state, given in product(TransactionState, Input)]


@pytest.mark.parametrize(("name", "state", "given"), PAIRS, ids=lambda part: getattr(part, "name", part))
def test_every_state_with_every_input(name: str, state: TransactionState, given: Input) -> None:
    kind, invite, edges = MACHINES[name]
    transaction = kind(invite=invite)
    transaction.state = state
    if (state, given) in edges:
        after, todo = edges[state, given]
        assert (transaction.receive(given), transaction.state) == (todo, after)
    else:
        with pytest.raises(LocalError, match=f"{given.name} is impossible in {state.name}"):
            transaction.receive(given)
        assert transaction.state is state


@pytest.mark.parametrize("table", [server.INVITE, server.NON_INVITE, client.INVITE, client.NON_INVITE])
def test_what_a_peer_can_cause_is_possible_in_every_state(table: Expected) -> None:
    """No peer may drive us into what we call our own bug."""
    peers = {Input.REQUEST, Input.LINK_LOST} if table in (server.INVITE, server.NON_INVITE) else {Input.LINK_LOST}
    peers |= {Input.ACK} if table is server.INVITE else set()
    peers |= {Input.PROVISIONAL, Input.SUCCESS, Input.FAILURE}
    states = {state for state, _ in table} | {after for after, _ in table.values()}
    assert {(state, given) for state in states for given in peers} <= table.keys()


@pytest.mark.parametrize(
    ("name", "start"), list(zip(MACHINES, ["PROCEEDING", "TRYING", "CALLING", "TRYING"], strict=True))
)
def test_every_state_can_be_reached_and_left(name: str, start: str) -> None:
    kind, invite, edges = MACHINES[name]
    reached = {kind(invite=invite).state}
    assert reached == {TransactionState[start]}
    for _ in TransactionState:
        reached |= {after for (state, _), (after, _) in edges.items() if state in reached}
    assert reached == {state for state, _ in edges}
    assert all(
        any(after is TransactionState.TERMINATED for (state, _), (after, _) in edges.items() if state is at)
        for at in reached
    )


@pytest.mark.parametrize(
    ("transaction", "timers"),
    [
        (ServerTransaction(invite=True), {TransactionState.ACCEPTED: Timer.L, TransactionState.COMPLETED: Timer.H}),
        (ServerTransaction(invite=False), {}),
        (
            ClientTransaction(invite=True),
            {
                TransactionState.CALLING: Timer.B,
                TransactionState.PROCEEDING: Timer.C,
                TransactionState.ACCEPTED: Timer.M,
            },
        ),
        (ClientTransaction(invite=False), {TransactionState.TRYING: Timer.F, TransactionState.PROCEEDING: Timer.F}),
    ],
)
def test_the_timer_that_runs_is_one_that_the_state_takes(
    transaction: ServerTransaction | ClientTransaction, timers: dict[TransactionState, Timer]
) -> None:
    edges = next(
        edges for kind, invite, edges in MACHINES.values() if (kind, invite) == (type(transaction), transaction.invite)
    )
    for state in {state for state, _ in edges}:
        transaction.state = state
        timer = transaction.timer
        assert timer is timers.get(state)
        assert timer is None or (state, timer.input) in edges


def test_timers_are_sixty_four_times_t1_and_timer_c_above_three_minutes() -> None:
    assert {timer.seconds for timer in Timer if timer is not Timer.C} == {64 * T1} == {32.0}
    assert Timer.C.seconds > 180


@pytest.mark.parametrize(
    ("status", "given"),
    [
        (100, "PROVISIONAL"),
        (199, "PROVISIONAL"),
        (200, "SUCCESS"),
        (299, "SUCCESS"),
        (300, "FAILURE"),
        (699, "FAILURE"),
    ],
)
def test_responses_are_sorted_by_their_class(status: int, given: str) -> None:
    assert of_status(status) is Input[given]


def test_what_reaches_the_core_is_told_beforehand() -> None:
    call = ClientTransaction(invite=True)
    assert call.accepts(Input.FAILURE)
    assert call.pending
    call.receive(Input.SUCCESS)
    assert (call.accepts(Input.SUCCESS), call.accepts(Input.FAILURE), call.pending, call.over) == (
        True,
        False,
        False,
        False,
    )
    call.receive(Input.TIMER_M)
    assert (call.over, call.accepts(Input.SUCCESS), call.state) == (True, False, TransactionState.TERMINATED)


def test_transactions_describe_themselves() -> None:
    assert repr(ServerTransaction(invite=True)) == "<ServerTransaction INVITE PROCEEDING>"
    assert repr(ClientTransaction(invite=False)) == "<ClientTransaction non-INVITE TRYING>"
    assert not ServerTransaction(invite=True).over
