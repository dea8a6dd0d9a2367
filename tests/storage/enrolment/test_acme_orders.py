"""Orders: they survive a restart, and a change counts only on the state that it was made from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest

from sipmesh.database.connection import Database
from sipmesh.database.lease import Lease
from sipmesh.storage.enrolment.acme_orders import (
    KEPT_S,
    MOST_OPEN,
    AcmeOrders,
    ChallengeStatus,
    OrderChangedError,
    OrderStatus,
)
from storage.enrolment.rows import NOON, order


@pytest.fixture(name="database")
def _database(url: str) -> Iterator[Database]:
    database = Database(url, "things")
    yield database
    database.close()


def test_order_is_read_back_as_it_was_also_by_another_process(database: Database, url: str) -> None:
    orders, made = AcmeOrders(database, Lease(database)), order(made=NOON + timedelta(microseconds=7))
    orders.add(made)
    begun = orders.change(made, replace(made, chosen="dns-01", challenge=ChallengeStatus.PROCESSING, validated=NOON))
    again = Database(url, "things")
    assert AcmeOrders(again, Lease(again)).find("o1") == begun
    again.close()
    assert orders.find("o2") is None
    with pytest.raises(OrderChangedError):
        orders.change(made, replace(made, status=OrderStatus.VALID))
    assert orders.of_account("a1") == [begun]


def test_number_of_open_orders_of_an_account_is_bounded_and_old_orders_are_removed(database: Database) -> None:
    orders = AcmeOrders(database, Lease(database))
    for number in range(MOST_OPEN + 2):
        orders.add(order(number, made=NOON + timedelta(seconds=number)))
    orders.add(order(99, "a2"))
    assert [one.id for one in orders.of_account("a1")] == [f"o{number}" for number in range(2, MOST_OPEN + 2)]
    assert len(orders.of_account("a2")) == 1
    orders.add(order(100, made=NOON + timedelta(hours=2, seconds=KEPT_S)))
    assert [one.id for one in orders.of_account("a1")] == ["o100"]


def test_order_that_was_not_finished_in_time_is_invalid() -> None:
    made = order()
    assert made.at(made.expires - timedelta(seconds=1)) is made
    late = made.at(made.expires)
    assert (late.status, late.detail) == (OrderStatus.INVALID, "the order has expired")
    done = replace(made, status=OrderStatus.VALID)
    assert done.at(made.expires) is done
