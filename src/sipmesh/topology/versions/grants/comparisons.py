"""What the rules look for in a change: each function returns words for each change that gives more, and none otherwise."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from sipmesh.topology.document.identity_policy import IdentityPolicy
from sipmesh.topology.document.media_policy import MediaPolicy, is_weaker
from sipmesh.topology.document.operators.console_role import ConsoleRole
from sipmesh.topology.document.user_search import UserSearch
from sipmesh.topology.document.watching import Watching
from sipmesh.topology.versions.grants.key_changes import KeyChange, ServerPlace, renamed_from
from sipmesh.trust.dane.tlsa import DaneMode
from sipmesh.trust.formatting import tell_list
from sipmesh.trust.role import ClientUsage, Role
from sipmesh.trust.transparency.ct_log import CtMode

if TYPE_CHECKING:
    from sipmesh.topology.document.parts.console import ConsoleOperator
    from sipmesh.topology.document.parts.media import Media
    from sipmesh.topology.document.parts.pool import Pool
    from sipmesh.topology.versions.grants.rule import Finds


def any_change(change: KeyChange) -> Iterable[str]:
    """Find each change."""
    return ("the default" if change.new in (None, ()) else _spelled(change.new),)


def any_change_named(name: Callable[[Any], str]) -> Finds:
    """Find each change but a removal; *name* gives the words for the new value."""
    return lambda change: (name(change.new),) if change.new is not None else ()


def turned_on(change: KeyChange) -> Iterable[str]:
    """Find that a part is new."""
    return ("on",) if change.old is None and change.new is not None else ()


def is_set(change: KeyChange) -> Iterable[str]:
    """Find a value that is not the default."""
    return () if change.new in (None, (), False) else (_spelled(change.new),)


def switched_off(change: KeyChange) -> Iterable[str]:
    """Find a protection that was on before."""
    return ("off",) if change.old and not change.new else ()


def added(change: KeyChange) -> Iterable[str]:
    """Find what is in the new list only."""
    old = change.old or ()
    return tuple(str(value) for value in change.new or () if value not in old)


def removed(change: KeyChange) -> Iterable[str]:
    """Find what is in the old list only."""
    return tuple(str(value) for value in change.old or () if value not in (change.new or ()))


def taken_away(change: KeyChange) -> Iterable[str]:
    """Find a part that only the old version has, so that what it asked for is not asked any more."""
    return ("taken away",) if change.new is None else ()


def other_site_of_callers(change: KeyChange) -> Iterable[str]:
    """Find another site of a pool that was there before, where numbers or routes depend on the sites of its users."""
    numbers = [one.topology.numbers for one in (change.versions.before, change.versions.new)]
    depends = any(one.sites or any(route.sites for route in one.routes) for one in numbers)
    return of_existing_part(change) if depends else ()


def larger(change: KeyChange) -> Iterable[str]:
    """Find a larger number."""
    return (str(change.new),) if change.new > change.old else ()


def smaller(change: KeyChange) -> Iterable[str]:
    """Find a smaller number."""
    return (str(change.new),) if change.new < change.old else ()


def _spelled(value: Any) -> str:
    return tell_list([str(one) for one in value]) if isinstance(value, tuple) else str(value)


def longer_grace(change: KeyChange) -> Iterable[str]:
    """Find a longer time for which an expired CRL counts."""
    old, new = change.parts
    return (f"{new.grace_time}",) if new.grace_time > old.grace_time else ()


def of_existing_part(change: KeyChange) -> Iterable[str]:
    """Find any change of a part that was there before: a new part is a grant itself."""
    return () if change.parts[0] is None else any_change(change)


def another_name(change: KeyChange) -> Iterable[str]:
    """Find a name that a part gets which was there before."""
    return () if change.parts[0] is None else is_set(change)


def easier_to_watch(change: KeyChange) -> Iterable[str]:
    """Find a rule that shows presence: a polite block shows only as much as a block."""
    return (str(change.new),) if change.new is Watching.ALLOW else ()


def longer_history(change: KeyChange) -> Iterable[str]:
    """Find a message history that is kept for longer, or again as the topology says."""
    if change.new is None:
        return ("as many days as the topology says",) if change.key != "history" else ()
    return (f"{change.new.days} days",) if change.new.days > (change.old.days if change.old is not None else 0) else ()


def wider_search(change: KeyChange) -> Iterable[str]:
    """Find a scope that may have users whom the scope before had not: a domain and a pool share some users only."""
    is_narrower = change.old is UserSearch.ORGANISATION or change.new is UserSearch.OFF
    return () if is_narrower else (str(change.new),)


def weaker_media(change: KeyChange) -> Iterable[str]:
    """Find a policy that allows media which the old one refuses."""
    return (str(change.new),) if is_weaker(change.new, change.old) else ()


def weaker_media_of_domains(change: KeyChange) -> Iterable[str]:
    """Compare what counts for each domain: its own policy, or the default."""
    old, new = change.parts
    for domain in dict.fromkeys((*change.old, *change.new)):
        before, after = (part.domains.get(domain, part.default) for part in (old, new))
        if is_weaker(after, before):
            yield f"{domain} {after}"


def weaker_media_of_partner(change: KeyChange) -> Iterable[str]:
    """Compare with the weakest policy of our users where the partner has none."""
    ours = change.versions.before.topology.media, change.versions.new.topology.media
    before, after = change.old or _strictest_of(ours[0]), change.new or _weakest_of(ours[1])
    return (str(after),) if is_weaker(after, before) else ()


def _weakest_of(media: Media) -> MediaPolicy:
    return min((media.default, *media.domains.values()), key=list(MediaPolicy).index)


def _strictest_of(media: Media) -> MediaPolicy:
    return max((media.default, *media.domains.values()), key=list(MediaPolicy).index)


def weaker_ct(change: KeyChange) -> Iterable[str]:
    """Find a weaker demand on Certificate Transparency."""
    ranks = list(CtMode)
    return (str(change.new),) if ranks.index(change.new) < ranks.index(change.old or CtMode.OFF) else ()


def weaker_dane(change: KeyChange) -> Iterable[str]:
    """Find a check by DANE that is turned off."""
    return ("off",) if change.old not in {None, DaneMode.OFF} and change.new is DaneMode.OFF else ()


def dane_in_place_of_ca(change: KeyChange) -> Iterable[str]:
    """Find TLSA records that count in place of a CA."""
    return ("only",) if change.new is DaneMode.ONLY and change.old is not DaneMode.ONLY else ()


def new_logs(change: KeyChange) -> Iterable[str]:
    """Find the logs of Certificate Transparency that did not count before."""
    old = change.old or ()
    return tuple(entry.operator for entry in change.new or () if entry not in old)


def weaker_identity(change: KeyChange) -> Iterable[str]:
    """Find a policy that checks signatures of calls less."""
    order = [None, *IdentityPolicy]
    return (str(change.new or "none"),) if order.index(change.new) < order.index(change.old) else ()


def more_usages(change: KeyChange) -> Iterable[str]:
    """Find that certificates of another usage count."""
    return (str(change.new),) if change.new is ClientUsage.SERVER_OK else ()


def new_origins(change: KeyChange) -> Iterable[str]:
    """Find origins that were not allowed; without any, those of the SIP domains are."""
    old, new = change.versions.before.topology, change.versions.new.topology
    before = change.old or [f"https://{domain}" for domain in old.sip_domains]
    after = change.new or [f"https://{domain}" for domain in new.sip_domains]
    return tuple(origin for origin in after if origin not in before)


def more_for_operator(change: KeyChange) -> Iterable[str]:
    """Find a new operator, or a higher role."""
    old, new = change.old, change.new
    if new is None or (old is not None and old.role.may(new.role)):
        return ()
    return (f"{new.name} gets the role {new.role}",)


def officer_fewer(change: KeyChange) -> Iterable[str]:
    """Find an operator who was a security officer before."""
    old, new = change.old, change.new
    if _is_officer(old) and not _is_officer(new):
        yield old.name


def _is_officer(operator: ConsoleOperator | None) -> bool:
    return operator is not None and operator.role is ConsoleRole.SECURITY_OFFICER


def new_pool(*roles: Role) -> Finds:
    """Find a new pool of one of *roles*."""

    def finds(change: KeyChange) -> Iterable[str]:
        pool: Pool | None = change.new
        if change.old is None and pool is not None and pool.role in roles:
            yield f"{pool.name}, {pool.role}: {tell_list([server.name for server in pool.servers])}"

    return finds


def becomes_manager(change: KeyChange) -> Iterable[str]:
    """Find a server that gets the role management."""
    old: ServerPlace | None = change.old
    was = old is not None and old.pool.role is Role.MANAGEMENT
    if change.new.pool.role is Role.MANAGEMENT and not was:
        yield change.new.server.name


def moves_with_certificate(change: KeyChange) -> Iterable[str]:
    """Find a server that existed, and gets another role or pool with the certificate that it has."""
    old, new = change.old, change.new.pool
    if old is None or new.role is Role.MANAGEMENT:
        return
    renamed = renamed_from(change.versions.before.topology, change.versions.new.topology, new)
    if old.pool.role is not new.role or (
        old.pool.name != new.name and (renamed is None or renamed.name != old.pool.name)
    ):
        yield f"from {old.pool.role} of {old.pool.name} to {new.role} of {new.name}"


def new_server(change: KeyChange) -> Iterable[str]:
    """Find a new server of a pool that existed: the servers of a new pool come with the pool."""
    new: ServerPlace = change.new
    if change.old is None and change.parts[0] is not None and new.pool.role is not Role.MANAGEMENT:
        yield f"{new.pool.name}, {new.pool.role}"


def of_management_server(change: KeyChange) -> Iterable[str]:
    """Find a change of a management server that was there before."""
    pool = change.versions.new.topology.pool_of(change.parts[1].name)
    return (
        any_change(change) if pool is not None and pool.role is Role.MANAGEMENT and change.parts[0] is not None else ()
    )
