"""Each grant is named with its role, the opposite change is no grant, and each key of the model has a rule."""

from __future__ import annotations

import base64
import re
import typing
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from cryptography import x509
from pydantic import BaseModel
from ruamel.yaml import YAML

from sipmesh.demo.forge import Forge
from sipmesh.topology.document.load import Loaded
from sipmesh.topology.document.model import Topology
from sipmesh.topology.document.operators.console_role import ConsoleRole
from sipmesh.topology.versions.grants import rules
from sipmesh.topology.versions.grants.key_changes import DEFAULT_HOME
from sipmesh.topology.versions.grants.rule import NoGrant, Rule
from sipmesh.topology.versions.grants.rules import RULES, grants, is_whole
from sipmesh.trust.authority import Authority
from sipmesh.trust.revocation.crl_set import RevocationLists
from support.checkout import ROOT
from topology.world import NOON, PARTNER_ENTRY, TOPOLOGY
from trust.ct import SigningLog

OFFICER, OPERATOR = ConsoleRole.SECURITY_OFFICER, ConsoleRole.OPERATOR
PAGE = ROOT / "docs/reference/grants.md"
FORGE = Forge(NOON)
MANAGED = TOPOLOGY.replace(
    "federation:\n", "  - {name: mgmt.example.test, role: management, servers: [mg1.example.test]}\nfederation:\n", 1
)
OURS = "authority: {anchors: [ca/root.pem], crls: [ca/root.crl, ca/issuing.crl]}"
PARTNER = PARTNER_ENTRY
THIRD = "      client_usage: server-ok\n"
FE3 = "servers: [fe3.example.test]"
SPEAKS = "speaks_for: [example.test]"
MG1 = "servers: [mg1.example.test]"
POOL1 = "  - name: pool1.example.test\n"
POOL2 = "  - name: pool2.example.test\n    role: front-end\n    servers: [fe3.example.test]\n"
FEDERATION = "federation:\n"
ADA = "{name: ada, role: operator, token_sha256: " + "a" * 64 + "}"
SCIM = f"scim: {{tokens: [{{name: entra, token_sha256: '{'0' * 64}'}}]}}"
OAUTH = "oauth: {issuer: 'https://id.example.test', audience: aud}"
REALM = "kerberos: {realm: CORP.TEST, keytab: secrets/p, domain: example.test}"
MACHINES = "kerberos: {realm: CORP.TEST, keytab: secrets/k, machines: [{principal: BOT1$@CORP.TEST, server: fe1.example.test}]}"
KERBEROS = "kerberos: {realm: CORP.TEST, keytab: secrets/k, roles: [{principal: ada@CORP.TEST, role: %s}]}"
OPENID = "openid: {issuer: 'https://id.example.test', client_id: c, roles: [{value: noc, role: %s}]}"


ROOTS: dict[str, x509.Certificate] = {}


def root(name: str) -> x509.Certificate:
    """The root in the file *name*, the same in each version."""
    return ROOTS.setdefault(name, FORGE.root(name).certificate)


def loaded(text: str, others: Mapping[str, str] = MappingProxyType({})) -> Loaded:
    """A document as it would be loaded; nothing checks whether its parts agree. *others*: files with another content."""
    topology = Topology.model_validate(YAML(typ="safe").load(text))

    def authority(name: str, files: tuple[str, ...]) -> Authority:
        return Authority(name, tuple(root(others.get(file, file)) for file in files), RevocationLists(()))

    partners = tuple(authority(one.name, one.anchors) for one in topology.federation.partners)
    own = authority(topology.organisation, topology.authority.anchors)
    return Loaded(Path("topology.yaml"), topology, "", own, partners)


def changed(*changes: tuple[str, str], text: str = MANAGED) -> str:
    for old, new in changes:
        assert text.count(old) == 1, f"{old!r} occurs {text.count(old)} times"
        text = text.replace(old, new)
    return text


def part(text: str) -> tuple[str, str]:
    """A part of the document, which it does not have."""
    return FEDERATION, f"{text}\n{FEDERATION}"


def console(more: str = "") -> tuple[str, str]:
    return part(f"console: {{listen: 8444{more}}}")


def invitations(more: str = "") -> tuple[str, str]:
    return part(f"invitations: {{listen: 8445{more}}}")


def acme(more: str = "") -> tuple[str, str]:
    return part(f"acme: {{directory: 'https://ca.test/dir'{more}}}")


def by_dns(**other: str) -> tuple[str, str]:
    keys = {"server": "192.0.2.53", "zone": "acme.test", "key_file": "secrets/tsig", **other}
    return acme(", dns: {" + ", ".join(f"{key}: {value}" for key, value in keys.items()) + "}")


def by_account(name: str, file: str = "secrets/a") -> tuple[str, str]:
    return acme(f", external_account: {{id: {name}, key_file: {file}}}")


DIRECTORY = (
    "kind: openldap, servers: [dc1.corp.test], bind: cn=a, password_file: secrets/d, base: dc=a, anchors: [partners/p.pem], "
    "crls: [partners/p.crl]"
)


