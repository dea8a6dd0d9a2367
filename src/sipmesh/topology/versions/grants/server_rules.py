"""The rules for pools and servers."""

from __future__ import annotations

from typing import Final

from sipmesh.topology.document.operators.console_role import ConsoleRole
from sipmesh.topology.versions.grants.comparisons import (
    added,
    another_name,
    any_change,
    becomes_manager,
    is_set,
    longer_history,
    moves_with_certificate,
    new_pool,
    new_server,
    of_existing_part,
    of_management_server,
    other_site_of_callers,
    removed,
    smaller,
    switched_off,
)
from sipmesh.topology.versions.grants.grant import Gain
from sipmesh.topology.versions.grants.key_changes import DEFAULT_HOME, POOLS, SERVERS
from sipmesh.topology.versions.grants.rule import NoGrant, Rule, Rules, decides, reads, signs
from sipmesh.trust.role import BORDERS, Role

OWNER: Final = "who has that file"
STORE: Final = "who has that store"


def another_file(key: str, sentence: str) -> dict[str, tuple[Rule]]:
    """Return the rule for a key that names a file."""
    return {key: signs("another file", OWNER, sentence, any_change)}


OF_POOLS: Final[Rules] = {
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
            "a new pool of front ends, edges or gateways",
            "its servers",
            "pool {value} is new: with certificates, its servers may assert users",
            new_pool(Role.FRONT_END, *BORDERS),
            ConsoleRole.OPERATOR,
        ),
    ),
    DEFAULT_HOME: reads(
        "another first front-end pool", "its servers", "{value} gets the logins of users who have no home pool", is_set
    ),
    "pools.name": signs(
        "another name of a pool that exists",
        "its servers",
        "the servers of {value} get certificates with this name",
        of_existing_part,
    ),
    "pools.role": (NoGrant("the rules of its servers say what a role gives"),),
    "pools.site": decides(
        "another site, where `numbers` have sites",
        "users",
        "calls of the users of {place} are those of the site {value}",
        other_site_of_callers,
    ),
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
            ConsoleRole.OPERATOR,
        ),
    ),
    "pools.internal_name": signs(
        "another name inside, for an edge that exists",
        "its servers",
        "the servers of {place} get certificates with the name {value}",
        another_name,
    ),
    "pools.next_hop": signs(
        "another pool, for an edge or application that exists",
        "its servers",
        "{place} may open links to the servers of {value}, and send requests there",
        of_existing_part,
    ),
    "pools.remote_users": reads(
        "turned on", "users outside", "users may log in from outside through {place}", is_set, ConsoleRole.OPERATOR
    ),
    "pools.speaks_for": signs("one more domain", "the application", "{place} may assert each user of {value}", added),
    "pools.sip_addresses": signs(
        "one more address", "the application", "{place} may assert {value}, and gets its calls", added
    ),
    "pools.numbers": signs(
        "more numbers",
        "the application",
        "{place} may assert the numbers that begin with {value}, and gets their calls",
        added,
    ),
    "pools.public": decides(
        "turned on", "partners and trunks", "partners and trunks may call the names of {place}", is_set
    ),
    "pools.screens": (
        *decides(
            "one more user or domain",
            "the application",
            "{place} gets the calls to {value} before their phones ring, and decides about them",
            added,
        ),
        *decides(
            "one user or domain less",
            "callers",
            "{place} does not decide about the calls to {value} any longer: they ring",
            removed,
        ),
    ),
    "pools.if_away": decides(
        "any change",
        "callers",
        "the calls that {place} screens while it does not answer: {value}",
        any_change,
    ),
    "pools.rtpengine": reads(
        "any change",
        "who has the hosts of its servers",
        "rtpengine at port {value} beside the servers of {place} has the media of calls that it bridges",
        any_change,
    ),
    "pools.backup_pool": reads(
        "another pool",
        "that pool",
        "{value} gets the logins of the users of {place}, and serves them if {place} does not answer",
        is_set,
    ),
    "pools.takeover_after": decides(
        "shorter",
        "the backup pool",
        "the backup pool of {place} serves its users after {value} s",
        smaller,
        ConsoleRole.OPERATOR,
    ),
    "pools.history": reads(
        "longer, or as the topology says",
        "each user, and who has both the database and the key of the pool",
        "messages of the users of {place} are kept for {value}",
        longer_history,
        is_whole=True,
    ),
    "pools.storage": reads(
        "any change",
        STORE,
        "the registrations of {place} are stored elsewhere, or the login there changes",
        any_change,
        is_whole=True,
    ),
}

OF_SERVERS: Final[Rules] = {
    "pools.servers.client_auth": signs(
        "certificates of devices, or passwords again",
        "who has the key of the device issuing CA, or knows passwords",
        "clients of {place} prove their users by: {value}",
        any_change,
    ),
    "pools.servers.name": (NoGrant("another name is another server"),),
    "pools.servers.site": (NoGrant("orders servers by distance"),),
    "pools.servers.address": decides(
        "of a management server",
        "who has that address",
        "the management server {place} is at {value}",
        of_management_server,
    ),
    "pools.servers.bind": (NoGrant("each link is judged, on each address"),),
    "pools.servers.machine": (NoGrant("says which servers share a disk"),),
    "pools.servers.ports": (NoGrant("each port asks for the same proof under another number (R4)", is_whole=True),),
    "pools.servers.outside": (NoGrant("its keys have rules"),),
    "pools.servers.outside.address": (NoGrant("the name must be proved there (R9)"),),
    "pools.servers.outside.bind": (NoGrant("each link is judged, on each address"),),
    **another_file("pools.servers.outside.certificate", "{place} presents the certificate {value} to partners"),
    **another_file("pools.servers.outside.key", "{place} uses the private key {value} for partners"),
    "pools.servers.outside.partners": signs(
        "any change", OWNER, "{place} presents other certificates to single partners", any_change, is_whole=True
    ),
    **another_file("pools.servers.certificate", "{place} presents the certificate {value}"),
    **another_file("pools.servers.key", "{place} uses the private key {value}"),
    "pools.servers.client_certificates": signs(
        "any change", OWNER, "{place} presents other certificates to phones and browsers", any_change, is_whole=True
    ),
    "pools.servers.publish_lists": reads(
        "another address",
        "who reaches it",
        "the CRLs and the status of our certificates are read at {value} of {place} without a login",
        is_set,
        ConsoleRole.OPERATOR,
    ),
    "pools.servers.metrics": reads(
        "another address",
        "who reaches it",
        "the metrics of {place} are read at {value} without a login",
        is_set,
        ConsoleRole.OPERATOR,
    ),
    "pools.servers.metrics_tls": reads(
        "off",
        "who reaches the port",
        "the metrics of {place} are read without TLS and without a login",
        switched_off,
        ConsoleRole.OPERATOR,
    ),
    "pools.servers.workers": (NoGrant("says how many processes share the work"),),
}
