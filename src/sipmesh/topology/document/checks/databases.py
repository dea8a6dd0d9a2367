"""The databases of a draft: without passwords, by TLS where they leave the machine, in files that are ours."""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from sipmesh.topology.document.file_kind import NamePlace
from sipmesh.topology.document.storage.database_url import FILES, FORM, DatabaseUrl, sqlite_fault

if TYPE_CHECKING:
    from sipmesh.topology.document.checks.checked_document import CheckedDocument

_NAMES = {"users": "users.db", "messages": "state/messages.db", "calls": "state/calls.db"}


def databases_can_be_named(document: CheckedDocument) -> None:
    """Each database is a file of ours, or PostgreSQL whose password is elsewhere and whose name is checked."""
    storage = document.topology.storage
    for key in ("users", "messages", "calls", "management"):
        url: str | None = getattr(storage, key)
        if url is not None and not document.is_unread(("storage", key)):
            _database_can_be_named(document, key, url)


def _database_can_be_named(document: CheckedDocument, key: str, url: str) -> None:
    loc = ("storage", key)
    if url.startswith("sqlite:"):
        if key in _NAMES and (fault := sqlite_fault(url) or _led_astray(document, url)):
            remedy = f"write sqlite:///{_NAMES[key]}, or another file of this folder or of state/ that ends in .db"
            document.report.add(loc, f"{fault}: databases are in files of the organisation's folder", remedy)
        return
    try:
        database = DatabaseUrl.read(url)
    except ValueError:
        if key in _NAMES:  # `management_database_is_public` says it of management
            document.report.add(loc, "is neither SQLite nor PostgreSQL", f"write sqlite:///{_NAMES[key]}, or {FORM}")
        return
    for reason, remedy in database.faults():
        document.report.add(loc, reason, remedy)
    place = NamePlace(document.report.file.parent, frozenset(server.name for _, _, server in document.servers()))
    for name, value in database.parameters:
        if (kind := FILES.get(name)) is not None and (fault := place.fault(value, kind)):
            document.report.add(loc, f"{name} {value!r} {fault}", place.remedy(value, kind))


def _led_astray(document: CheckedDocument, url: str) -> str:
    """Say where a link in place of a database leads, if that is another file of ours."""
    folder = document.report.file.parent
    path = PurePosixPath(url.removeprefix("sqlite:///"))
    root, found = Path(os.path.realpath(folder)), Path(os.path.realpath(folder / path))
    if not found.is_relative_to(root) or found == root / path:
        return ""
    return sqlite_fault(f"sqlite:///{found.relative_to(root).as_posix()}") and "is a link to a file of another kind"