def directory(more: str = "") -> tuple[str, str]:
    return part(f"directory: {{{DIRECTORY}{more}}}")


def found(old: str, new: str) -> list[tuple[str, ConsoleRole]]:
    return [(grant.key, grant.role) for grant in grants(loaded(old), loaded(new))]


TRUNK = "federation.partners.trunk"
BEFORE_PARTNERS = "federation:\n  route: sip.example.test\n  discovery: off\n  partners:\n"


def with_trunk(key: str) -> str:
    """The text before the partners, with two gateways, and with a trunk that has the *key*."""
    pools = "".join(
        f"  - {{name: gw{n}.example.test, role: gateway, servers: [gate{n}.example.test], next_hop: pool1.example.test, "
        "rtpengine: 2223}\n"
        for n in (1, 2)
    )
    keys = key if key.startswith("gateway") else f"gateway: gw1.example.test, {key}"
    entry = "    - {domains: [sbc.test], anchors: [partners/c/root.pem], crls: [partners/c/root.crl], third_party: true"
    return f"{pools}{BEFORE_PARTNERS}{entry}, trunk: {{{keys}}}}}\n"


def account(**other: str) -> str:
    """An account at a trunk."""
    keys = {"user": "alice", "realm": "a.test", "secret_file": "secrets/a", **other}
    return f"login: {{{', '.join(f'{key}: {value}' for key, value in keys.items())}}}"


def challenge(**other: str) -> str:
    """How a trunk without a certificate logs in."""
    keys = {"user": "alice", "secret_file": "secrets/a", "networks": "[192.0.2.0/24]", **other}
    told = ", ".join(f"{key}: {value}" for key, value in keys.items())
    return f"port: 5071, calls_per_second: 9, challenge: {{{told}}}"


def stir(**other: str) -> str:
    """How signatures of a trunk are verified."""
    keys = {"anchors": "[partners/c/root.pem]", "hosts": "[c.test]", **other}
    return f"stir: {{{', '.join(f'{key}: {value}' for key, value in keys.items())}}}"


SIGN = "{certificate: servers/a.pem, key: servers/a.key, url: 'https://c.test/c.pem'}"
SAME = ("# ours", "# the same")
KEYS = [base64.b64encode(SigningLog(name).spki).decode() for name in "AB"]
LOGS = "".join(f"    - {{operator: {name}, key: {key}}}\n" for name, key in zip("AB", KEYS, strict=True))
LOGGED = (FEDERATION, f"{FEDERATION}  ct_logs:\n{LOGS}")
STRICT = (THIRD, f"{THIRD}      ct: require\n")

