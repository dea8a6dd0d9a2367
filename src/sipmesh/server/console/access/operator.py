"""The operator behind a request, and how one logs in."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from sipmesh.server.console.access.secret_table import SecretTable, hash_of
from sipmesh.topology.document.operators.console_role import ConsoleRole

if TYPE_CHECKING:
    from sipmesh.topology.document.model import Topology

CODE_LIFETIME_S: Final = 300.0
MOST_CODES: Final = 20
SESSION_LIFETIME_S: Final = 8 * 3600.0
SESSION_IDLE_S: Final = 1800.0
MOST_SESSIONS: Final = 100


@dataclass(frozen=True, slots=True)
class Operator:
    """Who makes a request: *who* is the name for the audit log."""

    who: str
    role: ConsoleRole


@dataclass(frozen=True, slots=True)
class Session:
    """One log-in of a browser. *form_token* is in each form of its pages, so that no other site can send one."""

    operator: Operator
    form_token: str = field(default_factory=lambda: secrets.token_urlsafe(24))


class Operators:
    """The log-ins of a console: codes that work once, sessions of browsers, and the tokens of the topology.

    *clock* returns seconds that never go back. Codes and sessions are in memory: they end with the process.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._codes = SecretTable[Operator](MOST_CODES, CODE_LIFETIME_S, clock)
        self._sessions = SecretTable[Session](MOST_SESSIONS, SESSION_LIFETIME_S, clock, SESSION_IDLE_S)

    def __repr__(self) -> str:
        return f"<Operators: {len(self._sessions)} sessions>"

    def new_code(self, operator: Operator) -> str:
        """Return a code by which *operator* may log in once."""
        return self._codes.add(operator)

    def log_in(self, code: str) -> str | None:
        """Begin a session; returns its secret, or None if *code* is not valid."""
        operator = self._codes.take(code)
        return self._sessions.add(Session(operator)) if operator is not None else None

    def session(self, secret: str, *, counts: bool = True) -> Session | None:
        """Return the session behind *secret*, None if there is none; with *counts* this is a use of it."""
        return self._sessions.use(secret, counts=counts)

    def log_out(self, secret: str) -> None:
        """End a session."""
        self._sessions.take(secret)


def operator_of_token(topology: Topology, token: str) -> Operator | None:
    """Return the operator whose token this is, by the topology in force; None if there is none."""
    if topology.console is None:
        return None
    found, digest = None, hash_of(token)
    for operator in topology.console.operators:
        if secrets.compare_digest(operator.token_sha256, digest):
            found = Operator(f"{operator.name} (API)", operator.role)
    return found
