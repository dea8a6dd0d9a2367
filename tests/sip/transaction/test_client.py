"""The client side of a transaction: every state with every input, as the RFC's figures have it."""

from __future__ import annotations

from itertools import product

import pytest

from sip.transaction.figures import (
    CLIENT_INVITE,
    CLIENT_OTHER,
    must_be_complete,
    must_end,
    must_follow,
    must_take_its_timers,
)
from sipmesh.sip.transaction.client import INVITE, NON_INVITE, ClientTransaction
from sipmesh.sip.transaction.state import Input, TransactionState
from sipmesh.sip.transaction.timers import Timer

both = pytest.mark.parametrize(
    ("invite", "figure"), [(True, CLIENT_INVITE), (False, CLIENT_OTHER)], ids=["invite", "other"]
)


@both
def test_every_state_with_every_input(figure: str, *, invite: bool) -> None:
    for state, given in product(TransactionState, Input):
        must_follow(ClientTransaction(invite=invite), figure, state, given)


def test_peer_inputs_are_in_the_table_for_every_state() -> None:
    must_be_complete(INVITE)
    must_be_complete(NON_INVITE)


@both
def test_every_state_can_be_reached_and_left(figure: str, *, invite: bool) -> None:
    must_end(ClientTransaction(invite=invite), figure)


def test_running_timer_is_an_input_of_its_state() -> None:
    must_take_its_timers(
        ClientTransaction(invite=True),
        CLIENT_INVITE,
        {TransactionState.CALLING: Timer.B, TransactionState.PROCEEDING: Timer.C, TransactionState.ACCEPTED: Timer.M},
    )
    must_take_its_timers(
        ClientTransaction(invite=False),
        CLIENT_OTHER,
        {TransactionState.TRYING: Timer.F, TransactionState.PROCEEDING: Timer.F},
    )


def test_accepts_says_whether_an_input_reaches_the_core() -> None:
    call = ClientTransaction(invite=True)
    assert call.accepts(Input.FAILURE)
    assert call.pending
    call.receive(Input.SUCCESS)
    assert call.accepts(Input.SUCCESS)
    assert not call.accepts(Input.FAILURE)
    assert (call.pending, call.over) == (False, False)
    call.receive(Input.TIMER_M)
    assert (call.over, call.accepts(Input.SUCCESS), call.state) == (True, False, TransactionState.TERMINATED)


def test_transaction_describes_itself() -> None:
    assert repr(ClientTransaction(invite=False)) == "<ClientTransaction non-INVITE TRYING>"
