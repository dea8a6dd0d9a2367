"""The orders of ACME clients (RFC 8555 7.1.3), each with its one authorization: they survive a restart and a change of leader."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Final

import sqlalchemy as sql

from sipmesh.database.schema import ENROLMENT
from sipmesh.errors import OperatorError
from sipmesh.storage.enrolment.enrolment_tables import ORDERS
from sipmesh.typed_json import plain, read_document

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sipmesh.database.connection import Database
    from sipmesh.database.lease import Lease

MOST_OPEN: Final = 8
"""Orders of one account that have not ended. A new one beyond takes the place of the oldest."""

KEPT_S: Final = 7 * 86_400.0
"""Seconds for which an order is kept after it has expired."""


class OrderStatus(StrEnum):
    """The states of an order (RFC 8555 7.1.6)."""

    PENDING = "pending"
    READY = "ready"
    PROCESSING = "processing"
    VALID = "valid"
    INVALID = "invalid"


class ChallengeStatus(StrEnum):
    """The states of the challenge that the client has chosen (RFC 8555 7.1.6)."""

    PENDING = "pending"
    PROCESSING = "processing"
    VALID = "valid"
    INVALID = "invalid"


class OrderChangedError(OperatorError):
    """The order is in another state by now."""


@dataclass(frozen=True, slots=True)
class AcmeOrder:
    """One order of *account* for the entry *server* of the topology, which asks for *names*. *token* is that of its challenges.

    *chosen* is the type of the challenge that the client has answered, "" before. *fault* and *detail* say why the challenge has
    failed. *chain* is the certificate with its issuers, in PEM, and *replaces* the serial number of the certificate before.
    """

    id: str
    account: str
    server: str
    names: tuple[str, ...]
    token: str
    made: datetime
    expires: datetime
    status: OrderStatus = OrderStatus.PENDING
    chosen: str = ""
    challenge: ChallengeStatus = ChallengeStatus.PENDING
    validated: datetime | None = None
    fault: str = ""
    detail: str = ""
    replaces: str = ""
    chain: str = field(default="", repr=False)

    def at(self, now: datetime) -> AcmeOrder:
        """Return the order as it is at a time: an order that is not finished when it expires is invalid."""
        ended = (OrderStatus.VALID, OrderStatus.INVALID)
        if now < self.expires or self.status in ended:
            return self
        return replace(self, status=OrderStatus.INVALID, fault="malformed", detail="the order has expired")


class AcmeOrders:
    """The orders in the *database* of management. Only the holder of the *lease* writes."""

    __slots__ = ("_database", "_lease")

    def __init__(self, database: Database, lease: Lease) -> None:
        """Migrate the database if needed; raises `OperatorError` if the database cannot be used."""
        self._database, self._lease = database, lease
        database.migrate(ENROLMENT)

    def add(self, order: AcmeOrder) -> None:
        """Store a new order, and remove old orders: those that expired long ago, and open orders beyond `MOST_OPEN`."""
        at = order.made.timestamp()
        with self._database.border(), self._database.engine.begin() as db:
            self._lease.enter(db)
            db.execute(ORDERS.delete().where(ORDERS.c.expires < at - KEPT_S))
            mine = sql.select(ORDERS.c.id).where(ORDERS.c.account == order.account, ORDERS.c.expires > at)
            surplus = mine.order_by(ORDERS.c.made.desc(), ORDERS.c.id).offset(MOST_OPEN - 1)
            for row in db.execute(surplus).all():
                db.execute(ORDERS.delete().where(ORDERS.c.id == row.id))
            db.execute(ORDERS.insert().values(_row(order)))

    def find(self, order_id: str) -> AcmeOrder | None:
        """Return the order with an id, None if there is none."""
        with self._database.border(), self._database.engine.connect() as db:
            row = db.execute(sql.select(ORDERS.c.document).where(ORDERS.c.id == order_id)).first()
        return _order(row.document) if row is not None else None

    def of_account(self, account: str) -> Sequence[AcmeOrder]:
        """Return the orders of an account, oldest first."""
        found = sql.select(ORDERS.c.document).where(ORDERS.c.account == account).order_by(ORDERS.c.made, ORDERS.c.id)
        with self._database.border(), self._database.engine.connect() as db:
            return [_order(row.document) for row in db.execute(found)]

    def change(self, before: AcmeOrder, after: AcmeOrder) -> AcmeOrder:
        """Replace an order that is still as *before*; raises `OrderChangedError` if it is not. Returns *after*."""
        with self._database.border(), self._database.engine.begin() as db:
            self._lease.enter(db)
            is_same = sql.and_(ORDERS.c.id == before.id, ORDERS.c.document == _text(before))
            changed = db.execute(ORDERS.update().where(is_same).values(_row(after)))
            if changed.rowcount != 1:
                raise OrderChangedError("the order was changed by another request; read it again")
        return after


def _row(order: AcmeOrder) -> dict[str, object]:
    return {
        "id": order.id,
        "account": order.account,
        "document": _text(order),
        "made": order.made.timestamp(),
        "expires": order.expires.timestamp(),
    }


def _text(order: AcmeOrder) -> str:
    return json.dumps(order, default=plain)


def _order(text: str) -> AcmeOrder:
    return read_document(AcmeOrder, text)