GIVEN: list[tuple[tuple[str, str], tuple[str, str], list[tuple[str, ConsoleRole]]]] = [
    # what was there, what is there now, and the grants; the way back is below
    (SAME, ("[example.test]  #", "[example.test, example.org]  #"), [("sip_domains", OFFICER)]),
    (SAME, (OURS, OURS.replace("[ca/root.pem]", "[ca/root.pem, x.pem]")), [("authority.anchors", OFFICER)] * 2),
    (SAME, (OURS, OURS.replace("ca/issuing.crl", "x.crl")), [("authority.crls", OFFICER)]),
    (SAME, (OURS, OURS.replace("]}", "], grace: 1}")), [("authority.grace", OFFICER)]),
    (SAME, (OURS, OURS.replace("]}", "], revocation: ocsp}")), [("authority.revocation", OFFICER)]),
    (SAME, (FE3, "servers: [fe3.example.test, fe4.example.test]"), [("pools.servers", OPERATOR)]),
    (SAME, (MG1, "servers: [mg1.example.test, mg2.example.test]"), [("pools.servers", OFFICER)]),
    (
        SAME,
        ("  # never again\n", "    - {domains: [new.test], anchors: [partners/c/root.pem], crls: []}\n"),
        [("federation.partners", OFFICER)],
    ),
    (SAME, ("edge: sip.partner.test", "edge: sip2.partner.test"), [("federation.partners.edge", OFFICER)]),
    (
        SAME,
        ("anchors: [partners/b/root.pem]", "anchors: [partners/b/root.pem, partners/b/next.pem]"),
        [("federation.partners.anchors", OFFICER)] * 2,
    ),
    (
        SAME,
        ("[other.test, second.test]", "[other.test, third.test, second.test]"),
        [("federation.partners.domains", OFFICER)],
    ),
    (SAME, (THIRD, f"{THIRD}      third_party: true\n"), [("federation.partners.third_party", OFFICER)]),
    *(
        ((BEFORE_PARTNERS, with_trunk(before)), (BEFORE_PARTNERS, with_trunk(after)), [(f"{TRUNK}.{key}", OFFICER)])
        for key, before, after in (
            ("gateway", "", "gateway: gw2.example.test"),
            ("asserts", "asserts: ['+49']", "asserts: ['+49', '+43']"),
            ("carries", "carries: ['+49']", "carries: ['+49', '+43']"),
            ("keying", "", "keying: none"),
            ("emergency", "", "emergency: true"),
            ("main_number", "", "main_number: '+493012345'"),
            ("login.realm", account(), account(realm="other.test")),
            ("login.secret_file", account(), account(secret_file="secrets/b")),
            ("login.algorithm", account(), account(algorithm="MD5")),
            ("challenge.networks", challenge(), challenge(networks="[192.0.2.0/24, 198.51.100.0/24]")),
            ("challenge.secret_file", challenge(), challenge(secret_file="secrets/b")),
            ("challenge.algorithm", challenge(), challenge(algorithm="MD5")),
            ("stir.incoming", stir(), stir(incoming="require")),
            ("stir.anchors", stir(), stir(anchors="[partners/c/root.pem, partners/b/root.pem]")),
            ("stir.hosts", stir(), stir(hosts="[c.test, d.test]")),
            ("stir.crls", stir(), stir(crls="[partners/a.crl]")),
            ("stir.crl_hosts", stir(crl_hosts="[c.test]"), stir()),
            ("stir.sign.certificate", stir(sign=SIGN), stir(sign=SIGN.replace("a.pem", "b.pem"))),
            ("stir.sign.key", stir(sign=SIGN), stir(sign=SIGN.replace("a.key", "b.key"))),
        )
    ),
    (
        (BEFORE_PARTNERS, with_trunk("port: 5071, calls_per_second: 9")),
        (BEFORE_PARTNERS, with_trunk(challenge())),
        [(f"{TRUNK}.challenge.{key}", OFFICER) for key in ("secret_file", "networks")],
    ),
    (
        (BEFORE_PARTNERS, with_trunk("priority: 1")),
        (BEFORE_PARTNERS, with_trunk("priority: 1, host: a.test")),
        [(f"{TRUNK}.host", OFFICER)],
    ),
    (
        (BEFORE_PARTNERS, with_trunk("emergency: true")),
        (
            BEFORE_PARTNERS,
            with_trunk("emergency: true").replace(FEDERATION, f"numbers: {{emergency: ['112']}}\n{FEDERATION}"),
        ),
        [("numbers.emergency", OFFICER)],
    ),
    (SAME, (FEDERATION, f"numbers: {{per_user: {{calls: 2}}}}\n{FEDERATION}"), [("numbers.per_user.calls", OFFICER)]),
    ((FEDERATION, f"numbers: {{per_user: {{calls: 2}}}}\n{FEDERATION}"), SAME, [("numbers.per_user", OFFICER)]),
    (
        (BEFORE_PARTNERS, with_trunk(stir(incoming="require"))),
        (BEFORE_PARTNERS, with_trunk("ping: 60")),
        [(f"{TRUNK}.stir", OFFICER)],
    ),
    (
        (BEFORE_PARTNERS, with_trunk("ping: 60")),
        (BEFORE_PARTNERS, with_trunk("ping: 60").replace(", trunk: {gateway: gw1.example.test, ping: 60}", "")),
        [(TRUNK, OFFICER)],
    ),
    (
        SAME,
        (FEDERATION, f"numbers: {{per_user: {{minutes: 2}}}}\n{FEDERATION}"),
        [("numbers.per_user.minutes", OFFICER)],
    ),
    (
        SAME,
        (FEDERATION, f"numbers: {{per_user: {{countries: 2}}}}\n{FEDERATION}"),
        [("numbers.per_user.countries", OFFICER)],
    ),
    (SAME, (FEDERATION, f"numbers: {{time_zone: Europe/Berlin}}\n{FEDERATION}"), [("numbers.time_zone", OFFICER)]),
    (
        SAME,
        (FEDERATION, f"numbers: {{classes: [{{name: a, numbers: ['+1']}}]}}\n{FEDERATION}"),
        [("numbers.classes", OFFICER)],
    ),
    (
        SAME,
        (FEDERATION, f"sites: [a]\nnumbers: {{sites: [{{site: a, country: '33'}}]}}\n{FEDERATION}"),
        [("numbers.sites", OFFICER)],
    ),
    (
        SAME,
        (FEDERATION, f"numbers: {{extensions: [{{digits: 3, numbers: '+4930'}}]}}\n{FEDERATION}"),
        [("numbers.extensions", OFFICER)],
    ),
    (
        (
            BEFORE_PARTNERS,
            with_trunk("emergency: true").replace(FEDERATION, f"numbers: {{emergency: ['110']}}\n{FEDERATION}"),
        ),
        (
            BEFORE_PARTNERS,
            with_trunk("emergency: true").replace(
                FEDERATION,
                "numbers: {emergency: ['110'], emergency_services: [{service: sos.police, number: '110'}]}\n"
                + FEDERATION,
            ),
        ),
        [("numbers.emergency_services", OFFICER)],
    ),
    (
        (BEFORE_PARTNERS, with_trunk("carries: ['+']")),
        (
            BEFORE_PARTNERS,
            with_trunk("carries: ['+']").replace(
                FEDERATION, f"numbers: {{routes: [{{name: a, numbers: ['+'], trunks: [sbc.test]}}]}}\n{FEDERATION}"
            ),
        ),
        [("numbers.routes", OFFICER)],
    ),
    (SAME, (THIRD, f"{THIRD}      grace: 48\n"), [("federation.partners.grace", OFFICER)]),
    (SAME, (THIRD, f"{THIRD}      media: any\n"), [("federation.partners.media", OFFICER)]),
    (SAME, (THIRD, f"{THIRD}      revocation: both\n"), [("federation.partners.revocation", OFFICER)]),
    (SAME, (THIRD, f"{THIRD}      crl_hosts: [crl.other.test]\n"), [("federation.partners.crl_hosts", OFFICER)]),
    (SAME, (THIRD, f"{THIRD}      ocsp: ['http://ocsp.other.test']\n"), [("federation.partners.ocsp", OFFICER)]),
    (
        SAME,
        ("crls: [partners/c/root.crl, partners/c/issuing.crl]", "crls: [partners/c/root.crl]"),
        [("federation.partners.crls", OFFICER)],
    ),
    (
        SAME,
        ("anchors: [partners/c/root.pem]", "anchors: [partners/c/root.pem, partners/c/two.pem]"),
        [("federation.partners.anchors", OFFICER)] * 2,
    ),
    (
        SAME,
        ("blocked: [evil.test]", "blocked: [evil.test]\n  networks: [10.0.0.0/8]"),
        [("federation.networks", OFFICER)],
    ),
    (SAME, ("blocked: [evil.test]", "blocked: []"), [("federation.blocked", OFFICER)]),
    (SAME, ("  route: sip.example.test\n", ""), []),
    (("  route: sip.example.test\n", ""), SAME, [("federation.route", OFFICER)]),
    (SAME, part("media: any"), [("media.default", OFFICER)]),
    (SAME, part("media: {domains: {example.test: encrypted}}"), [("media.domains", OFFICER)]),
    (SAME, part("call_rules: [{ring_s: 30}]"), [("call_rules", OFFICER)]),
    (SAME, part("presence: {partners: allow}"), [("presence.partners", OFFICER)]),
    (SAME, part("presence: {partners: polite-block}"), []),
    (part("presence: {inside: block}"), SAME, [("presence.inside", OFFICER)]),
    (SAME, part("user_search: 'off'"), []),
    (part("user_search: 'off'"), part("user_search: pool"), [("user_search", OFFICER)]),
    (part("user_search: pool"), part("user_search: domain"), [("user_search", OFFICER)]),
    (SAME, part("files: {}"), [("files", OFFICER)]),
    (part("files: {days: 7}"), part("files: {days: 8}"), [("files.days", OFFICER)]),
    (part("files: {days: 7}"), part("files: {days: 6}"), []),
    (part("files: {user_mb: 200}"), part("files: {user_mb: 300}"), []),
    (part("files: {}"), SAME, []),
    (SAME, part("history: {days: 30}"), [("history", OFFICER)]),
    (part("history: {days: 30}"), part("history: {days: 31}"), [("history", OFFICER)]),
    (part("history: {days: 30}"), part("history: {days: 0}"), []),
    (part("history: {days: 30}"), SAME, []),
    (SAME, part("call_records: {days: 30}"), [("call_records", OFFICER)]),
    (part("call_records: {days: 30}"), part("call_records: {days: 31}"), [("call_records.days", OFFICER)]),
    (part("call_records: {days: 30}"), part("call_records: {days: 29}"), []),
    (part("call_records: {}"), part("call_records: {syslog: local}"), [("call_records.syslog", OFFICER)]),
    (part("call_records: {}"), part("call_records: {hook: 'https://a.test/'}"), [("call_records.hook", OFFICER)]),
    (part("call_records: {hook: 'https://a.test/'}"), part("call_records: {}"), []),
    (part("call_records: {}"), part("call_records: {otlp: 'https://a.test/'}"), [("call_records.otlp", OFFICER)]),
    (part("call_records: {otlp: 'https://a.test/'}"), part("call_records: {}"), []),
    (part("call_records: {}"), part("call_records: {anchors: [anchors/a.pem]}"), [("call_records.anchors", OFFICER)]),
    (part("call_records: {days: 30}"), SAME, []),
    (SAME, part("dns: {servers: [192.0.2.53]}"), [("dns", OFFICER)]),
    (part("dns: {servers: [192.0.2.53]}"), SAME, [("dns", OFFICER)]),
    (SAME, part("websocket: {}"), [("websocket", OPERATOR)]),
    (part("websocket: {}"), part("websocket: {origins: ['https://evil.test']}"), [("websocket.origins", OFFICER)]),
    (
        SAME,
        part("turn: {servers: ['turn:turn.example.test'], secret_file: s/turn}"),
        [("turn.servers", OFFICER), ("turn.secret_file", OFFICER)],
    ),
    (SAME, part("messages: {lifetime_days: 30}"), [("messages.lifetime_days", OPERATOR)]),
    (part("messages: {per_user: 0}"), SAME, [("messages.per_user", OPERATOR)]),
    (SAME, part("storage: {users: 'sqlite:///u.db'}"), [("storage.users", OFFICER)]),
    (SAME, part("storage: {bindings: state/other.db}"), [("storage.bindings", OFFICER)]),
    (SAME, part("storage: {messages: 'sqlite:///m.db'}"), [("storage.messages", OFFICER)]),
    (SAME, part("storage: {calls: 'sqlite:///c.db'}"), [("storage.calls", OFFICER)]),
    (SAME, part("storage: {management: 'postgresql+psycopg://db/m'}"), [("storage.management", OFFICER)]),
    (SAME, part("storage: {valkey: {password_file: s/x}}"), [("storage.valkey", OFFICER)]),
    (
        part("turn: {servers: ['turn:t.example.test'], secret_file: s/turn}"),
        part("turn: {servers: ['turn:t.example.test'], secret_file: s/turn, lifetime_s: 9000}"),
        [("turn.lifetime_s", OPERATOR)],
    ),
    (
        SAME,
        ("    next_hop: pool1.example.test\n    speaks_for", "    next_hop: pool2.example.test\n    speaks_for"),
        [("pools.next_hop", OFFICER)],
    ),
    (SAME, (OURS, OURS.replace("]}", "], crl_hosts: [crl.test]}")), [("authority.crl_hosts", OFFICER)]),
    (SAME, (OURS, OURS.replace("]}", "], devices: [ca/devices.pem]}")), [("authority.devices", OFFICER)]),
    (SAME, (OURS, OURS.replace("]}", "], ocsp: ['http://ocsp.test']}")), [("authority.ocsp", OFFICER)]),
    (SAME, console(), [("console.listen", OFFICER)]),
    (console(), part("console: {listen: '192.0.2.1:8444'}"), [("console.listen", OFFICER)]),
    (console(), console(f", operators: [{ADA}]"), [("console.operators", OFFICER)]),
    (
        console(f", operators: [{ADA.replace('operator', 'viewer')}]"),
        console(f", operators: [{ADA}]"),
        [("console.operators", OFFICER)],
    ),
    (
        console(f", operators: [{ADA}]"),
        console(f", operators: [{ADA.replace('a' * 64, 'b' * 64)}]"),
        [("console.operators.token_sha256", OFFICER)],
    ),
    (console(), console(", client_certificates: true"), [("console.client_certificates", OFFICER)]),
    (console(), console(", enrolment: {protocols: [est]}"), [("console.enrolment.protocols", OFFICER)]),
    (
        console(", enrolment: {protocols: [acme]}"),
        console(", enrolment: {protocols: [acme], http_port: 8080}"),
        [("console.enrolment.http_port", OFFICER)],
    ),
    (
        console(", enrolment: {protocols: [acme]}"),
        console(", enrolment: {protocols: [acme], tls_alpn_port: 8443}"),
        [("console.enrolment.tls_alpn_port", OFFICER)],
    ),
    (console(), console(f", {OPENID % 'viewer'}"), [("console.openid", OFFICER)]),
    (
        console(", enrolment: {protocols: [est]}"),
        console(f", enrolment: {{protocols: [est], {MACHINES}}}"),
        [("console.enrolment.kerberos", OFFICER)],
    ),
    (console(), console(f", {KERBEROS % 'viewer'}"), [("console.kerberos", OFFICER)]),
    (console(f", {KERBEROS % 'viewer'}"), console(f", {KERBEROS % 'operator'}"), [("console.kerberos", OFFICER)]),
    (console(f", {OPENID % 'viewer'}"), console(f", {OPENID % 'operator'}"), [("console.openid", OFFICER)]),
    (SAME, acme(), [("acme.directory", OFFICER)]),
    (acme(), acme(", anchors: [anchors/a.pem]"), [("acme.anchors", OFFICER)]),
    (acme(), acme(", bind: 192.0.2.1"), [("acme.bind", OFFICER)]),
    (acme(), acme(", port: 8080"), [("acme.port", OFFICER)]),
    (by_dns(), by_dns(server="192.0.2.54"), [("acme.dns.server", OFFICER)]),
    (by_dns(), by_dns(zone="example.test"), [("acme.dns.zone", OFFICER)]),
    (by_dns(), by_dns(key_file="secrets/other"), [("acme.dns.key_file", OFFICER)]),
    (by_account("a"), by_account("b"), [("acme.external_account.id", OFFICER)]),
    (by_account("a"), by_account("a", "secrets/b"), [("acme.external_account.key_file", OFFICER)]),
    (SAME, part(OAUTH), [("oauth", OFFICER)]),
    (part(OAUTH), part(OAUTH.replace(": aud", ": sip")), [("oauth", OFFICER)]),
    (SAME, invitations(), [("invitations.listen", OFFICER)]),
    (invitations(), part("invitations: {listen: '192.0.2.1:8445'}"), [("invitations.listen", OFFICER)]),
    (invitations(), invitations(", name: join.example.test"), [("invitations.name", OFFICER)]),
    (invitations(), invitations(", port: 443"), [("invitations.port", OFFICER)]),
    (invitations(), invitations(", certificate: servers/join.pem"), [("invitations.certificate", OFFICER)]),
    (invitations(), invitations(", key: servers/join.key"), [("invitations.key", OFFICER)]),
    (invitations(), invitations(", portal: {links: true}"), [("invitations.portal", OFFICER)]),
    (invitations(", portal: {links: true}"), invitations(f", portal: {{{REALM}}}"), [("invitations.portal", OFFICER)]),
    (SAME, part(SCIM), [("scim", OFFICER)]),
    (part(SCIM), part(SCIM.replace("'0", "'1")), [("scim", OFFICER)]),
    (part(SCIM), part(SCIM.replace("scim: {", "scim: {most_loss: 90, ")), [("scim", OFFICER)]),
    (SAME, directory(), [("directory", OFFICER)]),
    (directory(), directory(", most_loss: 100"), [("directory", OFFICER)]),
    (directory(), directory(", filter: (uid=*)"), [("directory", OFFICER)]),
    (SAME, ("speaks_for: [example.test]", "speaks_for: []"), []),
    (("speaks_for: [example.test]", "speaks_for: []"), SAME, [("pools.speaks_for", OFFICER)]),
    (SAME, (SPEAKS, f"{SPEAKS}\n    sip_addresses: [a@example.test]"), [("pools.sip_addresses", OFFICER)]),
    (SAME, (SPEAKS, f"{SPEAKS}\n    numbers: ['+4930']"), [("pools.numbers", OFFICER)]),
    (
        (SPEAKS, f"{SPEAKS}\n    numbers: ['+4930']"),
        (SPEAKS, f"{SPEAKS}\n    numbers: ['+4930']\n    public: true"),
        [("pools.public", OFFICER)],
    ),
    (SAME, (SPEAKS, f"{SPEAKS}\n    screens: [example.test]"), [("pools.screens", OFFICER)]),
    ((SPEAKS, f"{SPEAKS}\n    screens: [example.test]"), SAME, [("pools.screens", OFFICER)]),
    (
        (SPEAKS, f"{SPEAKS}\n    screens: [example.test]"),
        (SPEAKS, f"{SPEAKS}\n    screens: [example.test]\n    if_away: pass"),
        [("pools.if_away", OFFICER)],
    ),
    (SAME, (FE3, f"{FE3}\n    rtpengine: 2223"), [("pools.rtpengine", OFFICER)]),
    (SAME, (FE3, f"{FE3}\n    backup_pool: pool1.example.test"), [("pools.backup_pool", OFFICER)]),
    (SAME, ("internal_name: edge-int", "internal_name: other-int"), [("pools.internal_name", OFFICER)]),
    (
        (FE3, f"{FE3}\n    backup_pool: pool1.example.test"),
        (FE3, f"{FE3}\n    backup_pool: pool1.example.test\n    takeover_after: 5"),
        [("pools.takeover_after", OPERATOR)],
    ),
    (SAME, (FE3, f"{FE3}\n    storage: {{bindings: s/b.db}}"), [("pools.storage", OFFICER)]),
    (SAME, (FE3, f"{FE3}\n    history: {{days: 7}}"), [("pools.history", OFFICER)]),
    ((FE3, f"{FE3}\n    history: {{days: 7}}"), (FE3, f"{FE3}\n    history: {{days: 6}}"), []),
    ((FE3, f"{FE3}\n    history: {{days: 7}}"), SAME, [("pools.history", OFFICER)]),
    (
        SAME,
        ("internal_name: edge-int", "remote_users: true\n    internal_name: edge-int"),
        [("pools.remote_users", OPERATOR)],
    ),
    (SAME, (FE3, "servers: [{name: fe3.example.test, key: s/x.key}]"), [("pools.servers.key", OFFICER)]),
    (
        SAME,
        (FE3, "servers: [{name: fe3.example.test, certificate: s/x.pem}]"),
        [("pools.servers.certificate", OFFICER)],
    ),
    (SAME, (FE3, "servers: [{name: fe3.example.test, metrics: 9100}]"), [("pools.servers.metrics", OPERATOR)]),
    (
        (FE3, "servers: [{name: fe3.example.test, metrics: 9100, metrics_tls: true}]"),
        (FE3, "servers: [{name: fe3.example.test, metrics: 9100}]"),
        [("pools.servers.metrics_tls", OPERATOR)],
    ),
    (SAME, (FE3, "servers: [{name: fe3.example.test, client_auth: either}]"), [("pools.servers.client_auth", OFFICER)]),
    (
        SAME,
        (MG1, "servers: [{name: mg1.example.test, publish_lists: 9180}]"),
        [("pools.servers.publish_lists", OPERATOR)],
    ),
    (
        SAME,
        (FE3, "servers: [{name: fe3.example.test, client_certificates: [{certificate: a.pem, key: a.key}]}]"),
        [("pools.servers.client_certificates", OFFICER)],
    ),
    (
        SAME,
        (
            "servers: [edge1.example.test]",
            "servers: [{name: edge1.example.test, outside: {certificate: o.pem, key: o.key}}]",
        ),
        [("pools.servers.outside.certificate", OFFICER), ("pools.servers.outside.key", OFFICER)],
    ),
    (
        SAME,
        (
            "servers: [edge1.example.test]",
            "servers: [{name: edge1.example.test, outside: {partners: [{partner: a.test, certificate: c, key: k}]}}]",
        ),
        [("pools.servers.outside.partners", OFFICER)],
    ),
    (SAME, (MG1, "servers: [{name: mg1.example.test, address: 192.0.2.7}]"), [("pools.servers.address", OFFICER)]),
    (SAME, (FE3, "servers: [{name: fe3.example.test, address: 192.0.2.7}]"), []),
    (
        SAME,
        (POOL2, f"{POOL2}  - {{name: pool3.example.test, role: front-end, servers: [fe9.example.test]}}\n"),
        [("pools", OPERATOR)],
    ),
    (
        SAME,
        (
            POOL2,
            f"{POOL2}  - {{name: b.example.test, role: application, servers: [b.example.test], next_hop: pool1.example.test}}\n",
        ),
        [("pools", OFFICER)],
    ),
    (
        SAME,
        (POOL1, f"  - {{name: pool0.example.test, role: front-end, servers: [fe9.example.test]}}\n{POOL1}"),
        [("pools", OPERATOR), (DEFAULT_HOME, OFFICER)],
    ),
    (
        SAME,
        (POOL2, POOL2.replace("pool2", "pool9")),
        [("pools.name", OFFICER)],
    ),
    (SAME, (PARTNER, PARTNER.replace("sip.partner", "sip.partner").replace("}\n", ", identity: sign}\n")), []),
    (
        (PARTNER, PARTNER.replace("}\n", ", identity: required}\n")),
        (PARTNER, PARTNER.replace("}\n", ", identity: sign}\n")),
        [("federation.partners.identity", OFFICER)],
    ),
    ((THIRD, ""), SAME, [("federation.partners.client_usage", OFFICER)]),
    (SAME, LOGGED, [("federation.ct_logs", OFFICER)] * 2),
    (STRICT, SAME, [("federation.partners.ct", OFFICER)]),
    ((THIRD, f"{THIRD}      dane: check\n"), SAME, [("federation.partners.dane", OFFICER)]),
]


