"""The rules for calls: trunks, and what users may dial."""

from __future__ import annotations

from typing import Final

from sipmesh.topology.versions.grants.comparisons import added, any_change, is_set, taken_away
from sipmesh.topology.versions.grants.rule import NoGrant, Rules, decides, reads, signs
from sipmesh.topology.versions.grants.server_rules import another_file

OF_TRUNKS: Final[Rules] = {
    "federation.partners.trunk": signs(
        "taken away",
        "the partner",
        "{place} is no trunk any more: it may connect to edges, and assert users of its domains",
        taken_away,
    ),
    "federation.partners.trunk.gateway": signs(
        "another pool", "its servers", "the servers of {value} assert the callers of {place}", is_set
    ),
    "federation.partners.trunk.asserts": signs(
        "more numbers", "the trunk", "{place} may assert callers whose number begins with {value}", added
    ),
    "federation.partners.trunk.carries": reads(
        "more numbers", "the trunk", "calls to numbers that begin with {value} go to {place}", added
    ),
    "federation.partners.trunk.emergency": reads("it takes them", "the trunk", "emergency calls go to {place}", is_set),
    "federation.partners.trunk.keying": reads(
        "any change",
        "who has the gateway, and with `none` the network to the trunk",
        "media of calls through {place} pass rtpengine, keyed by: {value}",
        any_change,
    ),
    "federation.partners.trunk.channels": (NoGrant("bounds calls"),),
    "federation.partners.trunk.calls_per_second": (NoGrant("bounds calls"),),
    "federation.partners.trunk.longest_call": (NoGrant("bounds calls"),),
    "federation.partners.trunk.minutes": (NoGrant("bounds calls"),),
    "federation.partners.trunk.host": signs(
        "another name",
        "the servers of its gateway",
        "the gateway of {place} gets certificates with the name {value}",
        is_set,
    ),
    "federation.partners.trunk.port": (NoGrant("an own port, to which only this trunk may connect"),),
    "federation.partners.trunk.challenge": (NoGrant("its keys have rules"),),
    "federation.partners.trunk.challenge.user": (NoGrant("the password in the file says who logs in"),),
    **another_file("federation.partners.trunk.challenge.secret_file", "the password of a trunk is read from {value}"),
    "federation.partners.trunk.challenge.networks": signs(
        "another network",
        "who has the password of the trunk there",
        "{place} may connect from {value} without a certificate, by a password",
        added,
    ),
    "federation.partners.trunk.challenge.algorithm": signs(
        "MD5", "who has the trunk", "{place} logs in with {value}", any_change
    ),
    "federation.partners.trunk.login": (NoGrant("its keys have rules"),),
    "federation.partners.trunk.login.user": (NoGrant("the password in the file says whose account it is"),),
    "federation.partners.trunk.login.realm": signs(
        "another realm", "who has the trunk", "{place} gets a hash of our password for {value}", is_set
    ),
    **another_file("federation.partners.trunk.login.secret_file", "the password of an account is read from {value}"),
    "federation.partners.trunk.login.domain": (NoGrant("the name of the registrar; the trunk itself proves its name"),),
    "federation.partners.trunk.login.algorithm": signs(
        "MD5", "who has the trunk", "{place} gets a hash of our password with {value}", any_change
    ),
    "federation.partners.trunk.login.registers": (
        NoGrant("calls come in only from the trunk that has proved its name"),
    ),
    "federation.partners.trunk.login.expires": (NoGrant("how often the gateway registers"),),
    "federation.partners.trunk.stir": decides(
        "taken away", "the trunk", "signatures of the calls of {place} are not verified", taken_away
    ),
    "federation.partners.trunk.stir.incoming": decides(
        "any change", "the trunk", "signatures of the calls of {place}: {value}", any_change
    ),
    "federation.partners.trunk.stir.anchors": signs(
        "another root", "who has its key", "{value} may sign calls of {place}", added
    ),
    "federation.partners.trunk.stir.hosts": reads(
        "another host", "that host", "the gateway fetches certificates from {value}", added
    ),
    "federation.partners.trunk.stir.crls": decides(
        "any change", "who writes them", "the CRLs of who signs calls of {place} are {value}", any_change
    ),
    "federation.partners.trunk.stir.crl_hosts": decides(
        "any change", "who writes them", "the CRLs that signers of {place} name are fetched from {value}", any_change
    ),
    "federation.partners.trunk.stir.sign": (NoGrant("its keys have rules"),),
    **another_file("federation.partners.trunk.stir.sign.certificate", "calls are signed by the certificate in {value}"),
    **another_file("federation.partners.trunk.stir.sign.key", "calls are signed with the key in {value}"),
    "federation.partners.trunk.stir.sign.url": (NoGrant("where others fetch what our calls were signed with"),),
    "federation.partners.trunk.ping": (NoGrant("how often the gateway asks whether the trunk answers"),),
    "federation.partners.trunk.priority": (NoGrant("orders trunks that carry the same numbers"),),
    "federation.partners.trunk.weight": (NoGrant("orders trunks that carry the same numbers"),),
    "federation.partners.trunk.main_number": decides(
        "any change", "users without a number", "users without a number call through {place} as {value}", any_change
    ),
}

OF_NUMBERS: Final[Rules] = {
    "numbers": (NoGrant("its keys have rules"),),
    "numbers.country": (NoGrant("completes what users type; trunks and classes say what may be called"),),
    "numbers.national": (NoGrant("completes what users type; trunks and classes say what may be called"),),
    "numbers.international": (NoGrant("completes what users type; trunks and classes say what may be called"),),
    "numbers.outside_line": (NoGrant("completes what users type; trunks and classes say what may be called"),),
    "numbers.extensions": decides("any change", "users", "extensions are {value}", any_change, is_whole=True),
    "numbers.sites": decides(
        "any change",
        "users",
        "what users type at each site, and where their emergency calls go, becomes {value}",
        any_change,
        is_whole=True,
    ),
    "numbers.routes": reads("any change", "the trunks", "calls leave by the routes {value}", any_change, is_whole=True),
    "call_rules": reads(
        "any change",
        "where they lead",
        "calls of users without rules of their own go as {value} says",
        any_change,
        is_whole=True,
    ),
    "numbers.per_user": decides("taken away", "users", "no bound holds for the calls of each user", taken_away),
    "numbers.per_user.calls": decides(
        "any change", "users", "each user may have {value} calls at the same time", any_change
    ),
    "numbers.per_user.minutes": decides(
        "any change", "users", "each user may call for {value} minutes in 24 hours", any_change
    ),
    "numbers.per_user.countries": decides(
        "any change", "users", "each user may call {value} countries in 24 hours", any_change
    ),
    "numbers.time_zone": decides("any change", "users", "hours of classes are those of {value}", any_change),
    "numbers.emergency": decides("any change", "users", "the emergency numbers are {value}", any_change),
    "numbers.emergency_services": decides(
        "any change", "users", "the numbers of emergency services are {value}", any_change, is_whole=True
    ),
    "numbers.classes": decides(
        "any change", "users", "who may call which numbers becomes {value}", any_change, is_whole=True
    ),
}
