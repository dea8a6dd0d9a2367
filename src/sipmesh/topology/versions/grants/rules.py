"""The rules: which change of which key is a grant, what it gives to whom, and which role may publish it.

An operator may publish a grant that is worth nothing before a security officer has issued a certificate, or that goes no further
than what operators do each day. Everything else needs a security officer: so the token of an operator is never worth a key.
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import attrgetter
from typing import TYPE_CHECKING, Final

from sipmesh.topology.document.operators.console_role import ConsoleRole
from sipmesh.topology.document.parts.portal import ways_in_words
from sipmesh.topology.versions.grants.acme_rules import OF_ACME
from sipmesh.topology.versions.grants.call_rules import OF_NUMBERS, OF_TRUNKS
from sipmesh.topology.versions.grants.comparisons import (
    added,
    any_change,
    any_change_named,
    dane_in_place_of_ca,
    easier_to_watch,
    is_set,
    larger,
    longer_grace,
    longer_history,
    more_for_operator,
    more_usages,
    new_logs,
    new_origins,
    officer_fewer,
    removed,
    turned_on,
    weaker_ct,
    weaker_dane,
    weaker_identity,
    weaker_media,
    weaker_media_of_domains,
    weaker_media_of_partner,
    wider_search,
)
from sipmesh.topology.versions.grants.grant import Gain, Grant
from sipmesh.topology.versions.grants.key_changes import (
    OPERATORS,
    PARTNERS,
    key_changes,
)
from sipmesh.topology.versions.grants.rule import NoGrant, Rule, Rules, decides, reads, signs
from sipmesh.topology.versions.grants.server_rules import OF_POOLS, OF_SERVERS, STORE, another_file

if TYPE_CHECKING:
    from sipmesh.topology.document.load import Loaded


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
    """Return the rule for a key that has none: what its change gives is not known."""
    return Rule(
        Gain.DECIDE, "any change", "unknown", f"{{place}} {key} changes, and no rule says what this gives", any_change
    )


_OPERATOR: Final = ConsoleRole.OPERATOR
_PARTNER: Final = "the partner"


def _authority(prefix: str, whose: str, root: str) -> Rules:
    """Return the rules for a CA, which are the same for ours and for that of a partner."""
    return {
        f"{prefix}.anchors": signs(
            "another root, or another file", "who has the root's key", f"{{value}} becomes {root}", added
        ),
        f"{prefix}.crls": decides("any change", "who writes them", f"the CRLs of {whose} are {{value}}", any_change),
        f"{prefix}.crl_hosts": decides(
            "another host",
            "who writes them",
            f"the CRLs that certificates of {whose} name are fetched from {{value}}",
            added,
        ),
        f"{prefix}.ocsp": decides(
            "any change", "the responders", f"the OCSP responders of {whose} are {{value}}", any_change
        ),
        f"{prefix}.revocation": decides(
            "any change", "revoked peers", f"the revocation check of {whose} becomes {{value}}", any_change
        ),
        f"{prefix}.grace": signs(
            "longer", "revoked peers", f"expired CRLs of {whose} count for {{value}}", longer_grace
        ),
        f"{prefix}.list_limit": (NoGrant("bounds memory: certificates whose CRL is larger are refused"),),
    }


_OF_DEVICES: Final[Rules] = {
    "authority.devices": signs(
        "another CA", "who has the key of that CA", "{value} may issue for devices of all users", added
    ),
}

_OF_FEDERATION: Final[Rules] = {
    "federation": (NoGrant("its keys have rules"),),
    "federation.route": reads("another pool", "that pool", "requests to partners go through {value}", is_set),
    "federation.discovery": signs(
        "any change", "any organisation", "partners are found by discovery: {value}", any_change
    ),
    "federation.blocked": signs("a name fewer", "the owner of that name", "{value} is no longer blocked", removed),
    "federation.blocked_partners": (
        NoGrant("nothing in it counts before it is unblocked, which has the rules of a new partner"),
    ),
    "federation.networks": decides(
        "one more network",
        "who has the DNS of a partner",
        "the DNS names of partners may lead our servers to {value}",
        added,
    ),
    PARTNERS: signs(
        "a new partner",
        _PARTNER,
        "{value} may connect, and assert users of its domains",
        lambda change: (change.place,) if change.old is None else (),
    ),
    "federation.partners.domains": signs("one more domain", _PARTNER, "{place} may assert users of {value}", added),
    "federation.partners.edge": signs(
        "another name", "who has that name", "{place} may connect as {value}", any_change
    ),
    "federation.partners.address": (NoGrant("the name must be proved there (R9)"),),
    "federation.partners.client_usage": signs(
        "weaker", _PARTNER, "{place} may connect with a certificate for serverAuth only", more_usages
    ),
    "federation.partners.ct": signs(
        "weaker", "its CA", "{place} is accepted with certificates that no log has", weaker_ct
    ),
    "federation.partners.dane": (
        Rule(Gain.SIGN, "turned off", "its CA", "{place} is accepted without a look at its TLSA records", weaker_dane),
        Rule(
            Gain.SIGN,
            "in place of its CA",
            "who signs its zone, or a zone above it",
            "TLSA records alone say what certificate {place} has: no CA vouches for it",
            dane_in_place_of_ca,
        ),
    ),
    "federation.ct_logs": signs(
        "one more log", "who runs it", "the log of {value} counts for certificates of partners", new_logs
    ),
    "federation.ct_logs.operator": (NoGrant("a changed entry is another log"),),
    "federation.ct_logs.key": (NoGrant("a changed entry is another log"),),
    "federation.ct_logs.until": (NoGrant("a changed entry is another log"),),
    "federation.partners.media": reads(
        "weaker",
        "who listens on the way",
        "calls with {place} may have media of the policy {value}",
        weaker_media_of_partner,
    ),
    "federation.partners.identity": signs(
        "weaker", _PARTNER, "signatures of calls with {place} get the policy {value}", weaker_identity
    ),
    "federation.partners.third_party": signs(
        "any change",
        "other customers of that CA",
        "whether the CA of {place} issues for others becomes {value}",
        any_change,
    ),
    **OF_TRUNKS,
    **_authority("federation.partners", "a partner", "a root of a partner's CA"),
}

_OF_STORES: Final[Rules] = {
    "storage": (NoGrant("its keys have rules"),),
    "storage.users": reads("any change", STORE, "users and their logins are stored in another database", any_change),
    "storage.management": decides(
        "any change", STORE, "versions, audit log and ledger are in another database", any_change
    ),
    "storage.bindings": reads("any change", STORE, "registrations are stored elsewhere", any_change),
    "storage.valkey": reads(
        "any change", STORE, "the login to the store of registrations, or its root, changes", any_change, is_whole=True
    ),
    "storage.messages": reads("any change", STORE, "messages are stored in another database", any_change),
    "storage.calls": reads("any change", STORE, "records of calls are stored in another database", any_change),
    "messages": (NoGrant("its keys have rules"),),
    "messages.per_user": reads(
        "more",
        "who reads that database",
        "up to {value} messages of a user are stored in clear text",
        larger,
        _OPERATOR,
    ),
    "messages.per_sender": (NoGrant("shares `per_user` among senders"),),
    "messages.lifetime_days": reads(
        "longer", "who reads that database", "messages are stored in clear text for {value} days", larger, _OPERATOR
    ),
}

_OF_SERVICES: Final[Rules] = {
    "media": (NoGrant("its keys have rules"),),
    "media.default": reads(
        "weaker", "who listens on the way", "calls may have media of the policy {value}", weaker_media
    ),
    "media.domains": reads(
        "weaker for a domain",
        "who listens on the way",
        "calls of a domain may have media of another policy: {value}",
        weaker_media_of_domains,
    ),
    "websocket": reads(
        "turned on", "users in browsers", "front ends listen for phones in web pages", turned_on, _OPERATOR
    ),
    "websocket.origins": signs("one more origin", "pages of that origin", "pages of {value} may connect", new_origins),
    "websocket.phone": (NoGrant("the web phone is a page of ours"),),
    "dns": decides(
        "any change",
        "those DNS servers, and who has those anchors",
        "other DNS servers or DNSSEC trust anchors say where names lead, and which TLSA records count",
        any_change,
        is_whole=True,
    ),
    "caa": (NoGrant("records in our own DNS, which the operator writes"),),
    "caa.issuer": (NoGrant("records in our own DNS, which the operator writes"),),
    "caa.account": (NoGrant("records in our own DNS, which the operator writes"),),
    "caa.methods": (NoGrant("records in our own DNS, which the operator writes"),),
    "dane": (NoGrant("records for peers; our servers use none"),),
    "post_quantum": (NoGrant("which key exchange links use; the peers are judged as before"),),
    "presence": (NoGrant("its keys have rules"),),
    "presence.inside": reads(
        "shows presence", "our users", "our users see the presence of others: {value}", easier_to_watch
    ),
    "presence.partners": reads(
        "shows presence", "users of partners", "users of partners see the presence of ours: {value}", easier_to_watch
    ),
    "user_search": reads(
        "any but `off`", "our users", "users find others of the same {value} by a search", wider_search
    ),
    "history": reads(
        "turned on, or longer",
        "each user, and who has both the database and the key of the pool",
        "messages of our users are kept for {value}",
        longer_history,
        is_whole=True,
    ),
    "files": decides(
        "turned on",
        "our users, and who has the link of a file",
        "users send files, which management keeps and gives to who has the link",
        turned_on,
    ),
    "files.days": reads("longer", "who has the link of a file", "files are kept for {value} days", larger),
    **dict.fromkeys(
        ("files.largest_mb", "files.user_mb", "files.pool_mb", "files.total_mb"),
        (NoGrant("bounds what the disk of management has"),),
    ),
    "call_records": reads(
        "turned on",
        "operators, and who reads the disks of servers",
        "servers record who calls whom, when and for how long",
        turned_on,
    ),
    "call_records.days": reads("longer", "operators", "records of calls are kept for {value} days", larger),
    "call_records.syslog": reads("another server", "that server", "records of calls are sent to {value}", is_set),
    "call_records.hook": reads("another URL", "who has that URL", "records of calls are sent to {value}", is_set),
    "call_records.otlp": reads("another URL", "who has that URL", "records of calls are sent to {value}", is_set),
    "call_records.anchors": reads(
        "another root", "who has its key", "{value} may prove the receivers of records of calls", added
    ),
    "call_records.megabytes": (NoGrant("bounds the disk; `days` says for how long records are kept"),),
    "turn": (NoGrant("its keys have rules"),),
    "turn.servers": reads("one more server", "that server", "{value} relays media of our users", added),
    **another_file("turn.secret_file", "the secret of the TURN servers is read from {value}"),
    "turn.lifetime_s": reads("longer", "users", "a password for TURN counts for {value} s", larger, _OPERATOR),
}

_OF_OPERATORS: Final[Rules] = {
    "console": (NoGrant("its keys have rules"),),
    "console.listen": decides("any change", "who reaches it", "the console listens on {value}", any_change),
    OPERATORS: (
        Rule(Gain.DECIDE, "a new operator, or a higher role", "that operator", "{value}", more_for_operator),
        Rule(
            Gain.DECIDE,
            "a security officer less",
            "who publishes without that officer",
            "{value} is no security officer any more",
            officer_fewer,
        ),
    ),
    "console.operators.name": (NoGrant("another name is another operator"),),
    "console.operators.role": (NoGrant("the rule of the operator says so"),),
    "console.operators.token_sha256": decides(
        "another token", "who has that token", "{place} gets another token", is_set
    ),
    "console.client_certificates": decides(
        "turned on", "who has such a certificate", "operators may log in with certificates", is_set
    ),
    "console.enrolment": (NoGrant("its keys have rules"),),
    "console.enrolment.protocols": decides(
        "one more", "who holds a one-time token or a valid certificate", "servers may enrol by {value}", added
    ),
    "console.enrolment.http_port": decides(
        "any change", "who answers there", "http-01 is answered at port {value}", any_change
    ),
    "console.enrolment.tls_alpn_port": decides(
        "any change", "who answers there", "tls-alpn-01 is answered at port {value}", any_change
    ),
    "console.enrolment.kerberos": decides(
        "any change",
        "the domain controllers of the realm",
        "computers of {value} get certificates of servers by a ticket, or others than now",
        any_change_named(attrgetter("realm")),
        is_whole=True,
    ),
    "console.openid": decides(
        "any change",
        "the provider",
        "operators may log in by {value}, with other roles or in another way than now",
        any_change_named(attrgetter("issuer")),
        is_whole=True,
    ),
    "console.kerberos": decides(
        "any change",
        "the domain controllers of the realm",
        "operators may log in by tickets of {value}, with other roles or in another way than now",
        any_change_named(attrgetter("realm")),
        is_whole=True,
    ),
    "invitations": (NoGrant("its keys have rules"),),
    "invitations.listen": decides("any change", "who reaches it", "devices take invitations at {value}", any_change),
    "invitations.name": decides(
        "any change", "who has that name", "the links of invitations lead to {value}", any_change
    ),
    "invitations.port": decides("any change", "who has that port", "the links lead to port {value}", any_change),
    **another_file("invitations.certificate", "the pages of invitations present the certificate {value}"),
    **another_file("invitations.key", "the pages of invitations use the private key {value}"),
    "invitations.portal": decides(
        "any change",
        "the domain controllers of the realm, and operators who make links",
        "users may sign in to the portal by {value}, or in another way than now",
        any_change_named(ways_in_words),
        is_whole=True,
    ),
    "oauth": decides(
        "any change",
        "the provider, and who has a client there",
        "users may log in by tokens of {value}, or in another way than now",
        any_change_named(attrgetter("issuer")),
        is_whole=True,
    ),
    "directory": decides(
        "any change",
        "who changes entries of the directory, and its servers",
        "the users are those of the directory {value}, or its rules change",
        any_change_named(lambda new: ", ".join(map(str, new.servers))),
        is_whole=True,
    ),
    "scim": decides(
        "any change",
        "who has one of its tokens",
        "the users are those that {value} write, or their rules change",
        any_change_named(lambda new: ", ".join(one.name for one in new.tokens)),
        is_whole=True,
    ),
    "approvals": decides(
        "any change",
        "the operators that it names, or management without it",
        "the operators who must approve a version, or their number, change",
        any_change,
        is_whole=True,
    ),
}

RULES: Final[Rules] = {
    "sipmesh": (NoGrant("the format of the document"),),
    "organisation": (NoGrant("no version can change it"),),
    "sip_domains": signs("one more domain", "front ends and edges", "our servers may assert users of {value}", added),
    "sites": (NoGrant("the names of places"),),
    "authority": (NoGrant("its keys have rules"),),
    **_authority("authority", "our CA", "a root of our CA"),
    **OF_POOLS,
    **OF_SERVERS,
    **_OF_DEVICES,
    **_OF_FEDERATION,
    **OF_NUMBERS,
    **_OF_STORES,
    **_OF_SERVICES,
    **_OF_OPERATORS,
    **OF_ACME,
}
"""The rules of each key. A test walks the model and fails for a key that has none."""
