"""The first version of a network: made before any server of it runs, and so by whoever has the CA's folder."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from sipmesh.errors import OperatorError, Problem
from sipmesh.server.holding import signers_of
from sipmesh.server.lists import must_be_portable
from sipmesh.server.signing import sign_as
from sipmesh.storage.chronicle import Chronicle
from sipmesh.topology.publication import KIND, Draft
from sipmesh.topology.view import view

if TYPE_CHECKING:
    from sipmesh.storage.history import Slot, Version


def publish_first(file: Path, who: str, why: str, at: datetime) -> Version:
    """Sign the draft in *file* as version 1, and begin the history beside it.

    Raises `OperatorError` for a draft with problems or without management, and where something was published before.
    """
    try:
        content = file.read_bytes()
    except OSError as wrong:
        problem = Problem(file, 0, "", f"cannot be read ({wrong.strerror})", "write the draft there")
        raise OperatorError("there is no draft to publish", (problem,)) from None
    draft = Draft.read(content, file)
    managers = sorted(signers_of(draft.loaded))
    if not managers:
        remedy = (
            "add a pool of role management with one server, and have its certificates issued: sipmesh ca issue NAME"
        )
        raise OperatorError(f"{file} names nobody who could publish; {remedy}")
    must_be_portable(draft.loaded)
    server = view(draft.loaded, managers[0])

    def make(slot: Slot) -> bytes:
        made = draft.compiled(slot.number, who, why, at=at, previous=slot.previous, audit=slot.audit)
        return sign_as(server, made.encode(), KIND, at)

    chronicle = Chronicle(file.parent)
    try:
        return chronicle.history.publish(0, make, who, why, at=at)
    finally:
        chronicle.close()
