"""The remedy of each fault of a peer, by the code of the verdict or the cause; all in one table.

A remedy follows from the code alone, and never from the text of a report: a server that an attacker holds must not tell the
operator what to do.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from sipmesh.server.replication.link_fault import Cause
from sipmesh.server.replication.server_status import PeerKind
from sipmesh.trust.code import Code

_OTHER_MACHINE: Final = "; with its key on another machine, there: sipmesh join request {name}"
_NEW_CERTIFICATE: Final = f"issue its certificate again: sipmesh ca issue {{name}}{_OTHER_MACHINE}"
_NO_ADDRESS: Final = (
    "give DNS its address, or set it: sipmesh topology change {name} address=IP, then: sipmesh topology publish"
)
_NO_ROUTE: Final = (
    "check that the machine of {name} is on, and that no firewall between {by} and its server port drops connections"
)
_CRLS: Final = (
    "sign new CRLs: sipmesh ca crl; for a root whose key is on another machine: sipmesh ca root request list FILE"
)
_PARTNER_CRLS: Final = (
    "get the partner's current CRL into the file, or open the way to the URL, that `crls` of its entry names; each edge then "
    "reads it by itself. To see each CRL: sipmesh ca inventory"
)

_OURS: Final[Mapping[str, str]] = {
    Code.REVOKED: f"if {{name}} is still in use: sipmesh ca issue {{name}}{_OTHER_MACHINE}; find out who has a copy of the old "
    "key",
    Code.EXPIRED: f"if the clock of {{by}} is right, {_NEW_CERTIFICATE}; if not, set that clock, for example by NTP",
    Code.NOT_YET_VALID: "set the clock of {by}, for example by NTP",
    Code.REVOCATION_UNKNOWN: _CRLS,
    Cause.CRL_EXPIRED: _CRLS,
    Code.UNTRUSTED_ISSUER: "find out what answers at the address of {name}: it has no certificate of our CA. If it is our "
    "server: sipmesh ca issue {name}",
    Code.ISSUER_NOT_FOR_THIS_NAME: "treat this as an attack: another CA has issued a certificate for {name}. Find out what "
    "answers at its address",
    Code.NAME_MISMATCH: "another server answers at the address of {name}: correct its `address` or its DNS entry, then: "
    "sipmesh topology publish",
    Code.REFUSED_BY_PEER: "{name} refuses {by}. If its clock is wrong, set it, for example by NTP. On its machine, this says "
    "why: sipmesh links --refused",
    Code.NOT_TLS: "find out which program has the server port of {name}: it does not speak TLS",
    Code.HANDSHAKE_TIMEOUT: _NO_ROUTE,
    Code.WRONG_USAGE: _NEW_CERTIFICATE,
    Code.WEAK_KEY: _NEW_CERTIFICATE,
    Code.NOT_A_LEAF: _NEW_CERTIFICATE,
    Code.MALFORMED_CERTIFICATE: _NEW_CERTIFICATE,
    Code.NO_SIP_IDENTITY: _NEW_CERTIFICATE,
    Code.NOT_IN_TOPOLOGY: _NEW_CERTIFICATE,
    Cause.NO_ADDRESS: _NO_ADDRESS,
    Cause.NO_ROUTE: _NO_ROUTE,
}
_SERVERS: Final = {
    **_OURS,
    Cause.NOT_STARTED: "start it: sipmesh serve {name}; if its host has not joined: sipmesh join request {name}; "
    "if it runs, check that its machine is reachable from {by}",
    Cause.PORT_REFUSES: "start it: sipmesh serve {name}; if it runs, compare its server port with the topology: "
    "sipmesh topology show",
    Cause.NO_ANSWER: "if it does not run, start it: sipmesh serve {name}; if it runs, check that its server port is reachable "
    "from the machine of {by}",
    Cause.SILENT: "start it: sipmesh serve {name}; if it runs, its log says why it has no link to {by}",
    Cause.CLOCK: "set the clock of {name}, for example by NTP",
}
_APPLICATIONS: Final = {
    **_OURS,
    Cause.PORT_REFUSES: "start the program of {name}, on the server port that the topology has: sipmesh topology show {name}",
    Cause.NO_ANSWER: "restart the program of {name}: it accepts links, and answers no OPTIONS request of {by}",
}
_PARTNERS: Final[Mapping[str, str]] = {
    Code.REVOKED: "its CA has revoked the certificate of its edge: ask the partner to install a new one",
    Code.EXPIRED: "ask the partner to renew the certificate of its edge; if its dates are correct, set the clock of {by}",
    Code.NOT_YET_VALID: "set the clock of {by}, for example by NTP; if it is right, ask the partner to set the clock of its CA",
    Code.REVOCATION_UNKNOWN: _PARTNER_CRLS,
    Cause.CRL_EXPIRED: _PARTNER_CRLS,
    Code.UNTRUSTED_ISSUER: "if the partner says that it has a new root: sipmesh partner change {name} anchors=[FILE]. If not, "
    "another server answers at its address: correct `edge` or `address`",
    Code.ISSUER_NOT_FOR_THIS_NAME: "treat this as an attack: another CA has issued a certificate for {name}. Ask the partner "
    "whether it has changed its CA",
    Code.NAME_MISMATCH: "ask the partner for the name of its edge: sipmesh partner change {name} edge=HOST. If the name is "
    "right, another server answers at its address",
    Code.REFUSED_BY_PEER: "ask the partner: it has blocked us, has not added us, or lacks our root or our CRLs. If it runs "
    "sipmesh, its edge says why: sipmesh links --refused",
    Code.NOT_TLS: "compare the port in its entry with that of its edge: sipmesh partner list",
    Code.HANDSHAKE_TIMEOUT: "ask the partner whether its edge is overloaded, or its firewall drops the packets of {by}",
    Cause.PORT_REFUSES: "ask the partner whether its edge runs, and compare the port in its entry: sipmesh partner list",
    Cause.NO_ADDRESS: "correct the name of its edge, or set its address: sipmesh partner change {name} edge=HOST address=IP",
    Cause.NO_ROUTE: "ask the partner whether its firewall lets {by} in, and open yours for the port in its entry: "
    "sipmesh partner list",
    Cause.NO_ANSWER: "ask the partner: its edge accepts links, and answers no OPTIONS request of {by}",
    Cause.CALLS_REFUSED: "sipmesh calls --since 1d has the status of each call; ask the provider about the account and the "
    "numbers that {name} accepts. The first call that rings there ends this fault",
    Cause.LOGIN_FAILS: "compare `login` of {name} in the topology with the account that the provider has given, and write its "
    "password into the `secret_file` on {by}: the next login ends this fault",
}
_TABLE: Final[Mapping[PeerKind, tuple[Mapping[str, str], str]]] = {
    PeerKind.SERVER: (_SERVERS, "this shows each check with its remedy: sipmesh explain {name}"),
    PeerKind.APPLICATION: (_APPLICATIONS, "this shows each check with its remedy: sipmesh explain {name} --as {by}"),
    PeerKind.PARTNER: (_PARTNERS, "this shows each check with its remedy: sipmesh partner probe {name}"),
    PeerKind.CA: ({Cause.CRL_EXPIRED: _CRLS}, _CRLS),
}


def remedy_of(kind: PeerKind, code: str, name: str, by: str) -> str:
    """Return what mends *code* at *name*, as the server *by* has seen it."""
    known, otherwise = _TABLE[kind]
    return known.get(code, otherwise).format(name=name, by=by)
