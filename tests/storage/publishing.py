"""A signer and a topology, as far as the history needs them, and a process that publishes until it is killed."""

from __future__ import annotations

import os
import signal
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sql
from cryptography.hazmat.primitives.asymmetric import ec

from sipmesh.database.connection import Database
from sipmesh.database.lease import Lease
from sipmesh.demo.forge import Forge, Wish
from sipmesh.storage.audit import Audit
from sipmesh.storage.history import History, Slot
from sipmesh.topology.versions.jose import sign
from sipmesh.topology.versions.publication import KIND, Publication
from sipmesh.trust.x509.certificate import DOCUMENT_SIGNING

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
_FORGE = Forge(NOON)
_MG1 = "mg1.example.test"
_SIGNER = _FORGE.forge(
    Wish(_MG1, dns=(_MG1,), usages=(DOCUMENT_SIGNING,), ends=timedelta(days=90)), _FORGE.organisation("Example")
)
assert isinstance(_SIGNER.key, ec.EllipticCurvePrivateKey)
_KEY = _SIGNER.key


def made(slot: Slot, **changes: Any) -> bytes:
    """Return what a management server signs for *slot*, with *changes*."""
    told: dict[str, Any] = {
        "organisation": "Example",
        "number": slot.number,
        "at": NOON,
        "by": "ada",
        "why": "because",
        "topology": "sipmesh: 1\n",
        "files": {},
        "previous": slot.previous,
        "audit": slot.audit,
    }
    return sign(Publication(**{**told, **changes}).encode(), KIND, _SIGNER.chain, _KEY)


def opened(url: str) -> tuple[Database, History, Audit]:
    database = Database(url, "history")
    lease = Lease(database)
    audit = Audit(database, lease)
    return database, History(database, audit, lease), audit


def _publish_and_die(database: Database, history: History, step: int, moment: str) -> None:
    """Publish once, and end the process at the *step*-th statement of the database."""
    head = history.head()
    base, left = head.number if head else 0, [step]

    def count(*_: object) -> None:
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    if moment == "commit":
        sql.event.listen(database.engine, "commit", count)
    else:
        sql.event.listen(database.engine, f"{moment}_cursor_execute", count)
    history.publish(base, made, "ada", "because", at=NOON, dangers=["a pool is left without front end"])


def _publish_without_end(url: str) -> None:
    _, history, _ = opened(url)
    while True:
        head = history.head()
        version = history.publish(head.number if head else 0, made, "ada", "because", at=NOON)
        os.write(1, f"{version.number}\n".encode())


def _killed_at_every_step(url: str) -> None:
    """Fork a publisher for each step of a publish, until one survives; return how each ended.

    The database is opened once: a use has a connection of its own, so that no connection is open at a fork.
    """
    database, history, _ = opened(url)
    for moment in ("before", "after", "commit"):
        for step in range(1, 50):
            child = os.fork()
            if child == 0:
                _publish_and_die(database, history, step, moment)
                os._exit(0)
            _, status = os.waitpid(child, 0)
            how = "killed" if os.WIFSIGNALED(status) else os.waitstatus_to_exitcode(status)
            os.write(1, f"{moment} {step} {how}\n".encode())
            if not os.WIFSIGNALED(status):
                break


if __name__ == "__main__":
    {"steps": _killed_at_every_step, "without-end": _publish_without_end}[sys.argv[1]](sys.argv[2])
