"""The difference between two topologies as text: one line for each change, by its meaning and not by the document's text.

Every change is listed. A field without a text of its own is listed by its name. A change of order is listed too, because the
first of several may have a meaning.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from sipmesh.topology.document.media_policy import MediaPolicy
from sipmesh.topology.document.model import AuthorityEntry, Partner, Pool, Server
from sipmesh.topology.expiry.validity import DatedItem
from sipmesh.topology.home_pools import home_by_default
from sipmesh.trust.formatting import tell, tell_list
from sipmesh.trust.revocation.crl import RevocationSource
from sipmesh.trust.role import ClientUsage

if TYPE_CHECKING:
    from cryptography import x509

    from sipmesh.topology.document.load import Loaded
    from sipmesh.topology.document.model import Approvals, Console, Topology, Turn, WebSocket
    from sipmesh.topology.document.operators.openid import OpenId
    from sipmesh.trust.authority import Authority

_PASSWORD = re.compile(r"(://[^:/@]*):[^@/]*@")


def difference(old: Loaded, new: Loaded) -> Sequence[str]:
    """Give each change from *old* to *new* as one line; empty if they mean the same."""
    return list(dict.fromkeys(_changes(old, new)))


def _changes(old: Loaded, new: Loaded) -> Iterator[str]:
    before, after = old.topology, new.topology
    yield from _organisation(before, after)
    yield from _sites(before, after)
    yield from _pools(before, after)
    yield from _authority(before.authority, after.authority, (old.authority, new.authority), "our CA")
    yield from _federation(before, after)
    yield from _partners(old, new)
    yield from _fields("", before.storage, after.storage, _STORAGE)
    yield from _fields("", before.storage.valkey, after.storage.valkey, _VALKEY)
    yield from _fields("", before.media, after.media, _MEDIA)
    yield from _fields("", before.messages, after.messages, _MESSAGES)
    yield from _fields("", before.presence, after.presence, _PRESENCE)
    yield from _turn(before.turn, after.turn)
    yield from _console(before.console, after.console)
    yield from _approvals(before.approvals, after.approvals)
    yield from _fields("", before, after, _TOPOLOGY)


# Each field with the text for its change. A field without a text is listed by its name.

Words = Callable[[str, Any, Any], str]


def _fields(whose: str, old: BaseModel, new: BaseModel, words: Mapping[str, Words | None]) -> Iterator[str]:
    """List the fields that differ. None in *words* means that another function lists the field."""
    for name in type(old).model_fields:
        before, after = getattr(old, name), getattr(new, name)
        if before != after and (say := words.get(name, _by_name(name))) is not None:
            yield say(whose, before, after)


def _by_name(name: str) -> Words:
    return _from_to(name.replace("_", " "))


def _from_to(what: str, nothing: str = "nothing") -> Words:
    def say(whose: str, old: object, new: object) -> str:
        subject = f"{whose}'s {what}" if whose else what
        return f"{subject} changes from {_spell(old, nothing)} to {_spell(new, nothing)}"

    return say


def _spell(given: object, nothing: str) -> str:
    if given is None or given == ():
        return nothing
    if isinstance(given, BaseModel):
        return ", ".join(f"{name} {_spell(value, nothing)}" for name, value in given if value is not None) or nothing
    if isinstance(given, tuple):
        return ", ".join(_spell(item, nothing) for item in given)
    return tell(str(given))


def _database(what: str) -> Words:
    """Describe a change of the URL of the database *what*, without its password."""

    def say(_whose: str, old: str, new: str) -> str:
        before, after = (_PASSWORD.sub(r"\1:***@", url) for url in (old, new))
        if before == after:
            return f"the database of the {what} is opened with another password"
        return f"the database of the {what} changes from {tell(before)} to {tell(after)}"

    return say


def _domains(policies: Mapping[str, MediaPolicy]) -> tuple[str, ...]:
    return tuple(f"{domain} {policy}" for domain, policy in sorted(policies.items()))


def _names(
    old: Sequence[str], new: Sequence[str], comes: Callable[[str], str], goes: Callable[[str], str], what: str
) -> Iterator[str]:
    """List names that are added, that are removed, and that have another order."""
    yield from (goes(name) for name in old if name not in new)
    yield from (comes(name) for name in new if name not in old)
    yield from _order(old, new, what)


def _order(old: Sequence[str], new: Sequence[str], what: str) -> Iterator[str]:
    before, after = [name for name in old if name in new], [name for name in new if name in old]
    if before != after:
        yield f"the order of {what} changes to {tell_list(after)}"


# The parts of the document


def _approvals(old: Approvals | None, new: Approvals | None) -> Iterator[str]:
    """Describe how many operators must approve a version, and who they are."""
    if new is None:
        yield from () if old is None else ("versions need no approval of operators any more",)
        return
    numbers = (
        ("a version", old.publish if old else None, new.publish),
        ("a version that only blocks", old.block if old else None, new.block),
    )
    for what, before, after in numbers:
        if before != after:
            yield f"approvals for {what} change from {_spell(before, 'none')} to {_spell(after, 'those for a version')}"
    keys = ({one.name: one.key for one in old.operators} if old else {}, {one.name: one.key for one in new.operators})
    yield from (f"operator {name} approves no version any more" for name in keys[0] if name not in keys[1])
    yield from (
        f"operator {name} may approve versions, with {tell(keys[1][name])}" for name in keys[1] if name not in keys[0]
    )
    yield from _order([*keys[0]], [*keys[1]], "the operators who approve")
    for name in keys[0].keys() & keys[1].keys():
        if keys[0][name] != keys[1][name]:
            yield f"operator {name} approves with another key: {tell(keys[1][name])}"


def _turn(old: Turn | None, new: Turn | None) -> Iterator[str]:
    if old is None or new is None:
        if old is not new:
            yield f"users get {'credentials for TURN servers' if new else 'no credentials for TURN servers any more'}"
        return
    yield from _fields("", old, new, _TURN)


def _console(old: Console | None, new: Console | None) -> Iterator[str]:
    """Describe the console, and who may use its API; a token is never shown."""
    where = (old.listen if old else None, new.listen if new else None)
    if where[0] != where[1]:
        yield f"the console's address changes from {_spell(where[0], 'none')} to {_spell(where[1], 'none')}"
    asks = (old is not None and old.client_certificates, new is not None and new.client_certificates)
    if asks[0] != asks[1]:
        yield f"the console {'asks' if asks[1] else 'does not ask'} for certificates of operators"
    yield from _openid(old.openid if old else None, new.openid if new else None)
    before = {operator.name: operator for operator in old.operators} if old else {}
    after = {operator.name: operator for operator in new.operators} if new else {}
    yield from (f"operator {name} may not use the console any more" for name in before if name not in after)
    yield from (f"operator {name} may use the console as {after[name].role}" for name in after if name not in before)
    yield from _order([*before], [*after], "the console's operators")
    for name in before.keys() & after.keys():
        if before[name].role != after[name].role:
            yield f"operator {name}'s role changes from {before[name].role} to {after[name].role}"
        if before[name].token_sha256 != after[name].token_sha256:
            word = "gets another" if after[name].token_sha256 else "loses the"
            yield f"operator {name} {word} token for the console's API"


def _openid(old: OpenId | None, new: OpenId | None) -> Iterator[str]:
    """Describe the OpenID provider, and which values lead to which role."""
    if old is None and new is not None:
        yield f"operators may log in to the console by {new.issuer}, as {new.client_id}: {_spell_roles(new)}"
    elif old is not None and new is None:
        yield f"operators may not log in to the console by {old.issuer} any more"
    elif old is not None and new is not None and old != new:
        if _spell_roles(old) != _spell_roles(new):
            yield f"the roles of operators who log in by OpenID change from {_spell_roles(old)} to {_spell_roles(new)}"
        for key in ("issuer", "client_id", "claim", "name_claim", "scopes", "authority"):
            before, after = getattr(old, key), getattr(new, key)
            if before != after:
                yield f"openid.{key} of the console changes from {_spell(before, 'none')} to {_spell(after, 'none')}"


def _spell_roles(openid: OpenId) -> str:
    return ", ".join(f"{tell(entry.value)} is {entry.role}" for entry in openid.roles)


def _organisation(old: Topology, new: Topology) -> Iterator[str]:
    if old.organisation != new.organisation:
        yield f"the organisation changes its name from {tell(old.organisation)} to {tell(new.organisation)}"
    yield from _names(
        old.sip_domains,
        new.sip_domains,
        lambda name: f"{name} is added to our SIP domains",
        lambda name: f"{name} is removed from our SIP domains",
        "our SIP domains",
    )


def _sites(old: Topology, new: Topology) -> Iterator[str]:
    yield from _names(
        old.sites,
        new.sites,
        lambda name: f"site {name} is added",
        lambda name: f"site {name} is removed",
        "the sites",
    )


def _pools(old: Topology, new: Topology) -> Iterator[str]:
    before, after = {pool.name: pool for pool in old.pools}, {pool.name: pool for pool in new.pools}
    yield from (f"pool {name} is removed ({pool.role})" for name, pool in before.items() if name not in after)
    new_ones = (pool for name, pool in after.items() if name not in before)
    yield from (f"pool {pool.name} is added ({pool.role}{_settings(pool)})" for pool in new_ones)
    yield from _order([*before], [*after], "the pools")
    yield from _home(old, new)
    yield from _servers(old, new)
    for name, pool in before.items():
        if name in after:
            yield from _pool(pool, after[name])


def _home(old: Topology, new: Topology) -> Iterator[str]:
    """Describe a change of the default home pool."""
    before, after = home_by_default(old), home_by_default(new)
    if before != after:
        yield f"users without an explicit home pool have the home pool {after or 'no pool'} instead of {before or 'no pool'}"


def _settings(pool: Pool) -> str:
    """Describe the settings of a new pool."""
    settings = {
        "site": pool.site,
        "next hop": pool.next_hop,
        "inside name": pool.internal_name,
        "speaks for": tell_list(pool.speaks_for),
        "a port for": "remote users" if pool.remote_users else "",
        "backup pool": pool.backup_pool,
    }
    return "".join(f", {name} {value}" for name, value in settings.items() if value)


def _pool(old: Pool, new: Pool) -> Iterator[str]:
    yield from _fields(f"pool {old.name}", old, new, _POOL)
    yield from _names(
        old.speaks_for,
        new.speaks_for,
        lambda name: f"pool {old.name} may now speak for the users of {name}",
        lambda name: f"pool {old.name} may no longer speak for the users of {name}",
        f"the domains that pool {old.name} speaks for",
    )
    before, after = ([server.name for server in pool.servers] for pool in (old, new))
    yield from _order(before, after, f"the servers of {old.name}")


def _servers(old: Topology, new: Topology) -> Iterator[str]:
    before, after = (
        {server.name: (pool, server) for pool in topology.pools for server in pool.servers} for topology in (old, new)
    )
    for name in [*before, *(name for name in after if name not in before)]:
        was, will = before.get(name), after.get(name)
        if will is None and was is not None:
            yield f"server {name} is removed from {was[0].name}"
        elif was is None and will is not None:
            yield f"server {name} is added to {will[0].name}{_placed(will[1])}"
        elif was is not None and will is not None:
            if was[0].name != will[0].name:
                yield f"server {name} moves from {was[0].name} to {will[0].name}"
            yield from _server(was[1], will[1])


def _placed(server: Server) -> str:
    return f" at {server.address}" if server.address else ""


def _server(old: Server, new: Server) -> Iterator[str]:
    yield from _fields(old.name, old, new, _SERVER)
    yield from _fields(old.name, old.ports, new.ports, _PORTS)
    if old.outside is not None and new.outside is not None:
        yield from _fields(f"the outside of {old.name}", old.outside, new.outside, _SIDE)
    elif old.outside != new.outside:
        had, has = (_spell(side, "none") if side else "no outside address" for side in (old.outside, new.outside))
        yield f"the outside of {old.name} changes from {had} to {has}"


def _authority(
    old: AuthorityEntry, new: AuthorityEntry, read: tuple[Authority, Authority], whose: str
) -> Iterator[str]:
    """List changes of an authority. Anchors are described by certificate; file names are listed if they change."""
    before, after = ({_mark(anchor): anchor for anchor in authority.anchors} for authority in read)
    yield from (f"anchor {_anchor(before[mark])} of {whose} is removed" for mark in before if mark not in after)
    yield from (f"anchor {_anchor(after[mark])} of {whose} is added" for mark in after if mark not in before)
    if old.anchors != new.anchors:
        yield f"the anchors of {whose} are named by {tell_list(new.anchors)} instead of {tell_list(old.anchors)}"
    yield from _names(
        old.crls,
        new.crls,
        lambda name: f"the revocation list {name} of {whose} is added",
        lambda name: f"the revocation list {name} of {whose} is removed",
        f"the revocation lists of {whose}",
    )
    yield from _names(
        old.ocsp,
        new.ocsp,
        lambda url: f"the OCSP responder {url} of {whose} is added",
        lambda url: f"the OCSP responder {url} of {whose} is removed",
        f"the OCSP responders of {whose}",
    )
    if old.revocation is not new.revocation:
        yield f"certificates of {whose} now need {_NEEDED[new.revocation]} instead of {_NEEDED[old.revocation]}"
    if old.grace != new.grace:
        before_s, after_s = (_spell(entry.grace, "the default") for entry in (old, new))
        yield f"the grace hours after nextUpdate for lists of {whose} change from {before_s} to {after_s}"
    if old.list_limit != new.list_limit:
        before_s, after_s = (_spell(entry.list_limit, "the default") for entry in (old, new))
        yield f"the largest size of a list of {whose} in MiB changes from {before_s} to {after_s}"


def _mark(certificate: x509.Certificate) -> str:
    return DatedItem.of_certificate(certificate).mark


def _anchor(certificate: x509.Certificate) -> str:
    dates = DatedItem.of_certificate(certificate)
    return f"{dates.subject} (SHA-256 {dates.mark[:16]})"


def _federation(old: Topology, new: Topology) -> Iterator[str]:
    before, after = old.federation, new.federation
    yield from _fields("federation", before, after, _FEDERATION)
    yield from _names(
        before.blocked,
        after.blocked,
        lambda name: f"{name} is blocked",
        lambda name: f"{name} is no longer blocked",
        "the blocked names",
    )


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


def _partners(old: Loaded, new: Loaded) -> Iterator[str]:
    found = pairings(old, new)
    for pair in found:
        if pair.old is None and pair.new is not None:
            yield _welcome(*pair.new)
        elif pair.new is None and pair.old is not None:
            yield f"partner {pair.old[0].name} may no longer connect"
        elif pair.old is not None and pair.new is not None:
            yield from _partner(pair.old[0], pair.new[0], (pair.old[1], pair.new[1]))
    places = {pair.old[0].name: pair.new[0].name for pair in found if pair.old and pair.new}
    before = [places[partner.name] for partner in old.topology.federation.partners if partner.name in places]
    yield from _order(before, [partner.name for partner in new.topology.federation.partners], "the partners")


def _welcome(partner: Partner, authority: Authority) -> str:
    """Describe a new partner, and how it proves its identity."""
    parts = [f"partner {partner.name} may now connect with {tell_list(partner.identities)}"]
    parts += [f"under {' and '.join(map(_anchor, authority.anchors)) or 'no anchor'}"]
    parts += ["of a third-party CA"] if partner.third_party else []
    parts += ["with a certificate for serverAuth only"] if partner.client_usage is ClientUsage.SERVER_OK else []
    return ", ".join(parts)


def _partner(old: Partner, new: Partner, read: tuple[Authority, Authority]) -> Iterator[str]:
    whose = f"partner {new.name}"
    if old.name != new.name:
        yield f"partner {old.name} is now called {new.name}"
    yield from _names(
        old.domains,
        new.domains,
        lambda name: f"{whose} may now connect as {name}",
        lambda name: f"{whose} may no longer connect as {name}",
        f"the domains of {whose}",
    )
    yield from _fields(whose, old, new, _PARTNER)
    yield from _authority(old, new, read, whose)


def _next_hop(whose: str, old: str | None, new: str | None) -> str:
    return f"{whose} sends requests to {new or 'no pool'} instead of {old or 'no pool'}"


def _backup_pool(whose: str, old: str | None, new: str | None) -> str:
    if new is None:
        return f"{whose}'s users are served by no other pool any more while its servers do not answer"
    instead = f" instead of {old}" if old else ""
    return f"{whose}'s users are served by {new}{instead} while its servers do not answer, and {new} gets their password hashes"


def _remote_users(whose: str, _old: bool, new: bool) -> str:  # noqa: FBT001 - the values of a field
    return f"{whose} {'has a client port for remote users' if new else 'no longer has a client port for remote users'}"


def _route(_whose: str, old: str | None, new: str | None) -> str:
    return f"partners are reached through {new or 'nothing'} instead of {old or 'nothing'}"


def _usage(whose: str, _old: ClientUsage, new: ClientUsage) -> str:
    if new is ClientUsage.SERVER_OK:
        return f"{whose} may now connect with a certificate for serverAuth only"
    return f"{whose} must now connect with a certificate for clientAuth"


def _third_party(whose: str, _old: object, new: object) -> str:
    whom = "other organisations also, so that only the name identifies it" if new else "this partner only"
    return f"the CA of {whose} is now declared to issue for {whom}"


_NEEDED = {
    RevocationSource.LISTS: "a revocation list",
    RevocationSource.ANSWERS: "an OCSP response where there is no list",
    RevocationSource.BOTH: "a revocation list and an OCSP response",
}


def _websocket(_whose: str, old: WebSocket | None, new: WebSocket | None) -> str:
    if new is None:
        return "front ends no longer listen for WebSocket"
    pages = f"of {tell_list(new.origins)}" if new.origins else "at https of each SIP domain"
    if old is None:
        also = ". They serve the web phone" if new.phone else ""
        return f"front ends listen for WebSocket, and pages {pages} may connect{also}"
    if old.origins != new.origins:
        also = f". {_web_phone(new)}" if old.phone != new.phone else ""
        return f"pages {pages} may now connect by WebSocket, and no others{also}"
    return _web_phone(new)


def _web_phone(part: WebSocket) -> str:
    return "Front ends serve the web phone" if part.phone else "Front ends no longer serve the web phone"


_PER_DOMAIN = _from_to("the media of calls of single domains", "the default")
_DNS = _from_to("the list of DNS servers to ask", "the machine's own")
_TOPOLOGY: Mapping[str, Words | None] = {
    **dict.fromkeys(
        (
            "organisation",
            "sip_domains",
            "sites",
            "authority",
            "pools",
            "federation",
            "storage",
            "media",
            "messages",
            "presence",
            "console",
            "approvals",
            "turn",
        )
    ),
    "sipmesh": _from_to("the format of the document"),
    "dns": lambda _, old, new: _DNS("", old and old.servers, new and new.servers),
    "dane": lambda _, _old, new: "TLSA records are needed in DNS" if new else "TLSA records have no use in DNS",
    "websocket": _websocket,
}
_MEDIA: Mapping[str, Words | None] = {
    "default": _from_to("the media of calls of our users"),
    "domains": lambda _, old, new: _PER_DOMAIN("", _domains(old), _domains(new)),
}
_STORAGE: Mapping[str, Words | None] = {
    "users": _database("users"),
    "management": _from_to("the database of management"),
    "bindings": _from_to("the store of the bindings"),
    "valkey": None,
    "messages": _database("stored messages"),
}
_VALKEY: Mapping[str, Words | None] = {
    "user": _from_to("the user of the store of the bindings", "the default"),
    "password_file": _from_to("the password file of the store of the bindings", "the environment"),
    "anchors": _from_to("the list of anchors of the store of the bindings", "none"),
    "certificate": _from_to("the certificate for the store of the bindings", "none"),
    "key": _from_to("the key file for the store of the bindings", "none"),
    "sentinel": _from_to("the name of the primary of the store of the bindings", "none"),
}
_PRESENCE: Mapping[str, Words | None] = {
    "inside": _from_to("what users of our domains may see of the presence of our users"),
    "partners": _from_to("what users of partners may see of the presence of our users"),
}
_TURN: Mapping[str, Words | None] = {
    "servers": _from_to("the list of TURN servers"),
    "secret_file": _from_to("the file with the secret of the TURN servers"),
    "lifetime_s": _from_to("the seconds for which a password for TURN is valid"),
}
_MESSAGES: Mapping[str, Words | None] = {
    "per_user": _from_to("the number of messages that are stored for one user"),
    "per_sender": _from_to("the number of messages that are stored for one user and one sender"),
    "lifetime_days": _from_to("the days for which a message is stored"),
}
_FEDERATION: Mapping[str, Words | None] = {"route": _route, "partners": None, "blocked": None}
_POOL: Mapping[str, Words | None] = {
    **dict.fromkeys(("name", "servers", "speaks_for")),
    "role": _from_to("role"),
    "site": _from_to("site", "none"),
    "internal_name": _from_to("inside name", "none"),
    "remote_users": _remote_users,
    "next_hop": _next_hop,
    "backup_pool": _backup_pool,
    "takeover_after": _from_to("seconds before its backup pool takes over"),
}
_SERVER: Mapping[str, Words | None] = {
    **dict.fromkeys(("name", "ports", "outside")),
    "site": _from_to("site", "that of its pool"),
    "address": _from_to("address", "the DNS entry"),
    "bind": _from_to("address to listen on", "the default"),
    "machine": _from_to("machine", "that of its address"),
    "certificate": _from_to("certificate file", "the default"),
    "key": _from_to("key file", "the default"),
    "client_certificates": _from_to("list of certificates for clients", "none"),
    "metrics": _from_to("address for metrics", "none"),
    "workers": _from_to("number of workers"),
}
_PORTS: Mapping[str, Words | None] = {
    name: _from_to(f"{name} port", "the default") for name in ("client", "websocket", "server", "partner")
}
_SIDE: Mapping[str, Words | None] = {
    "address": _from_to("address", "the DNS entry"),
    "bind": _from_to("address to listen on", "the default"),
    "certificate": _from_to("certificate file", "that of the inside"),
    "key": _from_to("key file", "that of the inside"),
}
_PARTNER: Mapping[str, Words | None] = {
    **dict.fromkeys(("domains", "anchors", "crls", "ocsp", "revocation", "grace", "list_limit")),
    "edge": _from_to("edge", "DNS SRV"),
    "address": _from_to("address", "DNS"),
    "client_usage": _usage,
    "media": _from_to("media", "those of our users"),
    "identity": _from_to("signatures of calls", "none"),
    "third_party": _third_party,
}
