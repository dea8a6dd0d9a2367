"""Fetching that starts with the first topology or certificate that names a URL; until then its modules are not even imported."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryptography import x509

from sipmesh.server.proxy.outside import RevocationSources
from sipmesh.trust.revocation.staple import demands_staple
from sipmesh.trust.x509.certificate import extension

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
    from datetime import datetime
    from pathlib import Path

    from sipmesh.server.log import Log
    from sipmesh.server.refresh.fetcher import Fetcher
    from sipmesh.server.running.running_server import RunningServer
    from sipmesh.topology.document.load import Loaded
    from sipmesh.topology.expiry.fetch_status import FetchStatus
    from sipmesh.trust.evidence import PeerEvidence
    from sipmesh.trust.policy import LinkPolicy
    from sipmesh.trust.verdict import Verdict


class FetchOnDemand(RevocationSources):
    """The sources of CRLs and OCSP responses of one server.

    *look* reads files that were written. Without *fetches_crls*, another process of this server fetches the CRLs.
    """

    def __init__(
        self,
        node: RunningServer,
        look: Callable[[Collection[Path]], object],
        log: Log,
        *,
        fetches_crls: bool = True,
    ) -> None:
        self._node, self._look, self._log, self._fetches_crls = node, look, log, fetches_crls
        self.fetcher: Fetcher | None = None
        self._is_closed = False

    def follow(self, loaded: Loaded) -> None:
        """Fetch the sources of *loaded*, which is about to be in force, and no others."""
        if self.fetcher is not None or loaded.fetches:
            self._started().follow(loaded)

    def present(self, chains: Sequence[Sequence[x509.Certificate]]) -> None:
        """Fetch the OCSP responses about the certificates that we present; *chains* have them first."""
        if self._is_closed:
            return
        if self.fetcher is None:
            if not any(_concerns(chain[0]) for chain in chains):
                return
            self._started().follow(self._node.view.loaded)
        self._started().staples.present(chains)

    def _started(self) -> Fetcher:
        if self.fetcher is None:
            from sipmesh.server.refresh.fetcher import Fetcher

            self.fetcher = Fetcher(self._node, self._look, self._log, fetches_crls=self._fetches_crls)
        return self.fetcher

    def judged(self, evidence: PeerEvidence, policy: LinkPolicy, verdict: Verdict) -> None:
        """Ask about the certificates of a peer that was judged, until `close`."""
        if self.fetcher is not None and not self._is_closed:
            self.fetcher.judged(evidence, policy, verdict)

    def fetch_crls(self, request: bytes) -> None:
        """Fetch CRLs for another process of this server, whose *request* is a `CrlRequest`."""
        if self.fetcher is not None:
            from sipmesh.server.refresh.crl_request import CrlRequest

            self.fetcher.fetch_crls(CrlRequest.decode(request))

    def supplies(self, at: datetime) -> tuple[FetchStatus, ...]:
        """Return the state of every source at time *at*."""
        return self.fetcher.supplies(at) if self.fetcher is not None else ()

    async def close(self) -> None:
        """Stop all fetching."""
        self._is_closed = True
        if self.fetcher is not None:
            await self.fetcher.close()


def _concerns(certificate: x509.Certificate) -> bool:
    """Tell whether a certificate of ours may name a responder, or demands a staple."""
    return extension(certificate, x509.AuthorityInformationAccess) is not None or demands_staple(certificate)
