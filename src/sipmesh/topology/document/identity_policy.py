"""Whether calls with a partner are signed, and whether its signatures are checked."""

from __future__ import annotations

from enum import StrEnum


class IdentityPolicy(StrEnum):
    """What is done about the Identity header field (RFC 8224) in calls with a partner. Each word includes those before it."""

    SIGN = "sign"
    VERIFY = "verify"
    REQUIRED = "required"
