"""What an edge presents to single partners, each checked before the partner gets it.

A certificate whose check fails is not presented: the partner gets what it got before, and at the start the certificate for all
partners. So the file of one partner stops no other.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from sipmesh.errors import OperatorError
from sipmesh.server.certificates.presented import same, why_not
from sipmesh.topology.expiry.validity import Chain, DatedItem
from sipmesh.transport.tls.contexts import Identity

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    from sipmesh.topology.server_files import PartnerFiles
    from sipmesh.topology.view import ServerView


@dataclass(frozen=True, slots=True)
class PartnerCertificate:
    """What one partner gets, None for the certificate of all; *fault* says why the present content is not used."""

    files: PartnerFiles
    identity: Identity | None = None
    fault: str = ""

    @property
    def chain(self) -> Chain:
        """The chain with its expiry dates, for the inventory."""
        certificates = self.identity.chain if self.identity is not None else ()
        file = str(self.files.certificate)
        return Chain(file, tuple(map(DatedItem.of_certificate, certificates)), self.fault)


@dataclass(frozen=True, slots=True)
class PartnerCertificates:
    """The certificates for single partners of one edge, by partner, in the order of the topology. Immutable."""

    certificates: Mapping[str, PartnerCertificate] = field(default_factory=dict)

    @property
    def identities(self) -> tuple[Identity, ...]:
        """What partners get."""
        return tuple(one.identity for one in self.certificates.values() if one.identity is not None)

    @property
    def chains(self) -> Mapping[str, Chain]:
        """Their chains by partner, for the inventory."""
        return {partner: one.chain for partner, one in self.certificates.items()}

    @property
    def faults(self) -> Iterator[str]:
        """The reason for each certificate on disk that is not in use."""
        return (one.fault for one in self.certificates.values() if one.fault)

    def of(self, peer: str) -> Identity | None:
        """Return what the partner with the name *peer* gets when we connect to it; None for the certificate of all."""
        return next((one.identity for one in self.certificates.values() if peer in one.files.names), None)

    def after(self, view: ServerView, at: datetime) -> PartnerCertificates:
        """Return what to present under *view* at the instant *at*."""
        return PartnerCertificates({files.partner: self._next(files, view, at) for files in view.partner_certificates})

    def _next(self, files: PartnerFiles, view: ServerView, at: datetime) -> PartnerCertificate:
        before = replace(self.certificates.get(files.partner, PartnerCertificate(files)), files=files)
        try:
            found = Identity.load(files.certificate, files.key)
        except OperatorError as wrong:
            return replace(before, fault="; ".join(f"{problem.file}: {problem.reason}" for problem in wrong.problems))
        if before.identity is not None and same(found, before.identity):
            return replace(before, fault="")
        fault = why_not(found, view, at, outside=True, host=files.host)
        return replace(before, fault=fault) if fault else PartnerCertificate(files, found)
