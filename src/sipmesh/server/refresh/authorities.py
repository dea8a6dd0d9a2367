"""The authorities by which one server judges its peers, each with its entry in the topology."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from sipmesh.trust.role import BORDERS, Role

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sipmesh.topology.document.load import Loaded
    from sipmesh.topology.document.named_files.crl_files import ListFiles
    from sipmesh.topology.document.parts.authority import AuthorityEntry
    from sipmesh.trust.authority import Authority


class NamedAuthority(NamedTuple):
    """An authority: *owner* is the partner, empty for our own; *entry* is what the topology says about it."""

    owner: str
    entry: AuthorityEntry
    authority: Authority
    files: ListFiles


def authorities_for(role: Role, loaded: Loaded) -> Iterator[NamedAuthority]:
    """Yield the authorities that a server of this *role* needs: our own, and on an edge or a gateway those of the partners."""
    files = dict(zip(map(id, loaded.authorities), loaded.list_files, strict=True))
    yield NamedAuthority("", loaded.topology.authority, loaded.authority, files[id(loaded.authority)])
    if role in BORDERS:
        for partner, authority in zip(loaded.topology.federation.partners, loaded.partners, strict=True):
            yield NamedAuthority(partner.name, partner, authority, files[id(authority)])
