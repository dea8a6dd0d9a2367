"""Fetches CRLs and OCSP responses of partners, and of our own CA if configured, in the background, never in a handshake.

A fetched CRL is checked, written to a file and put in force like any other CRL. A fetched OCSP response goes to the judge. If
a fetch fails, the stored result stays in force until it expires. After that, peers whose certificates need it are refused
(rule R12); the operator is told long before.
"""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from sipmesh.errors import SipmeshError
from sipmesh.pki import files
from sipmesh.server.refresh.backoff import Backoff
from sipmesh.server.refresh.fetch_jobs import About, CrlFetchJob, FetchJob, OcspFetchJob
from sipmesh.server.refresh.http_fetch import HttpFetcher
from sipmesh.server.refresh.intermediates import KnownIntermediates
from sipmesh.topology.document.crl_files import FETCHED
from sipmesh.topology.document.ocsp_files import MOST_ANSWERS, answer_file, answers_on_disk
from sipmesh.topology.expiry.fetch_status import FetchStatus
from sipmesh.trust.code import Code
from sipmesh.trust.formatting import tell_time
from sipmesh.trust.judgement.evaluation import Evaluation
from sipmesh.trust.revocation.crl import RevocationSource
from sipmesh.trust.revocation.ocsp import OcspAnswer, OcspAnswers
from sipmesh.trust.role import Role

if TYPE_CHECKING:
    from cryptography import x509

    from sipmesh.server.log import Log
    from sipmesh.server.running_server import RunningServer
    from sipmesh.topology.document.crl_files import ListFiles
    from sipmesh.topology.document.load import Loaded
    from sipmesh.topology.document.model import AuthorityEntry
    from sipmesh.trust.authority import Authority
    from sipmesh.trust.evidence import PeerEvidence
    from sipmesh.trust.policy import LinkPolicy
    from sipmesh.trust.revocation.crl import RevocationList
    from sipmesh.trust.verdict import Verdict

Look = Callable[[Collection[Path]], object]

AT_ONCE = 4
"""Fetches at the same time; each may bring 64 MiB."""

FORGOTTEN = timedelta(days=14)
"""How long a certificate that no link relies on is still asked about: a peer that returns earlier is accepted at once."""

POKED_AGAIN_S = 10.0
"""Seconds: how soon a refused peer that connects again causes another request about it."""

MOST_SEEN = 4_096
_NUMBERS = re.compile(r"[0-9]+")


@dataclass(slots=True)
class _Work:
    """One source that is fetched; times are loop times in seconds."""

    source: FetchJob
    timer: asyncio.TimerHandle | None = None
    task: asyncio.Task[None] | None = None
    began_at: float = float("-inf")
    logged: str = ""

    def stop(self) -> None:
        """Stop fetching this source."""
        if self.timer is not None:
            self.timer.cancel()
        if self.task is not None:
            self.task.cancel()


@dataclass(slots=True)
class _Responders:
    """The responses of one authority's responders: *answers* and *heard_at* by the mark of the certificate.

    *heard_at* is the time at which the certificate was last needed.
    """

    owner: str
    authority: Authority
    urls: tuple[str, ...]
    grace: timedelta
    answers: dict[str, OcspAnswer] = field(default_factory=dict)
    heard_at: dict[str, datetime] = field(default_factory=dict)


