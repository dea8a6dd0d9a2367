"""The changes in a new topology that break something in use. Each is a sentence, and needs the operator's ``--force``.

A topology that is invalid is refused by `sipmesh.topology.document.validate`, and ``--force`` does not help.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import TYPE_CHECKING

from cryptography import x509

from sipmesh.topology.document.named_files.trust_anchors import key_of
from sipmesh.topology.expiry import impact
from sipmesh.topology.expiry.validity import DatedItem
from sipmesh.topology.home_pools import home_by_default
from sipmesh.topology.versions.pairing import pairings
from sipmesh.trust.formatting import tell_list
from sipmesh.trust.revocation.revocation_source import RevocationSource
from sipmesh.trust.role import Role

if TYPE_CHECKING:
    from sipmesh.topology.document.load import Loaded
    from sipmesh.topology.document.model import Topology
    from sipmesh.topology.document.parts.pool import Pool
    from sipmesh.trust.authority import Authority


def dangers(
    old: Loaded,
    new: Loaded,
    *,
    in_use: Collection[str] = (),
    domains: Collection[str] = (),
    homes: Collection[str] = (),
) -> Sequence[str]:
    """List what *new* would break that works with *old*; empty if the change is safe.

    Args:
        old: The topology in force.
        new: The next topology.
        in_use: SHA-256 in lower-case hex of the anchors of our certificates and of live links.
        domains: SIP domains that have users.
        homes: Front-end pools that have users.
    """
    before, after = old.topology, new.topology
    return [
        *_management(before, after),
        *_pools(before, after, homes),
        *_domains(before, after, domains),
        *_anchors(old, new, in_use),
        *_lists(old, new),
    ]


def _management(old: Topology, new: Topology) -> Iterator[str]:
    before, after = impact.managers(old), impact.managers(new)
    if not before:
        return
    if not after:
        yield (
            "management is removed: no later version can be published, no revocation is pushed, and every server keeps "
            "this version"
        )
    elif removed := [name for name in before if name not in after]:
        yield (
            f"the management server changes from {tell_list(removed)} to {tell_list(after)}: servers then reject signatures of "
            f"{tell_list(removed)}, and a server that misses this version rejects signatures of {tell_list(after)}"
        )


def _pools(old: Topology, new: Topology, homes: Collection[str]) -> Iterator[str]:
    for pool in old.pools:
        if pool.role is Role.MANAGEMENT:
            continue
        after = new.pool(pool.name)
        if after is None or after.role is not pool.role:
            how = "is removed" if after is None else f"becomes {after.role}"
            lost = list(_lost_with(old, new, pool, homes))
            if lost:
                yield f"pool {pool.name} {how}: {'; '.join(lost)}"
        elif not {server.name for server in pool.servers} & {server.name for server in after.servers}:
            names = tell_list([server.name for server in after.servers])
            yield f"all servers of pool {pool.name} are replaced: until {names} are reachable, {'; '.join(_lost(old, pool))}"
    before, after_all = home_by_default(old), home_by_default(new)
    if before in homes and before != after_all and new.pool(before) is not None:
        yield f"users without an explicit home pool move from {before} to {after_all}, and their phones must log in there"


def _lost(old: Topology, pool: Pool) -> list[str]:
    """Say what fails while a pool has no reachable server."""
    return [_UNHEARD] if pool.role is Role.APPLICATION else impact.lost(old, pool, outside=False, also_outside=True)


_UNHEARD = "requests to it are not delivered"


def _lost_with(old: Topology, new: Topology, pool: Pool, homes: Collection[str]) -> Iterator[str]:
    """Say what fails without a pool, unless the new topology replaces it."""
    if pool.role is Role.FRONT_END and pool.name in homes:
        yield "it is the home pool of users, who cannot log in until each is moved to another pool"
    if pool.role is Role.FRONT_END and not any(candidate.role is Role.FRONT_END for candidate in new.pools):
        yield "no front end is left: users cannot log in, and servers do not receive new versions"
    if pool.role is Role.EDGE and old.federation.route == pool.name:
        stay = {domain for partner in new.federation.partners for domain in partner.domains}
        partners = [partner.name for partner in old.federation.partners if stay.intersection(partner.domains)]
        if partners:
            yield f"partners connect to this edge: until they use another edge, {tell_list(partners)} cannot reach us"
    if pool.role is Role.APPLICATION:
        yield _UNHEARD


def _domains(old: Topology, new: Topology, domains: Collection[str]) -> Iterator[str]:
    for name in old.sip_domains:
        if name in domains and name not in new.sip_domains:
            yield f"{name} is removed from our SIP domains: its users cannot log in, and cannot be called"


def _anchors(old: Loaded, new: Loaded, in_use: Collection[str]) -> Iterator[str]:
    for anchor in _dropped(old.authority, new.authority, in_use):
        yield f"our anchor {anchor} is removed, and certificates in use chain to it: they are refused, and their links are closed"
    for pair in pairings(old, new):
        if pair.old is None:
            continue
        partner, authority = pair.old
        if pair.new is None and set(partner.identities) <= set(new.topology.federation.blocked):
            continue  # a blocked partner is expected to lose its links
        for anchor in _dropped(authority, pair.new[1] if pair.new else None, in_use):
            how = "is removed" if pair.new else "is removed with the partner"
            yield f"anchor {anchor} of partner {partner.name} {how}, and links use it: they are closed"


def _dropped(old: Authority, new: Authority | None, in_use: Collection[str]) -> Iterator[str]:
    """Give the anchors in use that are removed. A renewed root with the same name and key is not removed."""
    kept = {_vouches(anchor) for anchor in new.anchors} if new else set()
    for anchor in old.anchors:
        dates = DatedItem.of_certificate(anchor)
        if dates.mark in in_use and _vouches(anchor) not in kept:
            yield f"{dates.subject} (SHA-256 {dates.mark[:16]})"


def _lists(old: Loaded, new: Loaded) -> Iterator[str]:
    """Name each CA of ours that loses its last CRL, while all our anchors stay. At the end of a rotation an anchor goes too.

    Not even management could sign a later version then. It is unknown whose a CRL is that was not read yet.
    """
    files, kept = new.list_files[0], set(map(_vouches, new.authority.anchors))
    is_rotated = any(_vouches(anchor) not in kept for anchor in old.authority.anchors)
    if is_rotated or files.awaited or files.left_for_later:
        return
    have = {crl.issuer_der for crl in new.authority.lists if crl.base is None}
    lost = {crl.issuer_der: crl.issuer for crl in old.authority.lists if crl.base is None}
    by_lists = new.topology.authority.revocation is RevocationSource.LISTS
    unless = "" if by_lists else " without an OCSP response"
    for name in [lost[der].rfc4514_string() for der in lost if der not in have]:
        yield f"our CA {name} has no CRL any more: servers and management refuse its certificates{unless}"


def _vouches(anchor: x509.Certificate) -> tuple[bytes, bytes]:
    """Give the name and the key of an anchor: these two verify the end of a path."""
    return anchor.subject.public_bytes(), key_of(anchor)
