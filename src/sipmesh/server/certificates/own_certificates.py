"""The certificates that one server uses: TLS contexts, new certificate files, and links that move to a new certificate."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from sipmesh.server.certificates.client_certificates import ClientCertificates
from sipmesh.server.certificates.link_rotation import LinkRotation
from sipmesh.server.certificates.own_staples import OwnStaples
from sipmesh.server.certificates.partner_certificates import PartnerCertificates
from sipmesh.server.certificates.presented import PresentedCertificate, PresentedCertificates
from sipmesh.topology.expiry.impact import server_command
from sipmesh.transport.tls.certificate_choice import names_of
from sipmesh.transport.tls.contexts import (
    AcceptingContext,
    ClientPortContext,
    Identity,
    MutualContext,
)
from sipmesh.trust.evidence import Direction, LinkKind
from sipmesh.trust.formatting import tell_time
from sipmesh.trust.role import ClientAuth
from sipmesh.trust.x509.certificate import extension
from sipmesh.trust.x509.sip_identity import identities

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from sipmesh.server.in_force.in_force import Current
    from sipmesh.server.log import Log
    from sipmesh.server.proxy.gatekeeper import Gatekeeper
    from sipmesh.server.proxy.outside import Outside
    from sipmesh.topology.expiry.validity import Chain, RenewalFault
    from sipmesh.topology.view import ServerView
    from sipmesh.transport.accept.listener import Spec
    from sipmesh.transport.hop import Hop
    from sipmesh.transport.link.link import Link

LOOK_AGAIN_S = 60.0
PARTNER_NOT_TAKEN = "certificate for a partner rejected: the partner gets what it got before"
NO_NAME_OF_ITS_OWN = (
    "the certificate for a partner has no name of its own: if the partner connects, it gets that of all partners"
)
ITS_OWN_NAME = "put one more name into it, which the partner has as the name of our edge"
CLIENTS_NOT_TAKEN = "certificate for clients rejected: clients get what they got before"
NOT_TAKEN = "new certificate rejected: the old certificate stays in use"


class OwnCertificates:
    """What one server presents under the topology in force; *gatekeeper* gives the wall-clock time."""

    def __init__(
        self, current: Current, loop: asyncio.AbstractEventLoop, gatekeeper: Gatekeeper, outside: Outside, log: Log
    ) -> None:
        self._current, self._loop, self._gatekeeper, self._outside, self._log = current, loop, gatekeeper, outside, log
        self.rotation = LinkRotation(outside)
        self.presented = PresentedCertificates({})
        self.for_clients = ClientCertificates()
        self.for_partners = PartnerCertificates()
        self.staples = OwnStaples(self._now, lambda: self._view.loaded.authority.lists)
        self._mutual: dict[tuple[LinkKind, Identity | None, bool, bool], MutualContext] = {}

    @property
    def _view(self) -> ServerView:
        return self._current.value.view

    def _now(self) -> datetime:
        return self._gatekeeper.clock()

    def load(self) -> None:
        """Read the certificates at the start; raises `OperatorError` if a file cannot be used."""
        view, at = self._view, self._gatekeeper.clock()
        self.presented = PresentedCertificates.first(view)
        self._present_to_clients(self.for_clients.after(view, at))
        self._present_to_partners(self.for_partners.after(view, at))
        self._warn_of_missing_names()
        self._fetch_staples()

    def _fetch_staples(self) -> None:
        """Have the OCSP responses fetched about what is presented now."""
        own = (certificate.identity for certificate in self.presented.certificates.values())
        identities = (*own, *self.for_clients.identities, *self.for_partners.identities)
        self._outside.sources.present([identity.chain for identity in identities])

    def _warn_of_missing_names(self) -> None:
        """Warn of domains that are not in our certificate: phones of these domains will refuse us (RFC 5922)."""
        usable = identities(self.presented.of(LinkKind.SERVER).leaf).usable
        missing = sorted(set(self._view.names) - set(usable))
        if missing:
            remedy = f"sipmesh ca issue {self._view.name}"
            self._log.warning("own certificate lacks names", missing=missing, remedy=remedy)

    # TLS contexts

    def opening_context(self, hop: Hop) -> MutualContext:
        """Return the context of a link that we open."""
        own = self.for_partners.of(hop.name) if hop.kind is LinkKind.PARTNER else None
        return self._mutual_context(hop.kind, own, staples=self._view.asks_for_staple(hop.kind, hop.name))

    def accepting_context(self, spec: Spec) -> AcceptingContext:
        """Return the context of the port *spec*."""
        if spec.kind is LinkKind.CLIENT:
            asks = self._view.client_auth_at(spec.key)
            ours = self._view.loaded.authority
            anchors = () if asks is ClientAuth.PASSWORD else (*ours.anchors, *ours.devices)
            own, others = self.presented.of(spec.kind), self.for_clients.at(spec.key)
            is_required = asks is ClientAuth.CERTIFICATE
            return ClientPortContext(own, others, anchors, is_required=is_required, staple_of=self.staples.of)
        trunk = self._view.trunk_at(spec.key)
        of_trunk = self.for_partners.of(trunk.name) if trunk is not None else None
        if trunk is not None and trunk.trunk is not None and trunk.trunk.challenge is not None:
            return ClientPortContext(of_trunk or self.presented.of(spec.kind), staple_of=self.staples.of)
        return self._mutual_context(spec.kind, of_trunk)

    def _mutual_context(self, kind: LinkKind, own: Identity | None = None, *, staples: bool = False) -> MutualContext:
        """Return the context of mutual-TLS links of *kind*, with the anchors of the topology in force.

        *own* is the certificate for the one partner that we connect to. A partner that connects gets its certificate by the SNI.
        *staples* asks the peer for its OCSP response.
        """
        post_quantum = self._view.needs_post_quantum(kind)
        context = self._mutual.get((kind, own, staples, post_quantum))
        if context is None:
            of_many = kind is LinkKind.PARTNER
            by_dane = of_many and self._view.has_dane_only
            others = self.for_partners.identities if of_many and own is None else ()
            identity = own or self.presented.of(kind)
            anchors = self._view.anchors(kind)
            context = MutualContext(
                identity,
                anchors,
                of_many=of_many,
                by_dane=by_dane,
                others=others,
                staples=staples,
                post_quantum=post_quantum,
                staple_of=self.staples.of,
            )
            self._mutual[kind, own, staples, post_quantum] = context
        return context

    # Another certificate

    def read_again(self) -> None:
        """Present the certificates on disk, as the topology says; a certificate that peers would refuse is not used."""
        view, at = self._view, datetime.now(UTC)
        self._present(view, self.presented.after(view, at))
        self._present_to_clients(self.for_clients.after(view, at))
        self._present_to_partners(self.for_partners.after(view, at))
        self._mutual = {}
        self._fetch_staples()

    def renewed(self, file: Path, fault: RenewalFault | None) -> None:
        """Note what has come of the last renewal of *file* by ACME; *fault* is None if it went well."""
        self.for_clients = self.for_clients.renewed(file, fault)

    @property
    def faults(self) -> Iterator[str]:
        """The reason for each certificate on disk that is not in use."""
        yield from self.presented.faults
        yield from (certificate.fault for certificate in self.for_clients.faults)
        yield from self.for_partners.faults

    def would_change(self, at: datetime) -> bool:
        """Return whether a certificate that was refused is valid now, for example because its validity has started."""
        if any(self.for_clients.faults) and self.for_clients.after(self._view, at) != self.for_clients:
            return True
        if any(self.for_partners.faults) and self.for_partners.after(self._view, at) != self.for_partners:
            return True
        if not any(self.presented.faults):
            return False
        after = self.presented.after(self._view, at)
        return any(
            certificate.identity is not self.presented.certificates[outside].identity
            for outside, certificate in after.certificates.items()
        )

    def _present(self, view: ServerView, presented: PresentedCertificates) -> None:
        """Use the changed certificates from now on, and log them; links that are up do not change."""
        for outside, certificate in presented.certificates.items():
            self._log_change(view, outside, certificate)
        changed = any(
            certificate is not self.presented.certificates.get(outside)
            for outside, certificate in presented.certificates.items()
        )
        self.presented = presented
        if changed:
            self._loop.call_soon(self._outside.control_plane.certificate_changed)

    def _present_to_clients(self, certificates: ClientCertificates) -> None:
        """Use the certificates for clients from now on, and log what has changed."""
        for file, certificate in certificates.certificates.items():
            before = self.for_clients.certificates.get(file)
            if certificate.fault and (before is None or before.fault != certificate.fault):
                self._log.error(CLIENTS_NOT_TAKEN, file=str(file), why=certificate.fault)
            elif certificate.identity is not None and (before is None or before.identity is not certificate.identity):
                leaf = certificate.identity.leaf
                ends = tell_time(leaf.not_valid_after_utc)
                self._log.info(
                    "new certificate for clients in use", file=str(file), serial=f"{leaf.serial_number:x}", ends=ends
                )
        self.for_clients = certificates

    def _present_to_partners(self, certificates: PartnerCertificates) -> None:
        """Use the certificates for single partners from now on, log what has changed, and replace links under an old one."""
        for partner, one in certificates.certificates.items():
            before = self.for_partners.certificates.get(partner)
            if one.fault and (before is None or before.fault != one.fault):
                self._log.error(PARTNER_NOT_TAKEN, partner=partner, file=str(one.files.certificate), why=one.fault)
            elif one.identity is not None and (before is None or before.identity is not one.identity):
                self._log.info(
                    "new certificate for a partner in use",
                    partner=partner,
                    ends=tell_time(one.identity.leaf.not_valid_after_utc),
                )
                if not names_of(one.identity.leaf) - names_of(self.presented.of(LinkKind.PARTNER).leaf):
                    self._log.warning(NO_NAME_OF_ITS_OWN, partner=partner, remedy=ITS_OWN_NAME)
                if before is not None:
                    self.rotation.rotated(self._opened_to(one.files.names), self._gatekeeper.clock())
        self.for_partners = certificates

    def _opened_to(self, names: frozenset[str]) -> list[Link]:
        """Return the links that we opened to the partner with these *names*."""
        opened = self._opened({LinkKind.PARTNER})
        return [link for link in opened if link.verdict is not None and link.verdict.meant in names]

    def _log_change(self, view: ServerView, outside: bool, certificate: PresentedCertificate) -> None:  # noqa: FBT001 - a half of a Side
        before, leaf = self.presented.certificates.get(outside), certificate.identity.leaf
        if certificate.fault:
            remedy = server_command(view.name, view.identity(LinkKind.PARTNER)[0].name, outside=outside)
            self._log.error(NOT_TAKEN, file=str(certificate.identity.chain_path), why=certificate.fault, remedy=remedy)
        elif before is None or before.identity.chain != certificate.identity.chain:
            ends = tell_time(leaf.not_valid_after_utc)
            self._log.info("new certificate in use", serial=f"{leaf.serial_number:x}", ends=ends)
            if before is not None:
                self._warn_of_lost_usage(before.identity.leaf, leaf)
                self.rotation.rotated(self._opened_under(outside), self._replace_from(before, certificate))

    def _warn_of_lost_usage(self, before: x509.Certificate, now: x509.Certificate) -> None:
        """Warn if our certificate has lost clientAuth, as when a CA changes its profile: some partners want it from us."""
        if is_for_clients(before) and not is_for_clients(now):
            remedy = "see who refuses it: sipmesh partner probe DOMAIN. Such a partner has to accept serverAuth from us"
            self._log.warning("new certificate has no usage clientAuth any more", remedy=remedy)

    def chains(self) -> Mapping[bool, Chain]:
        """Return the presented chains for the inventory; the key True stands for the certificate for partners only."""
        return {outside: certificate.chain for outside, certificate in self.presented.certificates.items()}

    # Links under the old certificate

    def replace_links(self, at: datetime) -> list[str]:
        """Replace links that we opened under a certificate that is about to expire; returns the ids of the drained links."""
        self.rotation.rotated(self._under_another_root(), at)
        return self.rotation.step(at, self._loop.time())

    def _replace_from(self, before: PresentedCertificate, now: PresentedCertificate) -> datetime:
        """Return when links under *before* must be replaced: now if its root is another one, else when its chain expires."""
        if before.identity.chain[-1].issuer != now.identity.chain[-1].issuer:
            return self._gatekeeper.clock()
        return min(certificate.not_valid_after_utc for certificate in before.identity.chain)

    def _under_another_root(self) -> list[Link]:
        """Return the links to our servers that we opened, and whose peer's chain ends at another root than ours.

        After a change of the root, such a peer has another certificate by now. Each link is checked only after it has been
        up for ``LOOK_AGAIN_S``.
        """
        ours = self.presented.of(LinkKind.SERVER).chain[-1].issuer.public_bytes()
        return [
            link
            for link in self._opened({LinkKind.SERVER})
            if link.verdict is not None
            and link.verdict.relied_on
            and self._loop.time() - link.opened_at >= LOOK_AGAIN_S
            and not any(issuer == ours for issuer, _ in link.verdict.relied_on)
        ]

    def _opened_under(self, outside: bool) -> list[Link]:  # noqa: FBT001 - a half of a Side
        """Return the links that we opened with one of our certificates; *outside* means the one for partners only."""
        partners_too = not outside and True not in self.presented.certificates
        kinds = {LinkKind.PARTNER} if outside else {LinkKind.SERVER}
        return self._opened(kinds | ({LinkKind.PARTNER} if partners_too else set()))

    def _opened(self, kinds: set[LinkKind]) -> list[Link]:
        return [
            link
            for link in self._outside.links.all()
            if link.direction is Direction.OPENED and link.kind in kinds and not link.reserved
        ]


def is_for_clients(leaf: x509.Certificate) -> bool:
    """Return whether every partner accepts the usage of *leaf* from the side that connects (RFC 5280 4.2.1.12)."""
    listed = extension(leaf, x509.ExtendedKeyUsage)
    return listed is None or bool(
        {ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE} & set(listed)
    )