class Fetcher:
    """Fetches every source that concerns one server: those of our own authority, and on an edge those of partners.

    *look* reads files that were written. *chance* returns a number from 0 to 1.
    """

    def __init__(
        self,
        node: RunningServer,
        look: Look,
        log: Log,
        fetcher: HttpFetcher | None = None,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._node, self._look, self._log, self._chance = node, look, log, chance
        self._fetcher = fetcher or HttpFetcher(node.resolver)
        self._folder = node.view.loaded.folder / FETCHED
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._issuers = KnownIntermediates(self._folder / "issuers.pem")
        self._loaded = node.view.loaded
        self._works: dict[str, _Work] = {}
        self._responders: dict[str, _Responders] = {}
        self._seen: dict[tuple[bytes, ...], None] = {}
        self._turn = asyncio.Semaphore(AT_ONCE)

    def __repr__(self) -> str:
        failing = sum(work.source.pace.failing_since is not None for work in self._works.values())
        return f"<Fetcher from {len(self._works)} sources, {failing} of which fail>"

    async def close(self) -> None:
        """Stop all fetching."""
        self._node.gatekeeper.attach(None)
        works, self._works = self._works, {}
        for work in works.values():
            work.stop()
        await asyncio.gather(*(work.task for work in works.values() if work.task), return_exceptions=True)
        await self._fetcher.close()

    def follow(self, loaded: Loaded) -> None:
        """Fetch the sources of *loaded*, which is about to be in force, and no others; new sources are fetched at once."""
        self._carry(self._loaded, loaded)
        self._loaded = loaded
        self._seen.clear()
        self._follow_responders(loaded)
        wanted = dict(self._lists_of(loaded))
        for key in [
            key for key, work in self._works.items() if isinstance(work.source, CrlFetchJob) and key not in wanted
        ]:
            self._works.pop(key).stop()
        for key, (owner, entry, file) in wanted.items():
            if key in self._works:
                source = self._works[key].source
                source.owner, source.grace = owner, entry.grace_time
                if isinstance(source, CrlFetchJob):
                    source.largest = entry.largest_list
            else:
                self._add(
                    key,
                    CrlFetchJob(
                        key,
                        owner,
                        entry.grace_time,
                        self._pace(),
                        file,
                        self._list_in,
                        self._of,
                        self._put,
                        largest=entry.largest_list,
                    ),
                )
        self._node.gatekeeper.attach(self)

    def _carry(self, before: Loaded, loaded: Loaded) -> None:
        """Keep the CRLs in force where those of *loaded* have not been fetched yet."""
        held = {owner: authority.lists for owner, _, authority in self._concerned(before)}
        by_authority = _files_by_authority(loaded)
        for owner, _, authority in self._concerned(loaded):
            found = by_authority[id(authority)]
            if before is not loaded and found.awaited and owner in held:
                found.carry(held[owner])
                authority.relist(found.held())

    def _pace(self) -> Backoff:
        return Backoff(self._chance)

    def _concerned(self, loaded: Loaded) -> Iterator[tuple[str, AuthorityEntry, Authority]]:
        """Return what this server judges by: owner ("" for ourselves), topology entry, and authority."""
        yield "", loaded.topology.authority, loaded.authority
        if self._node.view.role is Role.EDGE:
            for partner, authority in zip(loaded.topology.federation.partners, loaded.partners, strict=True):
                yield partner.name, partner, authority

    def _lists_of(self, loaded: Loaded) -> Iterator[tuple[str, tuple[str, AuthorityEntry, Path]]]:
        """Return each CRL by its URL; a URL that several partners name is fetched once."""
        by_authority = _files_by_authority(loaded)
        for owner, entry, authority in self._concerned(loaded):
            for list_file in by_authority[id(authority)].files:
                if list_file.fetched:
                    yield list_file.name, (owner, entry, list_file.file)

    # One source

    def _add(self, key: str, source: FetchJob) -> None:
        self._works[key] = work = _Work(source)
        self._begin(work)

    def poke(self, name: str) -> asyncio.Task[None]:
        """Fetch from the source *name* now, unless a fetch is in progress; return the task of the fetch."""
        work = next(work for work in self._works.values() if work.source.name == name)
        return self._begin(work)

    def _begin(self, work: _Work) -> asyncio.Task[None]:
        if work.task is None or work.task.done():
            if work.timer is not None:
                work.timer.cancel()
            work.began_at = self._node.loop.time()
            work.task = self._node.loop.create_task(self._fetch(work))
        return work.task

    async def _fetch(self, work: _Work) -> None:
        why = await self._attempt(work.source)
        at, item = self._node.gatekeeper.clock(), work.source.item
        if item is not None and not why:
            pause = self._succeeded(work, item.ends, at)
        else:
            pause = self._failed(work, why or "the answer cannot be used", at)
        work.timer = self._node.loop.call_later(pause.total_seconds(), self._due, work)

    async def _attempt(self, source: FetchJob) -> str:
        """Fetch, and return the reason of a failure, or empty; a bug of ours must not stop other fetches."""
        try:
            async with self._turn:
                await source.fetch(self._fetcher, self._node.gatekeeper.clock)
        except (SipmeshError, OSError) as wrong:
            return str(wrong)
        except Exception as fault:  # noqa: BLE001 - see above
            self._log.error("fault", what=f"in fetching from {source.name}", exc_info=fault)
            return "a bug in sipmesh; see the log"
        return ""

    def _succeeded(self, work: _Work, ends: datetime, at: datetime) -> timedelta:
        if work.logged:
            self._log.info("fetch works again", source=work.source.name, owner=work.source.owner)
        work.logged = ""
        return work.source.pace.succeeded(at, ends)

    def _failed(self, work: _Work, why: str, at: datetime) -> timedelta:
        """Log the failure once for each reason; numbers in the text do not make another reason."""
        source = work.source
        pause = source.pace.failed(at, why)
        reason = _NUMBERS.sub("#", why)
        if reason != work.logged:
            work.logged = reason
            item = source.item
            self._log.warning(
                "fetch failed: the stored list or answer stays in force",
                source=source.name,
                owner=source.owner or self._loaded.topology.organisation,
                why=why,
                refuses_from=tell_time(item.ends + source.grace) if item is not None else "now",
            )
        return pause

    def _due(self, work: _Work) -> None:
        source = work.source
        if isinstance(source, OcspFetchJob) and self._is_forgotten(source):
            self._forget(source)
        else:
            self._begin(work)

    # CRLs

    def _list_in(self, file: Path) -> RevocationList | None:
        """Return the CRL that was last read from *file*, None if there is none."""
        return next(
            (found for list_files in self._loaded.list_files if (found := list_files.found_in(file)) is not None), None
        )

    def _of(self, file: Path) -> list[x509.Certificate]:
        """Return the known certificates that may have signed the CRL in *file*."""
        found: dict[x509.Certificate, None] = {}
        for list_files in self._loaded.list_files:
            if any(list_file.file == file for list_file in list_files.files):
                found.update(dict.fromkeys((*list_files.issuers, *self._issuers.below(list_files.issuers))))
        return list(found)

    def _put(self, file: Path) -> None:
        self._look([file])

    # OCSP responses

    def _follow_responders(self, loaded: Loaded) -> None:
        """Give every authority its stored responses, and stop asking for authorities that need none."""
        before, self._responders = self._responders, {}
        for owner, entry, authority in self._concerned(loaded):
            if entry.revocation is not RevocationSource.LISTS:
                responders = _Responders(owner, authority, entry.ocsp, entry.grace_time)
                responders.answers = (
                    before[owner].answers if owner in before else answers_on_disk(loaded.folder, authority.name)
                )
                responders.heard_at = before[owner].heard_at if owner in before else {}
                authority.hear(OcspAnswers(responders.answers.values()))
                self._responders[owner] = responders
        for key, work in list(self._works.items()):
            if isinstance(source := work.source, OcspFetchJob):
                if source.owner in self._responders:
                    source.urls, source.grace = (
                        self._responders[source.owner].urls,
                        self._responders[source.owner].grace,
                    )
                else:
                    self._works.pop(key).stop()

    def judged(self, evidence: PeerEvidence, policy: LinkPolicy, verdict: Verdict) -> None:
        """Ask about the certificates of an accepted peer, or of one that only lacks revocation data, after the handshake.

        No other peer causes a request: a stranger must not choose what we ask about.
        """
        lacks_revocation = verdict.code is Code.REVOCATION_UNKNOWN and all(
            finding.check == "revocation" for finding in verdict.failed
        )
        if not (verdict.accepted or lacks_revocation) or (verdict.accepted and evidence.presented in self._seen):
            return
        if verdict.accepted:
            if len(self._seen) >= MOST_SEEN:
                self._seen.clear()
            self._seen[evidence.presented] = None
        self._node.loop.call_soon(self._learn, evidence, policy, verdict)

    def _learn(self, evidence: PeerEvidence, policy: LinkPolicy, verdict: Verdict) -> None:
        trail = Evaluation(evidence, policy, verdict.at).trail
        if trail.authority is None or not trail.verified:
            return
        self._issuers.remember(trail.path[1:-1])
        responders = next((known for known in self._responders.values() if known.authority is trail.authority), None)
        if responders is None:
            return
        for certificate, issuer in pairwise(trail.path):
            self._ask(responders, About(certificate, issuer), verdict)

    def _ask(self, responders: _Responders, about: About, verdict: Verdict) -> None:
        """Ask about one certificate, if no CRL covers it or both are required; at once if a peer was refused for it."""
        listed = responders.authority.lists.find(*about) is not None
        if listed and responders.authority.source is RevocationSource.ANSWERS:
            return
        mark = about.mark
        key = f"{responders.owner} {mark}"
        known = mark in responders.heard_at
        if not known and len(responders.heard_at) >= MOST_ANSWERS:
            return
        responders.heard_at[mark] = verdict.at
        if key not in self._works:
            self._add(key, self._answers_about(responders.owner, about, mark))
        elif not verdict.accepted and self._node.loop.time() - self._works[key].began_at >= POKED_AGAIN_S:
            self._begin(self._works[key])

    def _answers_about(self, owner: str, about: About, mark: str) -> OcspFetchJob:
        responders = self._responders[owner]

        def put(answer: OcspAnswer, body: bytes) -> None:
            self._accept_answer(owner, about, mark, answer, body)

        def held() -> OcspAnswer | None:
            return self._responders[owner].answers.get(mark) if owner in self._responders else None

        return OcspFetchJob(responders.urls, about, owner, responders.grace, self._pace(), held, put)

    def _accept_answer(self, owner: str, about: About, mark: str, answer: OcspAnswer, body: bytes) -> None:
        """Put a response in force: only links that rely on that certificate are judged again, at once."""
        responders = self._responders[owner]
        files.write(answer_file(self._loaded.folder, responders.authority.name, mark), body)
        responders.answers[mark] = answer
        closed = self._node.revocation.accept_ocsp(
            responders.authority, OcspAnswers(responders.answers.values()), about
        )
        if closed:
            serial = f"{about.certificate.serial_number:x}"
            self._log.warning("OCSP response in force", owner=owner, serial=serial, closed=closed)

    def _is_forgotten(self, source: OcspFetchJob) -> bool:
        responders, mark = self._responders[source.owner], source.about.mark
        if self._node.revocation.is_relied_on(source.about):
            responders.heard_at[mark] = self._node.gatekeeper.clock()
        return self._node.gatekeeper.clock() - responders.heard_at[mark] > FORGOTTEN

    def _forget(self, source: OcspFetchJob) -> None:
        responders, mark = self._responders[source.owner], source.about.mark
        self._works.pop(f"{source.owner} {mark}").stop()
        del responders.heard_at[mark]
        responders.answers.pop(mark, None)
        answer_file(self._loaded.folder, responders.authority.name, mark).unlink(missing_ok=True)
        self._seen.clear()
        self._node.revocation.accept_ocsp(responders.authority, OcspAnswers(responders.answers.values()), source.about)

    # Status

    def supplies(self, at: datetime) -> tuple[FetchStatus, ...]:
        """Return the state of every source at time *at*."""
        return tuple(_supply(work.source, at) for work in self._works.values())


def _files_by_authority(loaded: Loaded) -> dict[int, ListFiles]:
    return dict(zip(map(id, loaded.authorities), loaded.list_files, strict=True))


def _supply(source: FetchJob, at: datetime) -> FetchStatus:
    item, pace = source.item, source.pace
    alarming = pace.alarms(at, item.ends if item is not None else None)
    if item is not None:
        item = replace(item, ends=item.ends + source.grace)
    return FetchStatus(source.name, source.owner, item, pace.failing_since, pace.why, alarming)
