"""The links that a change of the topology allows and forbids, from the views of all servers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sipmesh.topology.view import view
from sipmesh.trust.evidence import LinkKind

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sipmesh.topology.document.load import Loaded


@dataclass(frozen=True, order=True, slots=True)
class AllowedLink:
    """One link that the topology allows: *opener* may connect to the port of *kind* of *server*.

    A partner has the name of its edge, or else its first domain.
    """

    opener: str
    server: str
    kind: LinkKind


@dataclass(frozen=True, slots=True)
class LinkChanges:
    """The links that *appear* and *die* by a change."""

    appear: Sequence[AllowedLink]
    die: Sequence[AllowedLink]


def allowed_links(loaded: Loaded) -> frozenset[AllowedLink]:
    """Give every link between servers, and with partners, that a topology allows."""
    return frozenset(_links(loaded))


def _links(loaded: Loaded) -> Iterator[AllowedLink]:
    for name in (server.name for server in loaded.topology.servers):
        seen = view(loaded, name)
        for kind in (LinkKind.SERVER, LinkKind.PARTNER):
            yield from (AllowedLink(opener, name, kind) for opener in seen.accept_policy(kind).may_open)


def link_changes(old: Loaded, new: Loaded) -> LinkChanges:
    """Compare two topologies."""
    before, after = allowed_links(old), allowed_links(new)
    return LinkChanges(sorted(after - before), sorted(before - after))


def in_words(links: Sequence[AllowedLink], loaded: Loaded) -> Sequence[str]:
    """Summarise links by pool: ``pool1 → sip (4 links)``. A partner stands for itself."""
    pools = {server.name: pool.name for pool in loaded.topology.pools for server in pool.servers}
    counts: dict[tuple[str, str, LinkKind], int] = {}
    for link in links:
        key = (pools.get(link.opener, link.opener), pools.get(link.server, link.server), link.kind)
        counts[key] = counts.get(key, 0) + 1
    return [
        f"{opener} → {server}: {count} {kind} link{'' if count == 1 else 's'}"
        for (opener, server, kind), count in counts.items()
    ]