@pytest.mark.parametrize(("old", "new", "keys"), GIVEN)
def test_each_change_that_gives_more_is_a_grant_with_its_role(
    old: tuple[str, str], new: tuple[str, str], keys: list[tuple[str, ConsoleRole]]
) -> None:
    assert found(changed(old), changed(new)) == keys


def test_each_rule_is_tried() -> None:
    """One way only: `discovery` has one value, and the tests beside this one have what takes more than one change."""
    tried = {key for _old, _new, keys in GIVEN for key, _role in keys}
    ruled = {key for key, each in RULES.items() if any(isinstance(rule, Rule) for rule in each)}
    assert ruled - tried == {"federation.discovery", "approvals", "pools.site"}


@pytest.mark.parametrize(
    ("numbers", "keys"),
    [
        ("", []),
        ("numbers: {sites: [{site: a, country: '33'}]}\n", [("pools.site", OFFICER)]),
        ("numbers: {routes: [{name: r, numbers: ['+4'], trunks: [t.test], sites: [a]}]}\n", [("pools.site", OFFICER)]),
        ("numbers: {routes: [{name: r, numbers: ['+4'], trunks: [t.test]}]}\n", []),
    ],
)
def test_site_of_a_pool_is_a_grant_where_calls_depend_on_it(numbers: str, keys: list[tuple[str, ConsoleRole]]) -> None:
    general = (FEDERATION, f"sites: [a, b]\n{numbers}{FEDERATION}")
    at_a, at_b = ((POOL2, f"{POOL2}    site: {site}\n") for site in "ab")
    assert found(changed(general, at_a), changed(general, at_b)) == keys
    assert found(changed(general), changed(general, at_b)) == keys


