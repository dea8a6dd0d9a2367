"""What an operator may do in the console and through the HTTP API."""

from __future__ import annotations

from enum import StrEnum


class ConsoleRole(StrEnum):
    """The roles of operators, the least first. Each role may do what the roles before it may do."""

    VIEWER = "viewer"  # reads
    OPERATOR = "operator"  # publishes, rolls back, blocks partners, changes users, and signs CRLs
    SECURITY_OFFICER = "security-officer"  # issues and revokes certificates, and publishes what breaks something

    def may(self, needed: ConsoleRole) -> bool:
        """Tell whether an operator of this role may do what needs the role *needed*."""
        order = list(ConsoleRole)
        return order.index(self) >= order.index(needed)
