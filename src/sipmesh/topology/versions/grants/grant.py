"""One grant: what a person or a server gets by a new version, and the role that an operator needs to publish it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from sipmesh.topology.document.operators.console_role import ConsoleRole


class Gain(StrEnum):
    """What a person or a server can do more than before."""

    READ = "read"  # messages, users, presence, figures
    DECIDE = "decide"  # whom servers trust, where requests go, what is published
    SIGN = "sign"  # speak or sign as a server, a user, a partner or a CA


@dataclass(frozen=True, slots=True)
class Grant:
    """By a change of *key*, *whom* can *gain* more. *sentence* says what; *role* is what its publisher needs."""

    key: str
    gain: Gain
    whom: str
    sentence: str
    role: ConsoleRole

    def __str__(self) -> str:
        return f"{self.sentence} (needs the role {self.role})"
