"""Root rotation: each step is made only after every server has reported that it is ready for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from sipmesh.errors import OperatorError
from sipmesh.pki.ca_rotation import CaGenerations
from sipmesh.server.management.replies import RootStep
from sipmesh.server.process.clock import now_utc
from sipmesh.storage.audit_act import AuditAct

if TYPE_CHECKING:
    from sipmesh.server.log import Log
    from sipmesh.server.management.publishing.publisher import ManagementServer
    from sipmesh.server.replication.server_status import ServerStatus, ShownCertificate
    from sipmesh.storage.audit import Audit


class Members(Protocol):
    """What the steps need to know of the other servers."""

    def missing(self, number: int) -> list[str]:
        """Return the servers that have not reported that version *number* is in force."""

    def statuses(self) -> Mapping[str, ServerStatus | None]:
        """Return the last report of each server; None for a server that has never reported."""


class RootRotation:
    """The steps for one network, with its CA in *folder*; *changed* is called when the issuing CA or its chain has changed."""

    def __init__(
        self,
        folder: Path,
        server: ManagementServer,
        own_status: Callable[[], ServerStatus],
        members: Members,
        audit: Audit,
        changed: Callable[[], None],
        log: Log,
    ) -> None:
        self._folder, self._server, self._own_status, self._members = folder, server, own_status, members
        self._audit, self._changed, self._log = audit, changed, log

    def activate(self, who: str) -> RootStep:
        """Let the prepared CA issue from now on; raises `OperatorError` unless every server trusts its root."""
        generations = CaGenerations(self._folder)
        coming = generations.next
        if coming is None:
            raise OperatorError("no new root is prepared; first: sipmesh ca root prepare")
        if coming.root not in self._server.view.loaded.authority.anchors:
            raise OperatorError(
                "the new root is in the draft, and not published; first: sipmesh topology publish -m WHY"
            )
        if missing := self._members.missing(self._server.view.loaded.number):
            names = ", ".join(missing)
            raise OperatorError(
                f"these servers do not have version {self._server.view.loaded.number} in force yet: {names}"
            )
        generations.activate()
        self._root_changed(who, "activate", generations.number)
        return RootStep(generations.number, coming.root.subject.rfc4514_string())

    def switch(self, who: str) -> RootStep:
        """Let servers present a chain to the new root; raises `OperatorError` if a server's certificate has another issuer."""
        generations = CaGenerations(self._folder)
        if not generations.is_crossed:
            raise OperatorError(
                "the chains of all servers lead to the same root already; to see the next step: sipmesh ca root status"
            )
        name = generations.current.issuing.subject.rfc4514_string()
        if late := self.not_issued_by(name):
            raise OperatorError(f"these servers do not present a certificate of {name} yet: {', '.join(late)}")
        generations.switch()
        self._root_changed(who, "switch", generations.number)
        return RootStep(generations.number, generations.current.root.subject.rfc4514_string())

    def retire(self, who: str) -> RootStep:
        """Retire the old roots; raises `OperatorError` if a server's chain leads to one, or the version in force names one."""
        generations = CaGenerations(self._folder)
        name = generations.current.root.subject.rfc4514_string()
        if late := self.not_under(name):
            raise OperatorError(f"the chains of these servers do not lead to {name} yet: {', '.join(late)}")
        old = generations.old
        for number in old:
            if generations.open(number).root in self._server.view.loaded.authority.anchors:
                raise OperatorError(
                    f"root {number} is still trusted; remove it from the draft, and publish the draft first"
                )
        for number in old:
            generations.retire(number)
        self._root_changed(who, "retire", generations.number)
        return RootStep(generations.number, name, old)

    def not_issued_by(self, issuer: str) -> list[str]:
        """Return the servers whose certificate has another issuer, or is unknown."""
        return [
            server
            for server, certificate in self._shown().items()
            if certificate is None or certificate.issuer != issuer
        ]

    def not_under(self, root: str) -> list[str]:
        """Return the servers whose chain leads to another root, or is unknown."""
        return [
            server for server, certificate in self._shown().items() if certificate is None or certificate.under != root
        ]

    def _shown(self) -> dict[str, ShownCertificate | None]:
        """Return the certificate that each server presents: from its last report, or our own status."""
        statuses = {**self._members.statuses(), self._server.view.name: self._own_status()}
        return {name: status.certificate if status is not None else None for name, status in statuses.items()}

    def _root_changed(self, who: str, step: str, generation: int) -> None:
        self._audit.append(who, AuditAct.ROOT, {"step": step, "generation": generation}, at=now_utc())
        self._log.warning("root rotation step", step=step, generation=generation, by=who)
        self._changed()
