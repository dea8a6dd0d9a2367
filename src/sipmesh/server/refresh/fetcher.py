"""Fetches CRLs and OCSP responses in the background, of partners and of our own CA: never in a handshake.

A CRL is checked, written to a file, and put in force like every CRL. An OCSP response is checked and given to the judge. If a
fetch fails, the last CRL or response stays in force until it expires. After that its peers are refused (rule R12); a server warns
long before.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Collection
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from sipmesh.server.process.https_server_check import HttpsServerCheck
from sipmesh.server.refresh.authorities import authorities_for
from sipmesh.server.refresh.crl_sources import CrlSources
from sipmesh.server.refresh.distribution_points import DistributionPoints
from sipmesh.server.refresh.fetch_schedule import FetchSchedule
from sipmesh.server.refresh.http_fetch import HttpFetcher
from sipmesh.server.refresh.intermediates import KnownIntermediates
from sipmesh.server.refresh.ocsp_sources import OcspSources
from sipmesh.server.refresh.signer_sources import SignerSources
from sipmesh.server.refresh.staple_sources import StapleSources
from sipmesh.server.refresh.tlsa_sources import TlsaSources
from sipmesh.topology.document.named_files.crl_files import FETCHED
from sipmesh.topology.reachable_addresses import ReachableAddresses, reachable_addresses
from sipmesh.trust.evidence import LinkKind
from sipmesh.trust.revocation.crl_point import is_allowed

if TYPE_CHECKING:
    import asyncio

    from sipmesh.server.log import Log
    from sipmesh.server.refresh.crl_request import CrlRequest
    from sipmesh.server.running.running_server import RunningServer
    from sipmesh.topology.document.load import Loaded
    from sipmesh.topology.expiry.fetch_status import FetchStatus
    from sipmesh.trust.evidence import PeerEvidence
    from sipmesh.trust.policy import LinkPolicy
    from sipmesh.trust.verdict import Verdict

Look = Callable[[Collection[Path]], object]


class Fetcher:
    """All sources of one server: those of our own authority, and on an edge those of partners.

    *look* reads files that were written. *chance* gives a number from 0 to 1. Without *fetches_crls*, another
    process of this server fetches the CRLs.
    """

    def __init__(
        self,
        node: RunningServer,
        look: Look,
        log: Log,
        http: HttpFetcher | None = None,
        chance: Callable[[], float] = random.random,
        *,
        fetches_crls: bool = True,
    ) -> None:
        self._fetches_crls = fetches_crls
        loaded, self._reachable = node.view.loaded, node.view.reachable
        folder = loaded.folder / FETCHED
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        issuers = KnownIntermediates(folder)
        self._gatekeeper = node.gatekeeper
        self._http = http or HttpFetcher(node.resolver, reachable=self._addresses, check=_check_of(node))
        self._schedule = FetchSchedule(
            node.loop,
            self._http,
            self._now,
            lambda: node.view.loaded.topology.organisation,
            log,
        )
        self._points = DistributionPoints(look, node.loop.time, log)
        self._node, self._role = node, node.view.role
        self._crls = CrlSources(node.view.role, loaded, self._schedule, issuers, lambda file: look([file]), chance)
        self._tlsa = TlsaSources(node, log)
        self._ocsp = OcspSources(node, self._schedule, issuers, log, chance, self._crls_needed)
        self.staples = StapleSources(node, self._http, log, chance)
        self._signers = SignerSources(node.numbers, self._http, self._schedule.turns, node.loop, self._now, log)

    def _now(self) -> datetime:
        """Return the present instant: the gatekeeper's clock may be replaced."""
        return self._gatekeeper.clock()

    def _addresses(self) -> ReachableAddresses:
        """Return where names may lead now."""
        return replace(self._reachable, responders=self.staples.hosts)

    def follow(self, loaded: Loaded) -> None:
        """Fetch only what *loaded* names, which is about to be in force; a new source is fetched at once."""
        self._reachable = reachable_addresses(loaded.topology)
        if self._fetches_crls:
            self._crls.follow(loaded)
        self._ocsp.follow(loaded)
        self._tlsa.follow(loaded)

    def judged(self, evidence: PeerEvidence, policy: LinkPolicy, verdict: Verdict) -> None:
        """Ask about the certificates of a peer that was judged."""
        self._ocsp.judged(evidence, policy, verdict)

    def _crls_needed(self, request: CrlRequest) -> None:
        """Fetch the CRLs of a peer that was judged here, or have the process do so that fetches them."""
        if self._fetches_crls:
            self.fetch_crls(request)
        elif self._node.siblings is not None:
            self._node.siblings.ask_for_crls(request.encode())

    def fetch_crls(self, request: CrlRequest) -> None:
        """Fetch the CRLs that the certificates of a judged peer name, and those of its authority that are of no use.

        Hosts are compared with the topology in force here: the request may be of another process of this server.
        """
        loaded = self._node.view.loaded
        named = next((one for one in authorities_for(self._role, loaded) if one.owner == request.owner), None)
        if named is None:
            return
        points = [
            point for stored in request.points if is_allowed((point := stored.point()).url, named.entry.crl_hosts)
        ]
        if self._points.need(named, points, self._now(), accepted=request.accepted):
            self._crls.follow(loaded)
        if not request.accepted:
            self._crls.fetch_again(request.owner)

    def poke(self, name: str) -> asyncio.Task[None]:
        """Fetch from the source of that *name* now; returns the task of the fetch."""
        return self._schedule.poke(name)

    def supplies(self, at: datetime) -> tuple[FetchStatus, ...]:
        """Return the status of every source at the instant *at*."""
        return self._schedule.statuses(at)

    async def close(self) -> None:
        """Stop every fetch."""
        await self._tlsa.close()
        await self._signers.close()
        await self.staples.close()
        await self._schedule.close()
        await self._http.close()


def _check_of(node: RunningServer) -> HttpsServerCheck:
    """Return the check of the HTTPS servers that *node* asks; our issuing CA is that of its own certificate."""
    return HttpsServerCheck(
        node.view.name,
        lambda: node.view.loaded,
        lambda: node.certificates.presented.of(LinkKind.SERVER).chain[1:],
        node.gatekeeper.clock,
    )
