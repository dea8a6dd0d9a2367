"""The server side of a transaction: every state with every input, as the RFC's figures have it."""

from __future__ import annotations

from itertools import product

import pytest

from sip.transaction.figures import (
    SERVER_INVITE,
    SERVER_OTHER,
    must_be_complete,
    must_end,
    must_follow,
    must_take_its_timers,
)
from sipmesh.sip.transaction.server import INVITE, NON_INVITE, ServerTransaction
from sipmesh.sip.transaction.state import Input, TransactionState
from sipmesh.sip.transaction.timers import Timer

both = pytest.mark.parametrize(
    ("invite", "figure"), [(True, SERVER_INVITE), (False, SERVER_OTHER)], ids=["invite", "other"]
)


@both
def test_every_state_with_every_input(figure: str, *, invite: bool) -> None:
    for state, given in product(TransactionState, Input):
        must_follow(ServerTransaction(invite=invite), figure, state, given)


def test_peer_inputs_are_in_the_table_for_every_state() -> None:
    must_be_complete(INVITE, Input.REQUEST, Input.ACK)
    must_be_complete(NON_INVITE, Input.REQUEST)


@both
def test_every_state_can_be_reached_and_left(figure: str, *, invite: bool) -> None:
    must_end(ServerTransaction(invite=invite), figure)


def test_running_timer_is_an_input_of_its_state() -> None:
    must_take_its_timers(
        ServerTransaction(invite=True),
        SERVER_INVITE,
        {TransactionState.ACCEPTED: Timer.L, TransactionState.COMPLETED: Timer.H},
    )
    must_take_its_timers(ServerTransaction(invite=False), SERVER_OTHER, {})


def test_transaction_describes_itself() -> None:
    assert repr(ServerTransaction(invite=True)) == "<ServerTransaction INVITE PROCEEDING>"
    assert not ServerTransaction(invite=True).over
