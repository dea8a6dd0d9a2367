"""Revocations on one server: CRLs, OCSP responses and pushed serial numbers come into force; links that they refuse close."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from sipmesh.trust.dane.tlsa import DaneStatus
from sipmesh.trust.judgement.crl_diff import newly_revoked

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from pathlib import Path

    from cryptography import x509

    from sipmesh.server.proxy.gatekeeper import Gatekeeper
    from sipmesh.server.proxy.outside import Outside
    from sipmesh.topology.document.load import Loaded
    from sipmesh.transport.connector import Connector
    from sipmesh.transport.link.link import Link
    from sipmesh.transport.pool import LinkPool
    from sipmesh.transport.registry.by_certificate import LinksByCertificate
    from sipmesh.trust.authority import Authority
    from sipmesh.trust.dane.tlsa import TlsaAnswer
    from sipmesh.trust.evidence import PeerEvidence
    from sipmesh.trust.revocation.ocsp import OcspAnswers
    from sipmesh.trust.verdict import Verdict
    from sipmesh.trust.x509.certificate import CertificateId

MOST_PUSHED: Final = 10_000
"""Pushed revocations that are remembered: those that no CRL may have yet. The oldest are forgotten."""

Judge = Callable[["Link", "PeerEvidence"], "Verdict"]
CertificateAndIssuer = tuple["x509.Certificate", "x509.Certificate"]


class RevocationUpdates:
    """Puts revocations in force: *judge_again* judges links that are up, *relying* finds them by certificate.

    *pushed* has the last `MOST_PUSHED` certificates that were revoked before a CRL contained them.
    """

    def __init__(
        self,
        gatekeeper: Gatekeeper,
        connector: Connector,
        pool: LinkPool,
        relying: LinksByCertificate,
        judge_again: Judge,
        outside: Outside,
    ) -> None:
        self._gatekeeper, self._connector, self._pool = gatekeeper, connector, pool
        self._relying, self._judge_again = relying, judge_again
        self._outside = outside
        self.pushed: dict[CertificateId, None] = {}

    def accept_crls(self, changed: Collection[Path]) -> list[str]:
        """Put the CRLs in the *changed* files in force; the rest of the topology does not change (rule R7).

        Closes the links that are refused now, and returns their ids. Only links that rely on a newly revoked certificate are
        judged again, so the cost does not grow with the number of links.
        """
        at = self._gatekeeper.clock()
        revoked: frozenset[CertificateId] = frozenset()
        by_serial = True
        loaded = self._gatekeeper.view.loaded
        for authority, read in loaded.read_lists(changed):
            lists = read.revoking(self.pushed) if authority is loaded.authority else read
            newly = newly_revoked(authority, lists, at)
            authority.use_crls(lists)
            if newly:
                revoked = revoked | newly if revoked else newly
            by_serial = by_serial and newly is not None
        self._connector.forget_failures()
        self._outside.control_plane.crls_changed(revoked)
        self._outside.follower.crls_changed(changed)
        judge, pool = self._judge_again, self._pool
        closed = pool.rejudge_relying_on(revoked, judge) if by_serial else pool.rejudge(judge)
        return [link.id for link in closed]

    def accept_ocsp(self, authority: Authority, answers: OcspAnswers, about: CertificateAndIssuer) -> list[str]:
        """Put OCSP responses in force, of which one has changed: the response *about* a certificate and its issuer.

        Closes the links that rely on this certificate and are refused now, and returns their ids.
        """
        authority.use_ocsp_responses(answers)
        return self._close_relying_on([_named(*about)])

    def accept_tlsa(self, authority: Authority, tlsa: TlsaAnswer) -> list[str]:
        """Put the TLSA records of a partner in force; closes the links that they refuse where they count in place of a CA."""
        authority.use_tlsa(tlsa)
        self._connector.forget_failures()
        is_proved = authority.by_dane and tlsa.status is DaneStatus.SECURE
        return [link.id for link in self._pool.rejudge(self._judge_again)] if is_proved else []

    def revoke(self, named: Iterable[CertificateId]) -> list[str]:
        """Refuse certificates from now on, *named* by issuer and serial number, before the CRL that contains them arrives.

        They stay refused under new CRLs and new versions: these may have been made before. Closes the links that rely on them,
        and returns their ids.
        """
        revoked, loaded = frozenset(named), self._gatekeeper.view.loaded
        for authority in loaded.authorities:
            authority.use_crls(authority.lists.revoking(revoked))
        self.pushed |= dict.fromkeys(revoked)
        while len(self.pushed) > MOST_PUSHED:
            del self.pushed[next(iter(self.pushed))]
        self._outside.follower.revoked(revoked)
        return self._close_relying_on(revoked)

    def keep_pushed(self, loaded: Loaded) -> None:
        """Refuse what was pushed under *loaded* too, which comes into force; our own CA has issued it."""
        if self.pushed:
            loaded.authority.use_crls(loaded.authority.lists.revoking(self.pushed))

    def _close_relying_on(self, named: Collection[CertificateId]) -> list[str]:
        self._connector.forget_failures()
        return [link.id for link in self._pool.rejudge_relying_on(named, self._judge_again)]

    def is_relied_on(self, about: CertificateAndIssuer) -> bool:
        """Return whether a link relies on a certificate, which is given with its issuer."""
        return bool(self._relying.on([_named(*about)]))


def _named(certificate: x509.Certificate, issuer: x509.Certificate) -> CertificateId:
    return issuer.subject.public_bytes(), certificate.serial_number
