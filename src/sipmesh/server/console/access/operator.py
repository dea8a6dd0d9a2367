"""The operator behind a request, and how one logs in."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol

from sipmesh.server.console.access.secret_table import SecretTable, hash_of
from sipmesh.topology.document.operators.console_role import ConsoleRole

if TYPE_CHECKING:
    from sipmesh.server.console.access.account import Account
    from sipmesh.topology.document.model import Topology
    from sipmesh.topology.document.operators.openid import OpenId

CODE_LIFETIME_S: Final = 300.0
MOST_CODES: Final = 20
SESSION_LIFETIME_S: Final = 8 * 3600.0
SESSION_IDLE_S: Final = 1800.0
MOST_SESSIONS: Final = 100
MOST_OF_OPERATOR: Final = 5
"""Sessions of one operator with a certificate or of one person at the OpenID provider; a code gives one session."""


@dataclass(frozen=True, slots=True)
class Operator:
    """Who makes a request: *who* is the name for the audit log."""

    who: str
    role: ConsoleRole


class Login(Protocol):
    """What a session depends on."""

    @property
    def owner(self) -> str:
        """Whose sessions are counted together: no operator takes the place of others."""

    @property
    def account(self) -> Account | None:
        """The account of the person as a user, with which the session ends; None for a person who is known to have none."""

    def operator(self, topology: Topology, proved: Callable[[], str]) -> Operator | None:
        """Return the operator by the topology in force, None if the log-in is not valid any more.

        *proved* returns the name of the operator whose certificate the connection has proved, "" if there is none.
        """


@dataclass(frozen=True, slots=True)
class CodeLogin:
    """A log-in with a code, which an operator of this machine has made for one role. *code* is the hash of the code."""

    known: Operator
    code: str = field(default="", compare=False, repr=False)
    account: None = None

    @property
    def owner(self) -> str:
        """The code: it works once, and the colleagues who get codes of one operator do not displace each other."""
        return f"code {self.code}"

    def operator(self, topology: Topology, proved: Callable[[], str]) -> Operator | None:  # noqa: ARG002
        """Return the operator: a user who opens the control socket has every role."""
        return self.known


@dataclass(frozen=True, slots=True)
class CertificateLogin:
    """A log-in with the certificate of the operator *name*: each connection of the session has to prove it again."""

    name: str
    account: None = None

    @property
    def owner(self) -> str:
        """The operator of the certificate."""
        return f"{self.name} (certificate)"

    def operator(self, topology: Topology, proved: Callable[[], str]) -> Operator | None:
        """Return the operator if the connection proves the name, and the topology has the operator."""
        return operator_of_certificate(topology, self.name) if proved() == self.name else None


@dataclass(frozen=True, slots=True)
class OpenIdLogin:
    """A log-in by the OpenID provider of *entry*, of a person *name* with *values* of the claim that leads to roles.

    *subject* is the hash of the claim ``sub``, which a person cannot change, and *session* that of ``sid``, or empty. It ends at
    *ends_at*, in seconds of *clock*.
    """

    entry: OpenId
    subject: str
    name: str
    values: frozenset[str]
    ends_at: float
    clock: Callable[[], float]
    session: str = ""
    account: Account | None = None

    @property
    def owner(self) -> str:
        """The person at the provider."""
        return f"{self.entry.issuer} {self.subject}"

    def operator(self, topology: Topology, proved: Callable[[], str]) -> Operator | None:  # noqa: ARG002
        """Return the operator with the role that the topology in force gives the values, None if it gives none."""
        entry = topology.console.openid if topology.console is not None else None
        if entry is None or self.clock() >= self.ends_at:
            return None
        is_same = (entry.issuer, entry.client_id, entry.claim) == (
            self.entry.issuer,
            self.entry.client_id,
            self.entry.claim,
        )
        role = entry.role_of(self.values) if is_same else None
        return Operator(f"{self.name} (OpenID)", role) if role is not None else None


@dataclass(frozen=True, slots=True)
class Session:
    """One log-in of a browser. *form_token* is in each form of its pages, so that no other site can send one."""

    login: Login
    form_token: str = field(default_factory=lambda: secrets.token_urlsafe(24))


class Operators:
    """The log-ins of a console: codes that work once, sessions of browsers, and the tokens of the topology.

    *clock* returns seconds that never go back. Codes and sessions are in memory: they end with the process.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._codes = SecretTable[Operator](MOST_CODES, CODE_LIFETIME_S, clock)
        self._sessions = SecretTable[Session](
            MOST_SESSIONS, SESSION_LIFETIME_S, clock, SESSION_IDLE_S, most_of_owner=MOST_OF_OPERATOR
        )

    def new_code(self, operator: Operator) -> str:
        """Return a code by which *operator* may log in once."""
        return self._codes.add(operator)

    def log_in(self, code: str) -> str | None:
        """Begin a session; returns its secret, or None if *code* is not valid."""
        operator = self._codes.take(code)
        return self.begin(CodeLogin(operator, hash_of(code))) if operator is not None else None

    def begin(self, login: Login) -> str:
        """Begin a session for *login*, in place of the oldest of too many of the same operator; returns its secret."""
        return self._sessions.add(Session(login), login.owner)

    def session(self, secret: str, *, counts: bool = True) -> Session | None:
        """Return the session behind *secret*, None if there is none; with *counts* this is a use of it."""
        return self._sessions.use(secret, counts=counts)

    def log_out(self, secret: str) -> None:
        """End a session."""
        self._sessions.take(secret)

    def accounts(self) -> list[Account]:
        """Return the accounts of operators who have a session, and are users too."""
        logins = [session.login for session in self._sessions.values()]
        return [login.account for login in logins if login.account is not None]

    def end(self, is_meant: Callable[[Session], bool]) -> list[Session]:
        """End the sessions of which *is_meant* is true, and return them."""
        return self._sessions.remove(is_meant)

    def log_out_all(self) -> int:
        """End all sessions, and make all codes useless; returns how many sessions there were."""
        self._codes.clear()
        return self._sessions.clear()


def operator_of_token(topology: Topology, token: str) -> Operator | None:
    """Return the operator whose token this is, by the topology in force; None if there is none."""
    if topology.console is None:
        return None
    found, digest = None, hash_of(token)
    for operator in topology.console.operators:
        if operator.token_sha256 is not None and secrets.compare_digest(operator.token_sha256, digest):
            found = Operator(f"{operator.name} (API)", operator.role)
    return found


def operator_of_certificate(topology: Topology, name: str) -> Operator | None:
    """Return the operator *name* of the topology in force, whose certificate was accepted; None if there is none."""
    console = topology.console
    if console is None or not console.client_certificates:
        return None
    found = next((operator for operator in console.operators if operator.name == name), None)
    return Operator(f"{name} (certificate)", found.role) if found is not None else None
