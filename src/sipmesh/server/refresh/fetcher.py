"""Fetches CRLs and OCSP responses in the background, of partners and of our own CA: never in a handshake.

A CRL is checked, written to a file, and put in force like every CRL. An OCSP response is checked and given to the judge. If a
fetch fails, the last CRL or response stays in force until it expires. After that its peers are refused (rule R12); a server warns
long before.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Collection
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from sipmesh.server.process.https_server_check import HttpsServerCheck
from sipmesh.server.refresh.crl_sources import CrlSources
from sipmesh.server.refresh.fetch_schedule import FetchSchedule
from sipmesh.server.refresh.http_fetch import HttpFetcher
from sipmesh.server.refresh.intermediates import KnownIntermediates
from sipmesh.server.refresh.ocsp_sources import OcspSources
from sipmesh.topology.document.named_files.crl_files import FETCHED
from sipmesh.topology.reachable_addresses import reachable_addresses
from sipmesh.trust.evidence import LinkKind

if TYPE_CHECKING:
    import asyncio

    from sipmesh.server.log import Log
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
        self._http = http or HttpFetcher(node.resolver, reachable=lambda: self._reachable, check=_check_of(node))
        self._schedule = FetchSchedule(
            node.loop,
            self._http,
            self._now,
            lambda: node.view.loaded.topology.organisation,
            log,
        )
        self._crls = CrlSources(node.view.role, loaded, self._schedule, issuers, lambda file: look([file]), chance)
        ask = node.siblings.ask_for_crls if node.siblings is not None and not fetches_crls else self._crls.fetch_again
        self._ocsp = OcspSources(node, self._schedule, issuers, log, chance, ask)

    def _now(self) -> datetime:
        """Return the present instant: the gatekeeper's clock may be replaced."""
        return self._gatekeeper.clock()

    def follow(self, loaded: Loaded) -> None:
        """Fetch only what *loaded* names, which is about to be in force; a new source is fetched at once."""
        self._reachable = reachable_addresses(loaded.topology)
        if self._fetches_crls:
            self._crls.follow(loaded)
        self._ocsp.follow(loaded)

    def judged(self, evidence: PeerEvidence, policy: LinkPolicy, verdict: Verdict) -> None:
        """Ask about the certificates of a peer that was judged."""
        self._ocsp.judged(evidence, policy, verdict)

    def fetch_again(self, owner: str) -> None:
        """Fetch the CRLs of an authority that are of no use: another process of this server has refused a peer without them."""
        self._crls.fetch_again(owner)

    def poke(self, name: str) -> asyncio.Task[None]:
        """Fetch from the source of that *name* now; returns the task of the fetch."""
        return self._schedule.poke(name)

    def supplies(self, at: datetime) -> tuple[FetchStatus, ...]:
        """Return the status of every source at the instant *at*."""
        return self._schedule.statuses(at)

    async def close(self) -> None:
        """Stop every fetch."""
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