BOSS = ADA.replace("operator", "security-officer")


@pytest.mark.parametrize(
    "after", [console(), console(f", operators: [{ADA}]"), SAME], ids=["gone", "lower", "no-console"]
)
def test_an_operator_cannot_remove_a_security_officer(after: tuple[str, str]) -> None:
    """No operator would be left who may take it back."""
    new = found(changed(console(f", operators: [{BOSS}]")), changed(after))
    assert new == [("console.operators", OFFICER)]


TAKEN: list[tuple[tuple[str, str], tuple[str, str]]] = [
    (("[example.test]  #", "[example.test, example.org]  #"), SAME),
    (SAME, (PARTNER, "")),
    (SAME, ("blocked: [evil.test]", "blocked: [evil.test, bad.test]")),
    (part("media: any"), SAME),
    (part("presence: {partners: allow}"), SAME),
    (console(f", operators: [{ADA}]"), console()),
    (console(f", operators: [{ADA}]"), console(f", operators: [{ADA.replace('operator', 'viewer')}]")),
    (console(", client_certificates: true"), console()),
    (console(", enrolment: {protocols: [est, acme]}"), console(", enrolment: {protocols: [est]}")),
    (console(f", {OPENID % 'viewer'}"), console()),
    (console(), SAME),
    (invitations(), SAME),
    (invitations(", portal: {links: true}"), invitations()),
    (part(OAUTH), SAME),
    (acme(), SAME),
    (acme(), acme(", challenge: dns-01, contacts: ['mailto:a@example.test']")),
    (directory(), SAME),
    (part("websocket: {origins: ['https://a.test']}"), SAME),
    (part("turn: {servers: ['turn:t.example.test'], secret_file: s/turn}"), SAME),
    (SAME, (THIRD, "")),
    ((THIRD, f"{THIRD}      media: any\n"), SAME),
    ((THIRD, f"{THIRD}      grace: 48\n"), SAME),
    ((FE3, f"{FE3}\n    backup_pool: pool1.example.test"), SAME),
    ((FE3, "servers: [fe3.example.test, fe4.example.test]"), SAME),
    (SAME, part("dane: true")),
    (SAME, part("post_quantum: true")),
    (SAME, part("sites: [berlin]")),
]


