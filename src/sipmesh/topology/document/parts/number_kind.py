"""What a call to a number costs beside others: the kinds that classes of numbers may name."""

from __future__ import annotations

from enum import StrEnum


class NumberKind(StrEnum):
    """The kinds of numbers that cost more than others in their country."""

    PREMIUM = "premium"
    SHARED_COST = "shared-cost"
