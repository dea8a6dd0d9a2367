"""The links that rely on each certificate: a revocation finds its links without a search through all links."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

    from sipmesh.transport.registry.registered_link import RegisteredLink
    from sipmesh.trust.x509.certificate import CertificateId


class LinksByCertificate:
    """Links by each certificate on the path of their verdict: the leaf, its issuers, and the anchor."""

    __slots__ = ("_links", "_named")

    def __init__(self) -> None:
        self._links: dict[CertificateId, dict[int, RegisteredLink]] = {}
        self._named: dict[int, frozenset[CertificateId]] = {}

    def set(self, link: RegisteredLink, named: frozenset[CertificateId]) -> None:
        """Find *link* by each certificate in *named* from now on, and by no other."""
        if named == self._named.get(link.number):
            return
        self.forget(link)
        if named:
            self._named[link.number] = named
        for certificate in named:
            self._links.setdefault(certificate, {})[link.number] = link

    def forget(self, link: RegisteredLink) -> None:
        """Do not find *link* any more."""
        for certificate in self._named.pop(link.number, ()):
            links = self._links[certificate]
            del links[link.number]
            if not links:
                del self._links[certificate]

    def on(self, named: Collection[CertificateId]) -> list[RegisteredLink]:
        """List the links that rely on any certificate in *named*, each link once, oldest first."""
        found: dict[int, RegisteredLink] = {}
        if len(named) > len(self._links):  # a new CRL may name 100,000 certificates, in a set
            named = [certificate for certificate in self._links if certificate in named]
        for certificate in named:
            found.update(self._links.get(certificate, {}))
        return [found[number] for number in sorted(found)]
