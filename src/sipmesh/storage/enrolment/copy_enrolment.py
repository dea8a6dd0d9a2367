"""Copy the rows of enrolment into another database of management: accounts and open orders survive a move and a backup.

Tokens do not: a token that was used after a backup must not count again after it is restored.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sipmesh.storage.append_only import copy_rows
from sipmesh.storage.enrolment.enrolment_tables import ACCOUNTS, CERTIFICATES, ORDERS

if TYPE_CHECKING:
    import sqlalchemy as sql


def copy_enrolment(source: sql.Connection, target: sql.Connection) -> None:
    """Copy accounts, orders and certificates; raises `OperatorError` if *target* has other rows."""
    for table in (ACCOUNTS, ORDERS):
        copy_rows(source, target, table, table.c.id)
    copy_rows(source, target, CERTIFICATES, CERTIFICATES.c.serial)