@pytest.mark.parametrize(("old", "new"), TAKEN)
def test_change_that_takes_away_is_no_grant(old: tuple[str, str], new: tuple[str, str]) -> None:
    assert found(changed(old), changed(new)) == []


def test_approvals_are_a_grant_in_each_direction_of_change() -> None:
    operators = ", ".join(f"{{name: o{n}, key: ssh-ed25519 AAAA{n}}}" for n in range(2))
    on, less = (part(f"approvals: {{publish: {count}, operators: [{operators}]}}") for count in (2, 1))
    for old, new in ((SAME, on), (on, less), (on, SAME)):
        assert found(changed(old), changed(new)) == [("approvals", OFFICER)]


@pytest.mark.parametrize(
    ("file", "key"), [("ca/root.pem", "authority"), ("partners/b/root.pem", "federation.partners")]
)
def test_another_root_under_the_same_file_name_is_a_grant(file: str, key: str) -> None:
    """The name of a file says nothing: the certificates in it count."""
    [grant] = grants(loaded(MANAGED), loaded(MANAGED, {file: "another"}))
    assert (grant.key, grant.role) == (f"{key}.anchors", OFFICER)


# Closed by construction: each key of the model has a rule


def _parts_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in typing.get_args(annotation):
        yield from _parts_in(argument)


