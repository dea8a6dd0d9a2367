"""The log-in of operators by a ticket of Kerberos, with the role that the topology gives the principal."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sipmesh.server.console.access.account import account_at_log_in, user_of_principal
from sipmesh.server.console.access.operator import Operator
from sipmesh.server.control_socket import STATE
from sipmesh.server.kerberos.acceptor import KerberosError, KerberosService
from sipmesh.server.kerberos.negotiation import REPLAYS, SESSION_S, ticket_in

if TYPE_CHECKING:
    from cryptography import x509

    from sipmesh.server.console.access.account import Account
    from sipmesh.topology.document.model import Topology
    from sipmesh.topology.document.operators.kerberos import Kerberos
    from sipmesh.topology.view import ServerView


@dataclass(frozen=True, slots=True)
class KerberosLogin:
    """A log-in of *principal* by a ticket of *realm*. It ends at *ends_at*, in seconds of *clock*."""

    realm: str
    principal: str
    ends_at: float
    clock: Callable[[], float]
    account: Account | None = None

    @property
    def owner(self) -> str:
        """The person in the realm."""
        return f"Kerberos {self.principal}"

    def operator(self, topology: Topology, proved: Callable[[], str]) -> Operator | None:  # noqa: ARG002
        """Return the operator with the role that the topology in force gives the principal, None if it gives none."""
        entry = _entry_of(topology)
        if entry is None or entry.realm != self.realm or self.clock() >= self.ends_at:
            return None
        role = entry.role_of(self.principal)
        return Operator(f"{self.principal} (Kerberos)", role) if role is not None else None


class KerberosLogins:
    """The log-ins of one console; *view* returns the topology in force, and *clock* seconds that never go back.

    *leaf_of* returns the certificate that the console presents for a host.
    """

    def __init__(
        self, view: Callable[[], ServerView], clock: Callable[[], float], leaf_of: Callable[[str], x509.Certificate]
    ) -> None:
        self._view, self._clock, self._leaf_of = view, clock, leaf_of

    @property
    def is_on(self) -> bool:
        """Whether the topology in force has a realm."""
        return _entry_of(self._view().loaded.topology) is not None

    async def log_in(self, authorization: str, host: str) -> tuple[KerberosLogin, Operator, str]:
        """Return the log-in by a header, the operator, and the header of the answer; raises `OperatorError` for a refusal."""
        view = self._view()
        entry = _entry_of(view.loaded.topology)
        if entry is None:
            raise KerberosError("the topology has no Kerberos realm")
        folder = view.loaded.folder
        service = KerberosService(f"HTTP/{view.name}", entry.realm, folder / entry.keytab, folder / STATE / REPLAYS)
        ticket, header = await ticket_in(authorization, service, self._leaf_of(host))
        ends_at = self._clock() + min(SESSION_S, ticket.seconds)
        login = KerberosLogin(entry.realm, ticket.principal, ends_at, self._clock)
        operator = login.operator(view.loaded.topology, str)
        if operator is None:
            raise KerberosError(f"{ticket.principal} has no role in `console.kerberos.roles`")
        user = user_of_principal(view.loaded.topology, ticket.principal)
        return replace(login, account=await account_at_log_in(view.loaded, user)), operator, header


def _entry_of(topology: Topology) -> Kerberos | None:
    return topology.console.kerberos if topology.console is not None else None
