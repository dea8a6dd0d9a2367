"""Words for what operators may do: the console, OpenID, Kerberos, and approvals of versions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from sipmesh.topology.document.parts.oauth import Introspection, OAuth, PhoneClient, PortalClient
from sipmesh.topology.document.parts.portal import PortalEntry, ways_in_words
from sipmesh.topology.versions.part_changes.field_changes import order_changes, spell
from sipmesh.trust.formatting import tell

if TYPE_CHECKING:
    from sipmesh.topology.document.operators.kerberos import Kerberos
    from sipmesh.topology.document.operators.openid import OpenId
    from sipmesh.topology.document.parts.approvals import Approvals
    from sipmesh.topology.document.parts.console import Console
    from sipmesh.topology.document.parts.enrolment import Enrolment
    from sipmesh.topology.document.parts.invitations import InvitationPages


def approval_changes(old: Approvals | None, new: Approvals | None) -> Iterator[str]:
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
            yield f"approvals for {what} change from {spell(before, 'none')} to {spell(after, 'those for a version')}"
    keys = ({one.name: one.key for one in old.operators} if old else {}, {one.name: one.key for one in new.operators})
    yield from (f"operator {name} approves no version any more" for name in keys[0] if name not in keys[1])
    yield from (
        f"operator {name} may approve versions, with {tell(keys[1][name])}" for name in keys[1] if name not in keys[0]
    )
    yield from order_changes([*keys[0]], [*keys[1]], "the operators who approve")
    for name in keys[0].keys() & keys[1].keys():
        if keys[0][name] != keys[1][name]:
            yield f"operator {name} approves with another key: {tell(keys[1][name])}"


def console_changes(old: Console | None, new: Console | None) -> Iterator[str]:
    """Describe the console, and who may use its API; a token is never shown."""
    where = (old.listen if old else None, new.listen if new else None)
    if where[0] != where[1]:
        yield f"the console's address changes from {spell(where[0], 'none')} to {spell(where[1], 'none')}"
    asks = (old is not None and old.client_certificates, new is not None and new.client_certificates)
    if asks[0] != asks[1]:
        yield f"the console {'asks' if asks[1] else 'does not ask'} for certificates of operators"
    yield from _enrolment(old.enrolment if old else None, new.enrolment if new else None)
    yield from _openid(old.openid if old else None, new.openid if new else None)
    yield from _kerberos(old.kerberos if old else None, new.kerberos if new else None)
    before = {operator.name: operator for operator in old.operators} if old else {}
    after = {operator.name: operator for operator in new.operators} if new else {}
    yield from (f"operator {name} may not use the console any more" for name in before if name not in after)
    yield from (f"operator {name} may use the console as {after[name].role}" for name in after if name not in before)
    yield from order_changes([*before], [*after], "the console's operators")
    for name in before.keys() & after.keys():
        if before[name].role != after[name].role:
            yield f"operator {name}'s role changes from {before[name].role} to {after[name].role}"
        if before[name].token_sha256 != after[name].token_sha256:
            word = "gets another" if after[name].token_sha256 else "loses the"
            yield f"operator {name} {word} token for the console's API"


def _enrolment(old: Enrolment | None, new: Enrolment | None) -> Iterator[str]:
    """Describe the protocols of enrolment, and the ports of challenges."""
    before, after = (tuple(one.protocols) if one is not None else () for one in (old, new))
    yield from (f"servers may not enrol by {protocol} any more" for protocol in before if protocol not in after)
    yield from (
        f"servers may enrol by {protocol} at the console's port" for protocol in after if protocol not in before
    )
    yield from order_changes([*before], [*after], "the protocols of enrolment")
    for key in ("http_port", "tls_alpn_port"):
        if old is not None and new is not None and getattr(old, key) != getattr(new, key):
            yield f"enrolment.{key} changes from {getattr(old, key)} to {getattr(new, key)}"
    realm, next_realm = (one.kerberos if one is not None else None for one in (old, new))
    if realm == next_realm:
        return
    if next_realm is None:
        yield "servers may not enrol by Kerberos any more"
        return
    machines = ", ".join(f"{tell(one.principal)} is {one.server}" for one in next_realm.machines)
    yield f"servers may enrol by Kerberos of {next_realm.realm}, with {tell(next_realm.keytab)}: {machines}"


def invitation_changes(old: InvitationPages | None, new: InvitationPages | None) -> Iterator[str]:
    """Describe the pages at which devices take invitations."""
    for key, what in _INVITATIONS.items():
        before, after = (getattr(pages, key) if pages is not None else None for pages in (old, new))
        if before != after:
            yield f"{what} changes from {spell(before, 'none')} to {spell(after, 'none')}"
    ways = [ways_in_words(pages.portal or PortalEntry()) if pages is not None else "no way" for pages in (old, new)]
    if ways[0] != ways[1]:
        yield f"the ways into the portal beside `oauth.portal` change from {ways[0]} to {ways[1]}"


_INVITATIONS: Final = {
    "listen": "the address at which devices take invitations",
    "name": "the host name in the links of invitations",
    "port": "the port in the links of invitations",
    "certificate": "the certificate of the pages of invitations",
    "key": "the private key of the pages of invitations",
}


def oauth_changes(old: OAuth | None, new: OAuth | None) -> Iterator[str]:
    """Describe the provider whose access tokens let users log in."""
    if old is None and new is not None:
        yield f"users may log in by access tokens of {new.issuer} for {tell(new.audience)}; {new.claim} names the user"
    elif old is not None and new is None:
        yield f"users may not log in by access tokens of {old.issuer} any more"
    elif old is not None and new is not None:
        for key in OAuth.model_fields:
            before, after = getattr(old, key), getattr(new, key)
            if before != after:
                yield f"oauth.{key} changes from {_spell_client(before)} to {_spell_client(after)}"


def _spell_client(value: object) -> str:
    """Spell a key of `oauth`; a client of the provider with all that it has."""
    if not isinstance(value, (Introspection, PhoneClient, PortalClient)):
        return spell(value, "none")
    return ", ".join(f"{name} {spell(one, 'none')}" for name, one in value.model_dump().items())


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
                yield f"openid.{key} of the console changes from {spell(before, 'none')} to {spell(after, 'none')}"


def _kerberos(old: Kerberos | None, new: Kerberos | None) -> Iterator[str]:
    """Describe the realm, and which principals have which role."""
    if old == new:
        return
    if new is None:
        yield "operators may not log in to the console by Kerberos any more"
        return
    roles = ", ".join(f"{tell(one.principal)} is {one.role}" for one in new.roles)
    yield f"operators may log in to the console by Kerberos of {new.realm}, with {tell(new.keytab)}: {roles}"


def _spell_roles(openid: OpenId) -> str:
    return ", ".join(f"{tell(entry.value)} is {entry.role}" for entry in openid.roles)
