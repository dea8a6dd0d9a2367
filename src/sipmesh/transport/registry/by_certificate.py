"""Which links stand on which certificate: a revocation asks for its own links, however many others there are."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sipmesh.transport.registry.registered_link import RegisteredLink
    from sipmesh.trust.x509.certificate import CertificateId


class LinksByCertificate:
    """Links by each certificate of the path that their verdict relied on: the leaf, what issued it, and the anchor."""

    __slots__ = ("_links", "_named")

    def __init__(self) -> None:
        self._links: dict[CertificateId, dict[int, RegisteredLink]] = {}
        self._named: dict[int, frozenset[CertificateId]] = {}

    def __repr__(self) -> str:
        return f"<LinksByCertificate of {len(self._named)} links on {len(self._links)} certificates>"

    def set(self, link: RegisteredLink, named: frozenset[CertificateId]) -> None:
        """Find *link* by each of *named* from now on, and by nothing else."""
        if named == self._named.get(link.number):
            return
        self.forget(link)
        if named:
            self._named[link.number] = named
        for one in named:
            self._links.setdefault(one, {})[link.number] = link

    def forget(self, link: RegisteredLink) -> None:
        """Find *link* no more."""
        for one in self._named.pop(link.number, ()):
            held = self._links[one]
            del held[link.number]
            if not held:
                del self._links[one]

    def on(self, named: Iterable[CertificateId]) -> list[RegisteredLink]:
        """List the links that stand on any of *named*, each once and oldest first."""
        found: dict[int, RegisteredLink] = {}
        for one in named:
            found.update(self._links.get(one, {}))
        return [found[number] for number in sorted(found)]
