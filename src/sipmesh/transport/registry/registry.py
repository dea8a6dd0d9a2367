"""All links of one process, by id, by proved identity and by the certificates they rely on; never by address."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sipmesh.transport.registry.by_certificate import LinksByCertificate
from sipmesh.trust.evidence import Direction

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from sipmesh.transport.registry.registered_link import RegisteredLink
    from sipmesh.trust.evidence import LinkKind


class Registry:
    """The links that are being opened or are up.

    A link is found by each name that its verdict proved. A link that we open is also found by the name that is meant: once it
    is up, it has proved that name. *relying* finds a link by the certificates that it relies on.
    """

    __slots__ = ("_by_id", "_by_name", "_when_empty", "relying")

    def __init__(self) -> None:
        self._when_empty: list[Callable[[], None]] = []
        self.relying = LinksByCertificate()
        self._by_id: dict[str, RegisteredLink] = {}
        self._by_name: dict[tuple[str, LinkKind], list[RegisteredLink]] = {}

    def __len__(self) -> int:
        return len(self._by_id)

    def __iter__(self) -> Iterator[RegisteredLink]:
        return iter(list(self._by_id.values()))

    def get(self, link_id: str) -> RegisteredLink | None:
        """Find a link by its id."""
        return self._by_id.get(link_id)

    def add(self, link: RegisteredLink, names: Iterable[str]) -> None:
        """Add *link*, and find it under *names* from now on."""
        self._by_id[link.id] = link
        for name in names:
            links = self._by_name.setdefault((name, link.kind), [])
            if link not in links:
                links.append(link)

    def remove(self, link: RegisteredLink) -> None:
        """Forget *link*."""
        if self._by_id.pop(link.id, None) is None:
            return
        self.relying.forget(link)
        for name in link.names:
            links = self._by_name.get((name, link.kind), [])
            if link in links:
                links.remove(link)
            if not links:
                self._by_name.pop((name, link.kind), None)
        if not self._by_id:
            waiting, self._when_empty = self._when_empty, []
            for tell in waiting:
                tell()

    def when_empty(self, tell: Callable[[], None]) -> None:
        """Call *tell* once, when the last link has been removed."""
        self._when_empty.append(tell)

    def of(self, name: str, kind: LinkKind) -> list[RegisteredLink]:
        """Return the links of that identity and kind; the caller must not change the list."""
        found = self._by_name.get((name, kind))
        return [] if found is None else found

    def accepted_from(self, names: Iterable[str], kind: LinkKind) -> int:
        """Count the links that one peer opened to us, for ``links_accepted_per_peer``."""
        return max((self._count(name, kind) for name in names), default=0)

    def _count(self, name: str, kind: LinkKind) -> int:
        return sum(link.direction is Direction.ACCEPTED for link in self.of(name, kind))
