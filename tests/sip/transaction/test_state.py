"""The inputs of the transaction tables, and how a table is looked up."""

from __future__ import annotations

import pytest

from sipmesh.errors import LocalError
from sipmesh.sip.transaction.state import Do, Input, TransactionState, of_status, step


@pytest.mark.parametrize(
    ("status", "given"),
    [
        (100, Input.PROVISIONAL),
        (199, Input.PROVISIONAL),
        (200, Input.SUCCESS),
        (299, Input.SUCCESS),
        (300, Input.FAILURE),
        (699, Input.FAILURE),
    ],
)
def test_response_is_sorted_by_its_class(status: int, given: Input) -> None:
    assert of_status(status) is given


def test_pair_outside_the_table_is_a_local_error() -> None:
    table = {(TransactionState.TRYING, Input.SUCCESS): (TransactionState.TERMINATED, Do.PASS)}
    assert step(table, TransactionState.TRYING, Input.SUCCESS) == (TransactionState.TERMINATED, Do.PASS)
    with pytest.raises(LocalError, match="ACK is impossible in TRYING"):
        step(table, TransactionState.TRYING, Input.ACK)
