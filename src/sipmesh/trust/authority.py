"""One CA from the view of a relying party: anchors, CRLs, OCSP responses and the rules for them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from cryptography.x509.verification import Store

from sipmesh.trust.revocation.ocsp import NO_ANSWERS
from sipmesh.trust.revocation.revocation_source import RevocationSource

if TYPE_CHECKING:
    from cryptography import x509

    from sipmesh.trust.dane.tlsa import TlsaAnswer
    from sipmesh.trust.revocation.crl_set import RevocationLists
    from sipmesh.trust.revocation.ocsp import OcspAnswers
    from sipmesh.trust.transparency.ct_log import CtPolicy


@dataclass(slots=True, unsafe_hash=True)
class Authority:
    """The trust anchors for one scope, with the CRLs and OCSP responses of the CAs below them.

    *name* is the organisation or the partner, as an operator reads it. *source* says whether a CRL, an OCSP response or both
    must confirm a certificate. *grace* is how long a CRL or response is accepted after its next update. Without anchors, no
    certificate is accepted. *devices* are CAs below the anchors: a device may present its own certificate alone. With
    *by_dane* there are no anchors: a path ends at a certificate that a TLSA record names. *known* are then CAs that a peer need
    not present.

    An authority exists as long as its topology version. Only *lists*, *answers* and *tlsa* are replaced during that time. The
    other fields decide whether two authorities are equal.
    """

    name: str
    anchors: tuple[x509.Certificate, ...]
    lists: RevocationLists = field(compare=False)
    answers: OcspAnswers = field(default=NO_ANSWERS, compare=False)
    source: RevocationSource = RevocationSource.LISTS
    grace: timedelta = timedelta(0)
    transparency: CtPolicy | None = None  # None: nothing is asked of logs
    devices: tuple[x509.Certificate, ...] = ()
    by_dane: bool = False
    known: tuple[x509.Certificate, ...] = ()
    tlsa: TlsaAnswer | None = field(default=None, compare=False)  # None: DNS is not asked
    store: Store | None = field(
        init=False, repr=False, compare=False
    )  # for the path check; None if there are no anchors

    def __post_init__(self) -> None:
        self.store = Store(list(self.anchors)) if self.anchors else None

    def use_crls(self, lists: RevocationLists) -> None:
        """Use these CRLs from now on."""
        self.lists = lists

    def use_ocsp_responses(self, answers: OcspAnswers) -> None:
        """Use these OCSP responses from now on."""
        self.answers = answers

    def use_tlsa(self, tlsa: TlsaAnswer) -> None:
        """Use this answer of DNS from now on."""
        self.tlsa = tlsa
