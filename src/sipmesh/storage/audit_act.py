"""What a line of the audit log is about."""

from __future__ import annotations

from enum import StrEnum


class AuditAct(StrEnum):
    """What changes whom this network trusts."""

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
