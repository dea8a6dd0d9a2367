"""The kinds of lines in the audit log."""

from __future__ import annotations

from enum import StrEnum


class AuditAct(StrEnum):
    """A change of whom this network trusts, or of who is who in it."""

    PUBLISH = "publish"
    ROLLBACK = "rollback"
    ISSUE = "issue"
    REVOKE = "revoke"
    LIST = "list"
    BLOCK = "block"
    JOIN = "join"
    ROOT = "root"
    FORCED = "forced"
    REFUSED = "refused"
    RESTORE = "restore"
    ALIAS = "alias"
    MOVE = "move"
    PRESENCE = "presence"
    USER = "user"
