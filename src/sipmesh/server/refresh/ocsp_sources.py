"""The OCSP responses that one server fetches: one job for each certificate on the path of an accepted peer.

A peer that is refused for an unknown revocation status is asked about too: the next time it connects, the status is known.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING

from sipmesh.pki import files
from sipmesh.server.refresh.authorities import NamedAuthority, authorities_for
from sipmesh.server.refresh.backoff import Backoff
from sipmesh.server.refresh.crl_request import CrlRequest
from sipmesh.server.refresh.fetch_jobs import About, OcspFetchJob
from sipmesh.topology.document.named_files.ocsp_files import MOST_ANSWERS, answer_file, answers_on_disk
from sipmesh.trust.code import Code
from sipmesh.trust.judgement.evaluation import Evaluation
from sipmesh.trust.revocation.ocsp import OcspAnswer, OcspAnswers
from sipmesh.trust.revocation.revocation_source import RevocationSource

if TYPE_CHECKING:
    from sipmesh.server.log import Log
    from sipmesh.server.refresh.fetch_schedule import FetchSchedule
    from sipmesh.server.refresh.intermediates import KnownIntermediates
    from sipmesh.server.running.running_server import RunningServer
    from sipmesh.topology.document.load import Loaded
    from sipmesh.trust.authority import Authority
    from sipmesh.trust.evidence import PeerEvidence
    from sipmesh.trust.policy import LinkPolicy
    from sipmesh.trust.verdict import Verdict

FORGOTTEN = timedelta(days=14)
"""How long the status of a certificate is fetched that no link uses: a peer that returns within this is not refused first."""

POKED_AGAIN_S = 10.0
"""Seconds between two fetches that a refused peer can cause by connecting again."""

SEEN_AGAIN = timedelta(hours=1)
"""How long the chain of an accepted peer is not looked at again."""

MOST_SEEN = 4_096
"""Certificate chains of accepted peers that are remembered, so that each is evaluated once."""


@dataclass(slots=True)
class _Responders:
    """The responders of one authority. *answers* and *heard_at* have the mark of a certificate as key (`About.mark`).

    *heard_at* is when a link last used the certificate.
    """

    owner: str
    authority: Authority
    urls: tuple[str, ...]
    grace: timedelta
    answers: dict[str, OcspAnswer] = field(default_factory=dict)
    heard_at: dict[str, datetime] = field(default_factory=dict)
    jobs: dict[str, OcspFetchJob] = field(default_factory=dict)

    def follow(self, named: NamedAuthority) -> None:
        """Use the authority and the responders of a new topology, for the jobs also."""
        self.authority, self.urls, self.grace = named.authority, named.entry.ocsp, named.entry.grace_time
        for job in self.jobs.values():
            job.urls, job.grace = self.urls, self.grace

    @property
    def all_answers(self) -> OcspAnswers:
        """Every answer, as the judge takes them."""
        return OcspAnswers(self.answers.values())


class OcspSources:
    """The OCSP jobs of one server. *chance* is for `Backoff`.

    *needed* is called with the CRLs of the authority of a peer that was accepted, or was refused only because its revocation
    status is unknown.
    """

    def __init__(
        self,
        node: RunningServer,
        schedule: FetchSchedule,
        issuers: KnownIntermediates,
        log: Log,
        chance: Callable[[], float],
        needed: Callable[[CrlRequest], None],
    ) -> None:
        self._needed = needed
        self._node, self._schedule, self._issuers, self._log, self._chance = node, schedule, issuers, log, chance
        self._folder = node.view.loaded.folder
        self._responders: dict[str, _Responders] = {}
        self._seen: dict[tuple[bytes, ...], datetime] = {}
        self._named: dict[int, NamedAuthority] = {}  # by the id of the authority

    def follow(self, loaded: Loaded) -> None:
        """Give every authority of *loaded* the answers that are known, and stop jobs of authorities without responders."""
        self._seen.clear()
        before, self._responders = self._responders, {}
        named_here = list(authorities_for(self._node.view.role, loaded))
        self._named = {id(named.authority): named for named in named_here}
        for named in named_here:
            if named.entry.revocation is not RevocationSource.LISTS:
                responders = before.pop(named.owner, None) or self._new(named)
                responders.follow(named)
                named.authority.use_ocsp_responses(responders.all_answers)
                self._responders[named.owner] = responders
        for responders in before.values():
            for job in responders.jobs.values():
                self._schedule.stop(job)

    def _new(self, named: NamedAuthority) -> _Responders:
        answers = answers_on_disk(self._folder, named.authority.name)
        entry = named.entry
        return _Responders(named.owner, named.authority, entry.ocsp, entry.grace_time, answers)

    def judged(self, evidence: PeerEvidence, policy: LinkPolicy, verdict: Verdict) -> None:
        """Fetch the status of the certificates of an accepted peer, after the handshake.

        A peer that was refused only because its revocation status is unknown is treated like it. No other peer can choose about
        which certificates we ask.
        """
        refused = verdict.code is Code.REVOCATION_UNKNOWN and all(
            finding.check == "revocation" for finding in verdict.failed
        )
        if not (verdict.accepted or refused) or (verdict.accepted and self._was_seen(evidence, verdict.at)):
            return
        if verdict.accepted:
            if len(self._seen) >= MOST_SEEN:
                self._seen.clear()
            self._seen[evidence.presented] = verdict.at
        self._node.loop.call_soon(self._learn, evidence, policy, verdict)

    def _was_seen(self, evidence: PeerEvidence, at: datetime) -> bool:
        seen_at = self._seen.get(evidence.presented)
        return seen_at is not None and at - seen_at < SEEN_AGAIN

    def _learn(self, evidence: PeerEvidence, policy: LinkPolicy, verdict: Verdict) -> None:
        """Remember the intermediates of the path, have its CRLs fetched, and ask about each certificate of the path."""
        trail = Evaluation(evidence, policy, verdict.at).trail
        if trail.authority is None or not trail.verified:
            return
        self._issuers.remember(trail.path)
        named = self._named.get(id(trail.authority))
        if named is not None and (named.entry.crl_hosts or not verdict.accepted):
            self._needed(CrlRequest.of(named, trail.path, accepted=verdict.accepted))
        known = (responders for responders in self._responders.values() if responders.authority is trail.authority)
        if (responders := next(known, None)) is None:
            return
        for certificate, issuer in pairwise(trail.path):
            self._ask(responders, About(certificate, issuer), verdict)

    def _ask(self, responders: _Responders, about: About, verdict: Verdict) -> None:
        """Ask about one certificate if no CRL covers it, or both are needed; at once if the peer was refused."""
        listed = responders.authority.lists.find(*about) is not None
        if listed and responders.authority.source is RevocationSource.ANSWERS:
            return
        mark = about.mark
        if mark not in responders.heard_at and len(responders.heard_at) >= MOST_ANSWERS:
            return
        responders.heard_at[mark] = verdict.at
        if mark not in responders.jobs:
            self._start(responders, about)
        elif not verdict.accepted:
            self._schedule.run_again(responders.jobs[mark], POKED_AGAIN_S)

    def _start(self, responders: _Responders, about: About) -> None:
        mark = about.mark

        def put(answer: OcspAnswer, body: bytes) -> None:
            self._accept(responders, about, answer, body)

        def in_force() -> OcspAnswer | None:
            return responders.answers.get(mark)

        def is_wanted() -> bool:
            return self._is_wanted(responders, about)

        pace = Backoff(self._chance)
        job = OcspFetchJob(responders.urls, about, responders.owner, responders.grace, pace, in_force, put)
        responders.jobs[mark] = job
        self._schedule.start(job, is_wanted)

    def _accept(self, responders: _Responders, about: About, answer: OcspAnswer, body: bytes) -> None:
        """Put an answer in force: links that use the certificate are judged again at once, and no others."""
        files.write(answer_file(self._folder, responders.authority.name, about.mark), body)
        responders.answers[about.mark] = answer
        closed = self._node.revocation.accept_ocsp(responders.authority, responders.all_answers, about)
        if closed:
            serial = f"{about.certificate.serial_number:x}"
            self._log.warning("OCSP response in force", owner=responders.owner, serial=serial, closed=closed)

    def _is_wanted(self, responders: _Responders, about: About) -> bool:
        """Tell whether a link has used a certificate within the time; otherwise its job is stopped."""
        at, mark = self._node.gatekeeper.clock(), about.mark
        if self._node.revocation.is_relied_on(about):
            responders.heard_at[mark] = at
        if at - responders.heard_at[mark] <= FORGOTTEN:
            return True
        self._forget(responders, about)
        return False

    def _forget(self, responders: _Responders, about: About) -> None:
        mark = about.mark
        self._schedule.stop(responders.jobs.pop(mark))
        del responders.heard_at[mark]
        responders.answers.pop(mark, None)
        answer_file(self._folder, responders.authority.name, mark).unlink(missing_ok=True)
        self._seen.clear()
        self._node.revocation.accept_ocsp(responders.authority, responders.all_answers, about)
