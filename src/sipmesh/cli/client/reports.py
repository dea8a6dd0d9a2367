"""What the client commands print with --json: the names of the fields are the keys."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class HandshakeReport:
    """What the handshake with the server agreed on."""

    version: str
    cipher: str
    group: str


@dataclass(frozen=True, slots=True)
class OutcomeReport:
    """What a client command prints with --json: the final response to *what*, and the identity that the *server* proved.

    *bye* is the status of the response to BYE, None if the call did not get that far. *path* are the servers on the way.
    *answered_by* is the URI of the user who has answered a call, as the servers have proved it; None for everything else.
    """

    what: str
    status: int
    reason: str
    warnings: list[str]
    elapsed_s: float
    server: str
    tls: HandshakeReport | None
    bye: int | None
    path: list[str]
    answered_by: str | None = None


@dataclass(frozen=True, slots=True)
class RefusalReport:
    """The final response that has ended a registration."""

    what: str
    status: int
    reason: str
