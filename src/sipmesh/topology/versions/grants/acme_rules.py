"""The rules for certificates of a public CA."""

from __future__ import annotations

from typing import Final

from sipmesh.topology.versions.grants.comparisons import added, any_change
from sipmesh.topology.versions.grants.rule import NoGrant, Rules, decides, signs
from sipmesh.topology.versions.grants.server_rules import another_file

_ANY: Final = "any change"

OF_ACME: Final[Rules] = {
    "acme": (NoGrant("its keys have rules"),),
    "acme.directory": signs(
        _ANY, "that CA", "servers get certificates for phones and browsers from {value}", any_change
    ),
    "acme.challenge": (NoGrant("how servers prove their names; the CA decides whether the proof is enough"),),
    "acme.contacts": (NoGrant("addresses at which the CA reaches us"),),
    "acme.anchors": signs("one more root", "who has its key", "certificates below {value} are given to phones", added),
    "acme.bind": decides(_ANY, "who reaches it", "servers answer challenges of the CA at {value}", any_change),
    "acme.port": decides(_ANY, "who reaches it", "servers answer challenges of the CA at port {value}", any_change),
    "acme.dns": (NoGrant("its keys have rules"),),
    "acme.dns.server": signs(_ANY, "who answers there", "servers send DNS updates to {value}", any_change),
    "acme.dns.zone": signs(_ANY, "our servers", "servers write records into the zone {value}", any_change),
    **another_file("acme.dns.key_file", "DNS updates are signed with the key in {value}"),
    "acme.dns.wait_s": (NoGrant("a pause before the CA looks"),),
    "acme.external_account": (NoGrant("its keys have rules"),),
    "acme.external_account.id": signs(
        _ANY, "the account at the CA", "servers order in the name of the account {value}", any_change
    ),
    **another_file("acme.external_account.key_file", "the account is proved with the key in {value}"),
}
