"""Orders at a public CA begin with the first topology that says so; until then the modules for it are not even imported."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sipmesh.topology.expiry.validity import RenewalFault

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from pathlib import Path

    from sipmesh.server.log import Log
    from sipmesh.server.public_certificates.public_certificate import PublicCertificate
    from sipmesh.server.running.running_server import RunningServer

INSTALL: Final = 'pip install "acme>=5.9" "josepy>=2", then restart this server'


class OrderOnDemand:
    """The certificate of *node* from a public CA; *look* reads files that were written. Of several processes, one orders."""

    def __init__(self, node: RunningServer, look: Callable[[Collection[Path]], object], log: Log) -> None:
        self._node, self._look, self._log = node, look, log
        self._orders = node.place.is_alone or node.place.is_supervisor
        self._certificate: PublicCertificate | None = None

    def follow(self) -> None:
        """Order what the topology in force says."""
        order = self._node.view.acme_order if self._orders else None
        if self._certificate is None and order is not None:
            try:
                from sipmesh.server.public_certificates.public_certificate import PublicCertificate
            except ImportError as missing:
                self._orders = False
                why = f"the library {missing.name} is not installed"
                self._node.certificates.renewed(
                    order.certificate, RenewalFault(why, INSTALL, self._node.gatekeeper.clock())
                )
                self._log.error(
                    "no certificate of the public CA", directory=order.acme.directory, why=why, remedy=INSTALL
                )
                return
            self._certificate = PublicCertificate(self._node, self._look, self._log)
        if self._certificate is not None:
            self._certificate.follow()

    async def close(self) -> None:
        """Stop ordering."""
        if self._certificate is not None:
            await self._certificate.close()
