"""Which partner of one topology is which partner of another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sipmesh.topology.document.load import Loaded
    from sipmesh.topology.document.parts.federation import Partner
    from sipmesh.trust.authority import Authority


@dataclass(frozen=True, slots=True)
class Pairing:
    """One partner before and after, each with its authority; None if there is none."""

    old: tuple[Partner, Authority] | None
    new: tuple[Partner, Authority] | None


def pairings(old: Loaded, new: Loaded) -> list[Pairing]:
    """Match old and new partners: by the first domain, or else by any domain that both have."""
    before, after = (
        {pair[0].name: pair for pair in zip(loaded.topology.federation.partners, loaded.partners, strict=True)}
        for loaded in (old, new)
    )
    match = {name: name for name in before if name in after}
    left = {domain: name for name, (partner, _) in after.items() if name not in match for domain in partner.domains}
    for name, (partner, _) in before.items():
        found = next((left[domain] for domain in partner.domains if domain in left), None)
        if name not in match and found is not None:
            match[name] = found
            left = {domain: other for domain, other in left.items() if other != found}
    taken = frozenset(match.values())
    removed = [Pairing(pair, None) for name, pair in before.items() if name not in match]
    added = [Pairing(None, pair) for name, pair in after.items() if name not in taken]
    return [*(Pairing(before[name], after[other]) for name, other in match.items()), *removed, *added]
