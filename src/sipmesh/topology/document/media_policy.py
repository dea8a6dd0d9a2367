"""What the topology asks of the media of a call."""

from __future__ import annotations

from enum import StrEnum


class MediaPolicy(StrEnum):
    """The media that session descriptions may agree on. The order is from the weakest to the strictest policy."""

    ANY = "any"
    ENCRYPTED = "encrypted"
    REQUIRED = "encrypted-required"


_STRICTNESS = {policy: at for at, policy in enumerate(MediaPolicy)}


def is_weaker(policy: MediaPolicy, other: MediaPolicy) -> bool:
    """Tell whether *policy* allows media that *other* refuses."""
    return _STRICTNESS[policy] < _STRICTNESS[other]


def strictest(policies: list[MediaPolicy]) -> MediaPolicy:
    """Give the strictest of *policies*; `encrypted-required` if there is none."""
    return max(policies, key=_STRICTNESS.__getitem__) if policies else MediaPolicy.REQUIRED