def keys_of(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """Every key of the model that no rule of a whole part covers, and that part itself."""
    for name, field in model.model_fields.items():
        key = f"{prefix}{name}"
        yield key
        for inner in () if is_whole(key) else _parts_in(field.annotation):
            yield from keys_of(inner, f"{key}.")


def test_each_key_of_the_model_has_a_rule_and_each_rule_a_key() -> None:
    keys = set(keys_of(Topology))
    assert len(keys) > 80, "the walk reaches the servers and the partners"
    assert keys - RULES.keys() == set(), "write into grants/rules.py whether a change of this key gives somebody more"
    assert RULES.keys() - keys == {DEFAULT_HOME}


def test_walk_finds_a_key_that_was_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(typing.cast("dict[str, Any]", RULES), "pools.servers.workers")
    assert set(keys_of(Topology)) - RULES.keys() == {"pools.servers.workers"}


def test_change_of_a_key_without_a_rule_needs_a_security_officer(monkeypatch: pytest.MonkeyPatch) -> None:
    old, new = changed(SAME), changed((FE3, "servers: [{name: fe3.example.test, workers: 2}]"))
    assert found(old, new) == []
    monkeypatch.delitem(typing.cast("dict[str, Any]", rules.RULES), "pools.servers.workers")
    assert found(old, new) == [("pools.servers.workers", OFFICER)]


# The page


def row(key: str, rule: Rule | NoGrant) -> str:
    if isinstance(rule, NoGrant):
        return f"| `{key}` | {rule.why} |"
    return f"| `{key}` | {rule.when} | {rule.gain} | {rule.whom} | {rule.role} |"


def test_page_has_each_rule_and_no_other() -> None:
    page = PAGE.read_text()
    wanted = [row(key, rule) for key, each in RULES.items() for rule in each]
    there = re.findall(r"^\| `.*\|$", page, re.MULTILINE)
    assert sorted(there) == sorted(wanted)
