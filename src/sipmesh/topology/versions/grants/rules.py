"""The rules: which change of which key is a grant, what it gives to whom, and which role may publish it.

An operator may publish a grant that is worth nothing before a security officer has issued a certificate, or that goes no further
than what operators do each day. Everything else needs a security officer: so the token of an operator is never worth a key.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from sipmesh.topology.document.operators.console_role import ConsoleRole
from sipmesh.topology.versions.grants.comparisons import (
    added,
    any_change,
    becomes_manager,
    easier_to_watch,
    is_set,
    larger,
    longer_grace,
    more_for_operator,
    more_usages,
    moves_with_certificate,
    new_origins,
    new_pool,
    new_server,
    of_existing_part,
    of_management_server,
    removed,
    smaller,
    weaker_identity,
    weaker_media,
    weaker_media_of_domains,
    weaker_media_of_partner,
)
from sipmesh.topology.versions.grants.grant import Gain, Grant
from sipmesh.topology.versions.grants.key_changes import (
    DEFAULT_HOME,
    OPERATORS,
    PARTNERS,
    POOLS,
    SERVERS,
    key_changes,
)
from sipmesh.topology.versions.grants.rule import NoGrant, Rule
from sipmesh.trust.role import Role

if TYPE_CHECKING:
    from sipmesh.topology.document.load import Loaded

Rules = Mapping[str, tuple[Rule | NoGrant, ...]]


def grants(before: Loaded, new: Loaded) -> Sequence[Grant]:
    """Return each grant of *new* beside *before*; a change of a key without a rule is one."""
    found = (
        grant
        for change in key_changes(before, new, is_whole)
        for rule in RULES.get(change.key, (_unknown(change.key),))
        for grant in rule.grants(change)
    )
    return list(dict.fromkeys(found))


def is_whole(key: str) -> bool:
    """Tell whether the rules of a part are for all its keys."""
    return any(rule.is_whole for rule in RULES.get(key, ()))


def _unknown(key: str) -> Rule:
    """Return the rule for a key that has none: nobody knows what its change gives."""
    return Rule(
        Gain.DECIDE, "any change", "unknown", f"{{place}} {key} changes, and no rule says what this gives", any_change
    )


_OPERATOR: Final = ConsoleRole.OPERATOR
_PARTNER: Final = "the partner"
_OWNER: Final = "who has that file"
_STORE: Final = "who has that store"


def _file(key: str, sentence: str) -> dict[str, tuple[Rule]]:
    return {key: (Rule(Gain.SIGN, "another file", _OWNER, sentence, any_change),)}


def _authority(prefix: str, whose: str, root: str) -> Rules:
    """Return the rules for a CA, which are the same for ours and for that of a partner."""
    return {
        f"{prefix}.anchors": (
            Rule(
                Gain.SIGN, "another root, or another file", "who has the root's key", f"{{value}} becomes {root}", added
            ),
        ),
        f"{prefix}.crls": (
            Rule(Gain.DECIDE, "any change", "who writes them", f"the CRLs of {whose} are {{value}}", any_change),
        ),
        f"{prefix}.ocsp": (
            Rule(
                Gain.DECIDE, "any change", "the responders", f"the OCSP responders of {whose} are {{value}}", any_change
            ),
        ),
        f"{prefix}.revocation": (
            Rule(
                Gain.DECIDE,
                "any change",
                "revoked peers",
                f"the revocation check of {whose} becomes {{value}}",
                any_change,
            ),
        ),
        f"{prefix}.grace": (
            Rule(Gain.SIGN, "longer", "revoked peers", f"expired CRLs of {whose} count for {{value}}", longer_grace),
        ),
        f"{prefix}.list_limit": (NoGrant("bounds memory: certificates whose CRL is larger are refused"),),
    }


_OF_POOLS: Final[Rules] = {
    POOLS: (
        Rule(
            Gain.SIGN,
            "a new pool of applications or management servers",
            "its servers",
            "pool {value} is new: its servers may speak as applications or manage the network",
            new_pool(Role.APPLICATION, Role.MANAGEMENT),
        ),
        Rule(
            Gain.SIGN,
            "a new pool of front ends or edges",
            "its servers",
            "pool {value} is new: with certificates, its servers may assert users",
            new_pool(Role.FRONT_END, Role.EDGE),
            _OPERATOR,
        ),
    ),
    DEFAULT_HOME: (
        Rule(
            Gain.READ,
            "another first front-end pool",
            "its servers",
            "{value} gets the logins of users who have no home pool",
            is_set,
        ),
    ),
    "pools.name": (NoGrant("a pool's name identifies no server (R4)"),),
    "pools.role": (NoGrant("the rules of its servers say what a role gives"),),
    "pools.site": (NoGrant("orders servers by distance"),),
    SERVERS: (
        Rule(
            Gain.DECIDE,
            "a server gets the role management",
            "that server",
            "{value} becomes a management server: once admitted (sipmesh ca admit) it gets all keys of the CA",
            becomes_manager,
        ),
        Rule(
            Gain.SIGN,
            "a server gets another role or pool",
            "who has that server's key",
            "{place} moves {value}, with the certificate that it has",
            moves_with_certificate,
        ),
        Rule(
            Gain.SIGN,
            "a new server of an existing pool",
            "that server",
            "{place} is a new server of {value}: with a certificate, it may do what its pool may",
            new_server,
            _OPERATOR,
        ),
    ),
    "pools.internal_name": (NoGrant("a pool's name identifies no server (R4)"),),
    "pools.next_hop": (
        Rule(
            Gain.SIGN,
            "another pool, for an edge or application that exists",
            "its servers",
            "{place} may open links to the servers of {value}, and send requests there",
            of_existing_part,
        ),
    ),
    "pools.remote_users": (
        Rule(
            Gain.READ,
            "turned on",
            "users outside",
            "users may log in from outside through {place}",
            is_set,
            _OPERATOR,
        ),
    ),
    "pools.speaks_for": (
        Rule(Gain.SIGN, "one more domain", "the application", "{place} may assert each user of {value}", added),
    ),
    "pools.backup_pool": (
        Rule(
            Gain.READ,
            "another pool",
            "that pool",
            "{value} gets the logins of the users of {place}, and serves them if {place} does not answer",
            is_set,
        ),
    ),
    "pools.takeover_after": (
        Rule(
            Gain.DECIDE,
            "shorter",
            "the backup pool",
            "the backup pool of {place} serves its users after {value} s",
            smaller,
            _OPERATOR,
        ),
    ),
    "pools.storage": (
        Rule(
            Gain.READ,
            "any change",
            _STORE,
            "the registrations of {place} are stored elsewhere, or the login there changes",
            any_change,
            is_whole=True,
        ),
    ),
}

_OF_SERVERS: Final[Rules] = {
    "pools.servers.name": (NoGrant("another name is another server"),),
    "pools.servers.site": (NoGrant("orders servers by distance"),),
    "pools.servers.address": (
        Rule(
            Gain.DECIDE,
            "of a management server",
            "who has that address",
            "the management server {place} is at {value}",
            of_management_server,
        ),
    ),
    "pools.servers.bind": (NoGrant("each link is judged, on whichever address it arrives"),),
    "pools.servers.machine": (NoGrant("says which servers share a disk"),),
    "pools.servers.ports": (NoGrant("each port asks for the same proof under another number (R4)", is_whole=True),),
    "pools.servers.outside": (NoGrant("its keys have rules"),),
    "pools.servers.outside.address": (NoGrant("the name must be proved there (R9)"),),
    "pools.servers.outside.bind": (NoGrant("each link is judged, on whichever address it arrives"),),
    **_file("pools.servers.outside.certificate", "{place} presents the certificate {value} to partners"),
    **_file("pools.servers.outside.key", "{place} uses the private key {value} for partners"),
    "pools.servers.outside.partners": (
        Rule(
            Gain.SIGN,
            "any change",
            _OWNER,
            "{place} presents other certificates to single partners",
            any_change,
            is_whole=True,
        ),
    ),
    **_file("pools.servers.certificate", "{place} presents the certificate {value}"),
    **_file("pools.servers.key", "{place} uses the private key {value}"),
    "pools.servers.client_certificates": (
        Rule(
            Gain.SIGN,
            "any change",
            _OWNER,
            "{place} presents other certificates to phones and browsers",
            any_change,
            is_whole=True,
        ),
    ),
    "pools.servers.metrics": (
        Rule(
            Gain.READ,
            "another address",
            "who reaches it",
            "the metrics of {place} are read at {value} without a login",
            is_set,
            _OPERATOR,
        ),
    ),
    "pools.servers.workers": (NoGrant("says how many processes share the work"),),
}

_OF_FEDERATION: Final[Rules] = {
    "federation": (NoGrant("its keys have rules"),),
    "federation.route": (
        Rule(Gain.READ, "another pool", "that pool", "requests to partners go through {value}", is_set),
    ),
    "federation.discovery": (
        Rule(Gain.SIGN, "any change", "anybody", "partners are found by discovery: {value}", any_change),
    ),
    "federation.blocked": (
        Rule(Gain.SIGN, "a name fewer", "the owner of that name", "{value} is no longer blocked", removed),
    ),
    "federation.networks": (
        Rule(
            Gain.DECIDE,
            "one more network",
            "who has the DNS of a partner",
            "the DNS names of partners may lead our servers to {value}",
            added,
        ),
    ),
    PARTNERS: (
        Rule(
            Gain.SIGN,
            "a new partner",
            _PARTNER,
            "{value} may connect, and assert users of its domains",
            lambda change: (change.place,) if change.old is None else (),
        ),
    ),
    "federation.partners.domains": (
        Rule(Gain.SIGN, "one more domain", _PARTNER, "{place} may assert users of {value}", added),
    ),
    "federation.partners.edge": (
        Rule(Gain.SIGN, "another name", "who has that name", "{place} may connect as {value}", any_change),
    ),
    "federation.partners.address": (NoGrant("the name must be proved there (R9)"),),
    "federation.partners.client_usage": (
        Rule(Gain.SIGN, "weaker", _PARTNER, "{place} may connect with a certificate for serverAuth only", more_usages),
    ),
    "federation.partners.media": (
        Rule(
            Gain.READ,
            "weaker",
            "who listens on the way",
            "calls with {place} may have media of the policy {value}",
            weaker_media_of_partner,
        ),
    ),
    "federation.partners.identity": (
        Rule(Gain.SIGN, "weaker", _PARTNER, "signatures of calls with {place} get the policy {value}", weaker_identity),
    ),
    "federation.partners.third_party": (
        Rule(
            Gain.SIGN,
            "any change",
            "other customers of that CA",
            "whether the CA of {place} issues for others becomes {value}",
            any_change,
        ),
    ),
    **_authority("federation.partners", "a partner", "a root of a partner's CA"),
}

_OF_STORES: Final[Rules] = {
    "storage": (NoGrant("its keys have rules"),),
    "storage.users": (
        Rule(Gain.READ, "any change", _STORE, "users and their logins are stored in another database", any_change),
    ),
    "storage.management": (
        Rule(Gain.DECIDE, "any change", _STORE, "versions, audit log and ledger are in another database", any_change),
    ),
    "storage.bindings": (Rule(Gain.READ, "any change", _STORE, "registrations are stored elsewhere", any_change),),
    "storage.valkey": (
        Rule(
            Gain.READ,
            "any change",
            _STORE,
            "the login to the store of registrations, or its root, changes",
            any_change,
            is_whole=True,
        ),
    ),
    "storage.messages": (Rule(Gain.READ, "any change", _STORE, "messages are stored in another database", any_change),),
    "messages": (NoGrant("its keys have rules"),),
    "messages.per_user": (
        Rule(
            Gain.READ,
            "more",
            "who reads that database",
            "up to {value} messages of a user are stored in clear text",
            larger,
            _OPERATOR,
        ),
    ),
    "messages.per_sender": (NoGrant("shares `per_user` among senders"),),
    "messages.lifetime_days": (
        Rule(
            Gain.READ,
            "longer",
            "who reads that database",
            "messages are stored in clear text for {value} days",
            larger,
            _OPERATOR,
        ),
    ),
}

_OF_SERVICES: Final[Rules] = {
    "media": (NoGrant("its keys have rules"),),
    "media.default": (
        Rule(Gain.READ, "weaker", "who listens on the way", "calls may have media of the policy {value}", weaker_media),
    ),
    "media.domains": (
        Rule(
            Gain.READ,
            "weaker for a domain",
            "who listens on the way",
            "calls of a domain may have media of another policy: {value}",
            weaker_media_of_domains,
        ),
    ),
    "websocket": (
        Rule(
            Gain.READ,
            "turned on",
            "users in browsers",
            "front ends listen for phones in web pages",
            lambda change: ("on",) if change.old is None and change.new is not None else (),
            _OPERATOR,
        ),
    ),
    "websocket.origins": (
        Rule(Gain.SIGN, "one more origin", "pages of that origin", "pages of {value} may connect", new_origins),
    ),
    "websocket.phone": (NoGrant("the web phone is a page of ours"),),
    "dns": (
        Rule(
            Gain.DECIDE,
            "any change",
            "those DNS servers",
            "other DNS servers say where names lead",
            any_change,
            is_whole=True,
        ),
    ),
    "dane": (NoGrant("records for peers; our servers use none"),),
    "presence": (NoGrant("its keys have rules"),),
    "presence.inside": (
        Rule(
            Gain.READ, "shows presence", "our users", "our users see the presence of others: {value}", easier_to_watch
        ),
    ),
    "presence.partners": (
        Rule(
            Gain.READ,
            "shows presence",
            "users of partners",
            "users of partners see the presence of ours: {value}",
            easier_to_watch,
        ),
    ),
    "turn": (NoGrant("its keys have rules"),),
    "turn.servers": (Rule(Gain.READ, "one more server", "that server", "{value} relays media of our users", added),),
    **_file("turn.secret_file", "the secret of the TURN servers is read from {value}"),
    "turn.lifetime_s": (
        Rule(Gain.READ, "longer", "users", "a password for TURN counts for {value} s", larger, _OPERATOR),
    ),
}

_OF_OPERATORS: Final[Rules] = {
    "console": (NoGrant("its keys have rules; without it there is no access"),),
    "console.listen": (
        Rule(Gain.DECIDE, "any change", "who reaches it", "the console listens on {value}", any_change),
    ),
    OPERATORS: (Rule(Gain.DECIDE, "a new operator, or a higher role", "that operator", "{value}", more_for_operator),),
    "console.operators.name": (NoGrant("another name is another operator"),),
    "console.operators.role": (NoGrant("the rule of the operator says so"),),
    "console.operators.token_sha256": (
        Rule(Gain.DECIDE, "another token", "who has that token", "{place} gets another token", is_set),
    ),
    "console.client_certificates": (
        Rule(Gain.DECIDE, "turned on", "who has such a certificate", "operators may log in with certificates", is_set),
    ),
    "console.openid": (
        Rule(
            Gain.DECIDE,
            "any change",
            "the provider",
            "operators may log in by {value}, with other roles or in another way than now",
            lambda change: (change.new.issuer,) if change.new is not None else (),
            is_whole=True,
        ),
    ),
    "approvals": (
        Rule(
            Gain.DECIDE,
            "any change",
            "the operators that it names, or management without it",
            "the operators who must approve a version, or their number, change",
            any_change,
            is_whole=True,
        ),
    ),
}

RULES: Final[Rules] = {
    "sipmesh": (NoGrant("the format of the document"),),
    "organisation": (NoGrant("no version can change it"),),
    "sip_domains": (
        Rule(Gain.SIGN, "one more domain", "front ends and edges", "our servers may assert users of {value}", added),
    ),
    "sites": (NoGrant("the names of places"),),
    "authority": (NoGrant("its keys have rules"),),
    **_authority("authority", "our CA", "a root of our CA"),
    **_OF_POOLS,
    **_OF_SERVERS,
    **_OF_FEDERATION,
    **_OF_STORES,
    **_OF_SERVICES,
    **_OF_OPERATORS,
}
"""The rules of each key. A test walks the model and fails for a key that has none."""
