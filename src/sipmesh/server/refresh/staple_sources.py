"""The OCSP responses about our own certificates: fetched ahead from the responder of their CA, and stapled (RFC 6066 8).

The responders of our own CA are those of the topology, and those that our certificates name. The certificate of another CA names
its own; most public CAs have none any more, and nothing is stapled then.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from sipmesh.pki import files
from sipmesh.server.certificates.own_staples import OwnStaple
from sipmesh.server.refresh.backoff import Backoff
from sipmesh.server.refresh.fetch_jobs import About, OcspFetchJob
from sipmesh.server.refresh.fetch_schedule import FetchSchedule
from sipmesh.topology.document.named_files.ocsp_files import answer_file, answers_on_disk
from sipmesh.trust.formatting import tell_time
from sipmesh.trust.revocation.freshness import answer_ends
from sipmesh.trust.revocation.responder_urls import responder_urls
from sipmesh.trust.revocation.staple import demands_staple, staple_fault
from sipmesh.trust.x509.certificate import issued_by

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterator

    from sipmesh.server.log import Log
    from sipmesh.server.refresh.fetch_jobs import FetchJob
    from sipmesh.server.refresh.http_fetch import HttpFetcher
    from sipmesh.server.running.running_server import RunningServer
    from sipmesh.trust.revocation.ocsp import OcspAnswer

Chain = Sequence[x509.Certificate]

OWN: Final = "our own certificates"
"""In place of the authority in the names of files: a partner's authority may have the same certificate."""

NOT_STAPLED: Final = "no OCSP response is stapled to our certificate"
NO_RESPONDER: Final = "our certificate demands a staple, and its CA has no OCSP responder: clients may refuse it"
LARGEST_STAPLE: Final = 16_384
"""Octets of a response that is stapled. Each handshake sends it, and its certificates are not signed: who answers in place of the
responder may add some."""

NO_GRACE: Final = timedelta(0)


class StapleSources:
    """The jobs of one server, one for each certificate that it presents and whose CA has a responder."""

    def __init__(self, node: RunningServer, http: HttpFetcher, log: Log, chance: Callable[[], float]) -> None:
        self._node, self._log, self._chance = node, log, chance
        self._folder = node.view.loaded.folder
        self._schedule = FetchSchedule(
            node.loop, http, self._now, lambda: node.view.loaded.topology.organisation, log, self._failed
        )
        self._answers = answers_on_disk(self._folder, OWN)
        self._jobs: dict[str, OcspFetchJob] = {}
        self._faults: dict[str, str] = {}
        self.hosts: frozenset[str] = frozenset()  # of the responders of our own CA

    def _now(self) -> datetime:
        return self._node.gatekeeper.clock()

    def _failed(self, job: FetchJob, fault: str) -> None:
        until = tell_time(job.item.ends) if job.item is not None else ""
        self._log.warning("the OCSP response that is stapled was not renewed", source=job.name, why=fault, until=until)

    def present(self, chains: Sequence[Chain]) -> None:
        """Fetch the responses about the leaves of *chains* from now on, and no others."""
        ours = (url for chain in chains if self._root(chain) for url in responder_urls(chain[0], is_ours=True))
        self.hosts = frozenset(urlsplit(url).hostname or "" for url in ours)
        wanted = {about.mark: (about, urls) for about, urls in self._askable(chains)}
        for mark in self._jobs.keys() - wanted.keys():
            self._forget(mark)
        for mark, (about, urls) in wanted.items():
            if mark in self._jobs:
                self._jobs[mark].urls = urls
            else:
                self._start(mark, about, urls)

    def poke(self, certificate: x509.Certificate) -> asyncio.Task[None]:
        """Fetch the response about one of our certificates now; returns the task of the fetch."""
        return self._schedule.poke(
            next(job.name for job in self._jobs.values() if job.about.certificate == certificate)
        )

    async def close(self) -> None:
        """Stop every fetch."""
        await self._schedule.close()

    def _askable(self, chains: Sequence[Chain]) -> Iterator[tuple[About, tuple[str, ...]]]:
        """Yield each leaf whose issuer is known and has a responder, with its URLs."""
        for chain in chains:
            issuer, urls = self._asked_of(chain)
            if issuer is not None and urls:
                yield About(chain[0], issuer), urls
            elif demands_staple(chain[0]):
                self._log.warning(NO_RESPONDER, serial=f"{chain[0].serial_number:x}")

    def _asked_of(self, chain: Chain) -> tuple[x509.Certificate | None, tuple[str, ...]]:
        """Return the issuer of the first certificate of *chain*, and the responders that may be asked about it."""
        root = self._root(chain)
        issuer = chain[1] if len(chain) > 1 else root
        named = responder_urls(chain[0], is_ours=root is not None)
        return issuer, named if root is None else (*self._node.view.loaded.topology.authority.ocsp, *named)

    def _root(self, chain: Chain) -> x509.Certificate | None:
        """Return the root of our own authority that has issued the last certificate of *chain*; None if it is of another CA."""
        anchors = self._node.view.loaded.authority.anchors
        return next((anchor for anchor in anchors if issued_by(chain[-1], anchor)), None)

    def _start(self, mark: str, about: About, urls: tuple[str, ...]) -> None:
        def put(answer: OcspAnswer, body: bytes) -> None:
            files.write(answer_file(self._folder, OWN, mark), body)
            self._use(mark, about, answer, body)

        if (stored := self._answers.get(mark)) is not None:
            self._use(mark, about, stored, stored.response.public_bytes(Encoding.DER))
        held = partial(self._answers.get, mark)
        job = OcspFetchJob(urls, about, "", NO_GRACE, Backoff(self._chance), held, put, LARGEST_STAPLE)
        self._jobs[mark] = job
        self._schedule.start(job)

    def _use(self, mark: str, about: About, answer: OcspAnswer, body: bytes) -> None:
        """Staple a response that says *good*; after any other, nothing is stapled."""
        self._answers[mark] = answer
        staples, fault = self._node.certificates.staples, staple_fault(body, *about, self._now(), NO_GRACE)
        ends = answer_ends(answer, about)
        if ends is not None and not fault:
            staples.hold(OwnStaple(*about, body, ends))
        else:
            staples.drop(about.certificate)
        if fault and fault != self._faults.get(mark):
            self._log.error(NOT_STAPLED, serial=f"{about.certificate.serial_number:x}", why=fault)
        self._faults[mark] = fault

    def _forget(self, mark: str) -> None:
        job = self._jobs.pop(mark)
        self._schedule.stop(job)
        self._node.certificates.staples.drop(job.about.certificate)
        self._answers.pop(mark, None)
        self._faults.pop(mark, None)
        answer_file(self._folder, OWN, mark).unlink(missing_ok=True)
