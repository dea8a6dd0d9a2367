"""Move the data of management from the files of one host to a PostgreSQL database that several management servers can share.

Nothing is lost at any instant: all rows of the history and of the audit log are copied in one transaction, then the host uses the
database, then the ledgers follow. The files stay, under another name. After a crash the same command goes on.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from sipmesh.database.shared import DATABASE, FILE, SharedDatabase
from sipmesh.errors import OperatorError
from sipmesh.pki import files
from sipmesh.pki.ca_rotation import CaGenerations
from sipmesh.pki.ledger.ledger import MOVED
from sipmesh.storage.audit_act import AuditAct
from sipmesh.storage.management_db import ManagementDb

CA = "ca"


def move(folder: Path, to: SharedDatabase, who: str, at: datetime) -> str:
    """Move the history, the audit log and the ledgers of the organisation in *folder*; returns the database without password.

    No server of the organisation's management may run. Raises `OperatorError` if the database has other content, or if the
    copy differs.
    """
    if SharedDatabase.find(folder) not in (None, to):
        raise OperatorError(f"management of this host uses another database already; see {folder / FILE}")
    target = ManagementDb(folder, to)
    try:
        if (folder / DATABASE).is_file():
            _copy_history(folder, to, target)
        _copy_ledgers(folder)
        target.audit.append(who, AuditAct.MOVE, {"to": repr(target)}, at=at)
    finally:
        target.close()
    return repr(target)


def _copy_history(folder: Path, to: SharedDatabase, target: ManagementDb) -> None:
    source = ManagementDb(folder, in_file=True)
    try:
        source.copy_to(target)
    finally:
        source.close()
    if faults := target.history.verify():
        raise OperatorError(f"the copy differs from the file, which stays in use: {'; '.join(faults)}")
    files.write(folder / FILE, to.encode(), files.SECRET)
    (folder / DATABASE).rename(folder / f"{DATABASE}{MOVED}")
    files.sync_folder(folder)


def _copy_ledgers(folder: Path) -> None:
    """Open each CA: a ledger in a file is moved then."""
    if CaGenerations.are_in(folder / CA):
        generations = CaGenerations(folder / CA)
        for number in generations.numbers:
            generations.open(number)
