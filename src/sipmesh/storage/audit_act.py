"""The kinds of lines in the audit log, and who writes them."""

from __future__ import annotations

from enum import StrEnum
from typing import Protocol


class AuditAct(StrEnum):
    """A change of the peers that this network trusts, or of their identities."""

    PUBLISH = "publish"
    ROLLBACK = "rollback"
    ISSUE = "issue"
    REVOKE = "revoke"
    LIST = "list"
    BLOCK = "block"
    DRAFT = "draft"
    JOIN = "join"
    ROOT = "root"
    FORCED = "forced"
    GRANT = "grant"
    ADMIT = "admit"
    ENROL = "enrol"
    REFUSED = "refused"
    RESTORE = "restore"
    ALIAS = "alias"
    MOVE = "move"
    PRESENCE = "presence"
    RULES = "rules"
    GROUP = "group"
    USER = "user"
    TRACE = "trace"
    CALLS = "calls"
    INVITATION = "invitation"
    DEVICE = "device"


class Note(Protocol):
    """Writes a line into the audit log."""

    def __call__(self, act: AuditAct, /, **about: object) -> object:
        """Write what *act* is about."""
