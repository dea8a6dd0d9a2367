"""The difference between two topologies is listed by meaning, and is complete."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from sipmesh.demo.forge import Forge
from sipmesh.topology.document.load import Loaded
from sipmesh.topology.document.model import Topology
from sipmesh.topology.document.parts.federation import Federation, Partner
from sipmesh.topology.document.parts.pool import Pool
from sipmesh.topology.document.parts.server import Outside, Server
from sipmesh.topology.document.parts.stores import PoolStorage, Storage, Valkey
from sipmesh.topology.versions.difference import _TOPOLOGY, difference
from sipmesh.topology.versions.load_published import load_published
from sipmesh.topology.versions.part_changes.partner_changes import _FEDERATION, _PARTNER
from sipmesh.topology.versions.part_changes.pool_changes import _POOL, _SERVER, _SIDE
from sipmesh.topology.versions.part_changes.storage_changes import _POOL_STORAGE, _POOL_VALKEY, _STORAGE, _VALKEY
from sipmesh.trust.authority import Authority
from sipmesh.trust.revocation.crl_set import RevocationLists
from support.tiers import wide_unless
from topology.changed_text import told
from topology.world import Place, published
from trust.ct import SigningLog

FORGE = Forge(datetime(2026, 11, 24, 12, tzinfo=UTC))
ROOTS = {name: FORGE.root(name).certificate for name in ("ours", "partner", "other", "spare")}


def test_equal_topologies_have_no_difference(place: Place) -> None:
    """Comments, quotes, and a server in full where its name would do."""
    assert told(place) == []
    same = (("# our oldest friend", "# still"), ("servers: [fe3.example.test]", "servers: [{name: FE3.example.test}]"))
    assert told(place, *same) == []


@pytest.mark.parametrize(
    ("old", "new", "lines"),
    [
        (
            "servers: [fe3.example.test]",
            "servers: [fe3.example.test, {name: fe4.example.test, address: 192.0.2.4, machine: fe3.example.test}]",
            ["server fe4.example.test is added to pool2.example.test at 192.0.2.4"],
        ),
        (
            "      - {name: fe2.example.test, address: 127.0.0.2}\n",
            "",
            ["server fe2.example.test is removed from pool1.example.test"],
        ),
        (
            "address: 127.0.0.2",
            "address: 127.0.0.3",
            ["fe2.example.test's address changes from 127.0.0.2 to 127.0.0.3"],
        ),
        (
            ", address: 127.0.0.2",
            ", machine: loopback",
            [
                "fe2.example.test's address changes from 127.0.0.2 to the DNS entry",
                "fe2.example.test's machine changes from that of its address to loopback",
            ],
        ),
        (
            ", address: 127.0.0.2",
            ", address: 127.0.0.2, client_certificates: [{certificate: servers/p.pem, key: servers/p.key}]",
            [
                (
                    "fe2.example.test's list of certificates for clients changes from none to "
                    "certificate servers/p.pem, key servers/p.key"
                )
            ],
        ),
        (
            "client: 5061",
            "client: 5071",
            ["fe1.example.test's client port changes from 5061 to 5071"],
        ),
        (
            "servers: [edge1.example.test]",
            "servers: [{name: edge1.example.test, outside: {bind: 192.0.2.1}}]",
            ["the outside of edge1.example.test changes from no outside address to bind 192.0.2.1"],
        ),
        (
            "sip_domains: [example.test]",
            "sip_domains: [example.test, example.org]",
            ["example.org is added to our SIP domains"],
        ),
        (
            "sip_domains: [example.test]",
            "sites: [berlin]\nsip_domains: [example.test]",
            ["site berlin is added"],
        ),
        (
            "organisation: Example",
            "organisation: Sample",
            ["the organisation changes its name from Example to Sample"],
        ),
        (
            "speaks_for: [example.test]",
            "speaks_for: []",
            ["pool bot.example.test may no longer speak for the users of example.test"],
        ),
        (
            "internal_name: edge-int.example.test",
            "internal_name: inside.example.test",
            ["pool sip.example.test's inside name changes from edge-int.example.test to inside.example.test"],
        ),
        (
            "internal_name: edge-int.example.test",
            "internal_name: edge-int.example.test\n    remote_users: true",
            ["pool sip.example.test has a client port for remote users"],
        ),
        ("blocked: [evil.test]", "blocked: [evil.test, bad.test]", ["bad.test is blocked"]),
        ("blocked: [evil.test]", "blocked: []", ["evil.test is no longer blocked"]),
        (
            "edge: sip.partner.test",
            "edge: sip2.partner.test:5071",
            ["partner partner.test's edge changes from sip.partner.test to sip2.partner.test:5071"],
        ),
        (
            "edge: sip.partner.test, ",
            "",
            ["partner partner.test's edge changes from sip.partner.test to DNS SRV"],
        ),
        (
            "edge: sip.partner.test",
            "edge: sip.partner.test, address: 192.0.2.9",
            ["partner partner.test's address changes from DNS to 192.0.2.9"],
        ),
        (
            "      client_usage: server-ok\n",
            "      client_usage: server-ok\n      identity: required\n",
            ["partner other.test's signatures of calls changes from none to required"],
        ),
        (
            "      client_usage: server-ok\n",
            "      client_usage: server-ok\n      media: any\n",
            ["partner other.test's media changes from those of our users to any"],
        ),
        (
            "      client_usage: server-ok\n",
            "",
            ["partner other.test must now connect with a certificate for clientAuth"],
        ),
        (
            "      client_usage: server-ok\n",
            "      client_usage: server-ok\n      third_party: true\n",
            [
                (
                    "the CA of partner other.test is now declared to issue for other organisations also, so that only the name "
                    "identifies it"
                )
            ],
        ),
        (
            "domains: [other.test, second.test]",
            "domains: [other.test, third.test]",
            [
                "partner other.test may no longer connect as second.test",
                "partner other.test may now connect as third.test",
            ],
        ),
        (
            "domains: [other.test, second.test]",
            "domains: [second.test, other.test]",
            [
                "partner other.test is now called second.test",
                "the order of the domains of partner second.test changes to second.test, other.test",
            ],
        ),
        (
            "crls: [partners/c/root.crl, partners/c/issuing.crl]",
            "crls: [partners/c/root.crl]",
            ["the CRL partners/c/issuing.crl of partner other.test is removed"],
        ),
        (
            "crls: [partners/c/root.crl, partners/c/issuing.crl]",
            "crls: [partners/c/root.crl, 'http://crl.other.test/i']",
            [
                "the CRL partners/c/issuing.crl of partner other.test is removed",
                "the CRL http://crl.other.test/i of partner other.test is added",
            ],
        ),
        (
            "crls: [partners/c/root.crl, partners/c/issuing.crl]",
            (
                "crls: [partners/c/root.crl, partners/c/issuing.crl]\n"
                "      ocsp: ['http://ocsp.other.test/']\n      revocation: both"
            ),
            [
                "the OCSP responder http://ocsp.other.test/ of partner other.test is added",
                "certificates of partner other.test now need a CRL and an OCSP response instead of a CRL",
            ],
        ),
        (
            "crls: [partners/c/root.crl, partners/c/issuing.crl]",
            "crls: [partners/c/root.crl, partners/c/issuing.crl]\n      grace: 48",
            ["the grace hours after nextUpdate for CRLs of partner other.test change from the default to 48"],
        ),
        (
            "federation:\n",
            "dns: {servers: [192.0.2.53]}\nfederation:\n",
            ["the list of DNS servers to ask changes from the machine's own to 192.0.2.53"],
        ),
        (
            "federation:\n",
            "websocket: {}\nfederation:\n",
            ["front ends listen for WebSocket, and pages at https of each SIP domain may connect"],
        ),
        (
            "federation:\n",
            "websocket: {origins: ['http://localhost:8080']}\nfederation:\n",
            ["front ends listen for WebSocket, and pages of http://localhost:8080 may connect"],
        ),
        (
            "federation:\n",
            "websocket: {phone: true}\nfederation:\n",
            [
                "front ends listen for WebSocket, and pages at https of each SIP domain may connect. They serve the web phone",
            ],
        ),
        (
            "federation:\n",
            "storage: {bindings: state/b.db}\nfederation:\n",
            ["the store of the bindings changes from state/bindings.db to state/b.db"],
        ),
        (
            "federation:\n",
            "messages: {per_user: 0}\nfederation:\n",
            ["the number of messages that are stored for one user changes from 200 to 0"],
        ),
    ],
)
def test_each_change_has_its_own_words(place: Place, old: str, new: str, lines: list[str]) -> None:
    assert told(place, (old, new)) == lines


def of_an_earlier_release(place: Place, url: str) -> Loaded:
    """A version whose URL of the users no draft may have any more."""
    made = published(place)
    text = made.topology.replace("federation:\n", f"storage: {{users: '{url}'}}\nfederation:\n")
    return load_published(replace(made, topology=text), place.file.parent)


@pytest.mark.parametrize(
    ("url", "line"),
    [
        ("postgresql+psycopg://me:one@db/x", "postgresql+psycopg://me:***@db/x"),
        (
            "postgresql+psycopg://me@db/x?sslmode=off&password=one",
            "postgresql+psycopg://me@db/x?sslmode=off&password=***",
        ),
        ("postgresql+psycopg://me:o/n@e@db/x", "postgresql+psycopg://me:***@db/x"),
        ("postgresql+psycopg://db/x", "postgresql+psycopg://db/x"),
    ],
)
def test_password_is_never_shown(place: Place, url: str, line: str) -> None:
    (change,) = difference(place.load(), of_an_earlier_release(place, url))
    assert change == f"the database of the users changes from sqlite:///users.db to {line}"


def test_another_password_is_a_change(place: Place) -> None:
    one, two = (of_an_earlier_release(place, f"postgresql://me:{word}@db/x") for word in ("hunter2", "hunter3"))
    assert difference(one, two) == ["the database of the users is opened with another password"]


# Nothing goes unsaid: every place in the model gets other values.

SERVER = {"name": "fe1.example.test", "address": "192.0.2.1", "ports": {"client": 5061}, "metrics": "127.0.0.1:9105"}
SIDE: dict[str, object] = {"address": "192.0.2.9", "certificate": "o.pem", "key": "o.key"}
SIDE |= {"partners": [{"partner": "partner.test", "certificate": "p.pem", "key": "p.key"}]}
RICH = {
    "sipmesh": 1,
    "organisation": "Example",
    "sip_domains": ["example.test", "example.org"],
    "authority": {"anchors": ["ours.pem"], "crls": ["a.crl", "b.crl"]},
    "pools": [
        {
            "name": "pool1.example.test",
            "role": "front-end",
            "servers": [SERVER, "fe2.example.test"],
            "backup_pool": "pool2.example.test",
            "takeover_after": 30,
            "history": {"days": 7},
        },
        {
            "name": "pool2.example.test",
            "role": "front-end",
            "servers": ["fe3.example.test"],
            "storage": {
                "bindings": "valkeys://store.example.test",
                "valkey": {"user": "pool2", "password_file": "s/pool2", "anchors": ["s/ca.pem"], "sentinel": "main"},
            },
        },
        {
            "name": "sip.example.test",
            "role": "edge",
            "servers": [{"name": "edge1.example.test", "outside": SIDE, "ports": {"partner": 5061}}],
            "internal_name": "in.example.test",
            "remote_users": True,
            "next_hop": "pool1.example.test",
        },
        {
            "name": "bot.example.test",
            "role": "application",
            "servers": [{"name": "bot1.example.test", "certificate": "b.pem", "key": "b.key", "bind": "192.0.2.5"}],
            "next_hop": "pool1.example.test",
            "speaks_for": ["example.test", "example.org"],
        },
    ],
    "federation": {
        "route": "sip.example.test",
        "partners": [
            {"domains": ["partner.test"], "edge": "sip.partner.test", "anchors": ["partner.pem"], "crls": ["c.crl"]},
            {
                "domains": ["other.test", "second.test"],
                "anchors": ["other.pem", "spare.pem"],
                "crls": ["d.crl", "http://crl.other.test/e.crl"],
                "ocsp": ["http://ocsp.other.test", "http://ocsp2.other.test"],
                "revocation": "both",
                "grace": 12,
                "client_usage": "server-ok",
                "media": "any",
                "identity": "verify",
                "third_party": True,
            },
        ],
        "networks": ["10.0.0.0/8", "fd00::/8"],
        "blocked": ["evil.test", "bad.test"],
    },
    "dns": {"servers": ["192.0.2.53", "192.0.2.54"]},
    "dane": True,
    "post_quantum": True,
    "acme": {
        "directory": "https://ca.test/dir",
        "challenge": "dns-01",
        "contacts": ["mailto:a@example.test", "mailto:b@example.test"],
        "anchors": ["anchors/a.pem", "anchors/b.pem"],
        "bind": "192.0.2.80",
        "port": 8080,
        "dns": {"server": "192.0.2.53", "zone": "example.test", "key_file": "secrets/tsig", "wait_s": 20},
        "external_account": {"id": "kid-1", "key_file": "secrets/mac"},
    },
    "media": {"default": "encrypted", "domains": {"example.test": "any"}},
    "websocket": {"origins": ["https://phone.example.test", "http://localhost:8080"], "phone": True},
    "storage": {
        "users": "sqlite:///u.db",
        "management": "postgresql+psycopg://db/m",
        "bindings": "s/b.db",
        "messages": "sqlite:///m.db",
        "calls": "sqlite:///c.db",
    },
    "messages": {"per_user": 10, "per_sender": 5, "lifetime_days": 3},
    "presence": {"inside": "polite-block", "partners": "allow"},
    "user_search": "domain",
    "files": {"days": 3, "largest_mb": 10, "user_mb": 100, "pool_mb": 1000, "total_mb": 2000},
    "history": {"days": 30},
    "call_rules": [
        {
            "pool": "fe.example.test",
            "ring_s": 30,
            "busy": "desk@example.test",
            "no_answer": "desk@example.test",
            "away": "+493012345",
            "block": ["anonymous", "@spam.test"],
        }
    ],
    "call_records": {
        "days": 10,
        "megabytes": 64,
        "syslog": "logs.example.test:6514",
        "hook": "https://cdr.example.test/in",
        "otlp": "https://otel.example.test:4318",
        "anchors": ["anchors/logs.pem"],
    },
    "turn": {
        "servers": ["turn:turn.example.test?transport=udp", "stun:turn.example.test"],
        "secret_file": "secrets/turn",
        "lifetime_s": 7000,
    },
    "approvals": {
        "publish": 2,
        "block": 1,
        "operators": [
            {"name": "ada", "key": "ssh-ed25519 AAAA"},
            {"name": "ben", "key": "ssh-ed25519 BBBB"},
        ],
    },
    "console": {
        "listen": "127.0.0.1:8444",
        "operators": [
            {"name": "ada", "role": "viewer", "token_sha256": "0" * 64},
            {"name": "otto", "role": "operator", "token_sha256": "1" * 64},
        ],
        "client_certificates": True,
        "enrolment": {
            "protocols": ["est"],
            "http_port": 8080,
            "tls_alpn_port": 8443,
            "kerberos": {
                "realm": "CORP.EXAMPLE.TEST",
                "keytab": "s/http",
                "machines": [
                    {"principal": "BOT1$@CORP.EXAMPLE.TEST", "server": "fe1.example.test"},
                    {"principal": "BOT2$@CORP.EXAMPLE.TEST", "server": "fe2.example.test"},
                ],
            },
        },
        "openid": {
            "issuer": "https://id.example.test",
            "client_id": "console",
            "roles": [{"value": "admins", "role": "operator"}, {"value": "staff", "role": "viewer"}],
            "claim": "groups",
            "name_claim": "sub",
            "scopes": ["profile", "groups"],
            "authority": "enterprise",
        },
        "kerberos": {
            "realm": "CORP.EXAMPLE.TEST",
            "keytab": "secrets/console.keytab",
            "roles": [
                {"principal": "ada@CORP.EXAMPLE.TEST", "role": "operator"},
                {"principal": "ben@CORP.EXAMPLE.TEST", "role": "viewer"},
            ],
        },
    },
    "invitations": {
        "listen": "127.0.0.1:8445",
        "name": "join.example.test",
        "port": 443,
        "certificate": "join.pem",
        "key": "join.key",
        "portal": {
            "links": True,
            "kerberos": {"realm": "CORP.EXAMPLE.TEST", "keytab": "secrets/portal.keytab", "domain": "example.test"},
        },
    },
    "oauth": {
        "issuer": "https://id.example.test",
        "audience": "sip",
        "claim": "sub",
        "authority": "enterprise",
        "web_phone": {"client_id": "phone", "scopes": ["offline_access"], "resource": "urn:example:sip"},
        "portal": {"client_id": "portal", "scopes": ["profile"]},
        "introspection": {"client_id": "servers", "secret_file": "s/introspection"},
    },
    "scim": {
        "tokens": [{"name": "entra", "token_sha256": "0" * 64}, {"name": "okta", "token_sha256": "1" * 64}],
        "pools": [{"group": "9d41", "pool": "pool1.example.test"}],
        "most_loss": 30,
    },
    "directory": {
        "kind": "openldap",
        "servers": ["dc1.example.test", {"name": "dc2.example.test", "address": "192.0.2.66"}],
        "tls": "ldaps",
        "anchors": ["corp.pem"],
        "crls": ["corp.crl"],
        "bind": "cn=sipmesh",
        "password_file": "s/directory",
        "base": "ou=people",
        "filter": "(uid=*)",
        "user": "uid",
        "name": "cn",
        "mail": "mail",
        "numbers": "mobile",
        "group_base": "ou=groups",
        "pools": [{"group": "cn=a", "pool": "pool1.example.test"}],
        "most_loss": 20,
    },
}
RIGHT = Topology.model_validate(RICH)
WORDS: list[Any] = [
    "eve@CORP.EXAMPLE.TEST",
    "PC7$@CORP.EXAMPLE.TEST",
    "echo@example.test",
    "organisation",
    ". 20326 8 2 " + "ab" * 32,
    "+4930",
    "Europe/Berlin",
    {"calls": 3},
    {"days": 8},
    {"ring_s": 20},
    "ou=new",
    "(uid=a)",
    "active-directory",
    "starttls",
    {"group": "cn=b", "pool": "pool1.example.test"},
    "112",
    {"name": "premium", "numbers": ["+49900"]},
    {"digits": 3, "numbers": "+4930"},
    {"service": "sos.police", "number": "112"},
    {"site": "paris", "country": "33"},
    {"name": "night", "numbers": ["+"], "trunks": ["sbc.test"]},
    {"gateway": "gw.example.test", "asserts": ["+49"]},
    "acme",
    "http-01",
    "mailto:c@example.test",
    "https://other.test/dir",
    "stun:new.example.test",
    "report",
    "check",
    {"issuer": "ca.test", "account": "https://ca.test/acct/1"},
    {"operator": "A", "key": base64.b64encode(SigningLog("A").spki).decode()},
    "new.example.test",
    "encrypted-required",
    "public",
    "pass",
    "required",
    "example.test",
    "192.0.2.77",
    "192.0.2.77:99",
    "spare.pem",
    "ca/devices.pem",
    "certificate",
    "edge",
    "application",
    "front-end",
    "management",
    "strict",
    "block",
    "allow",
    "security-officer",
    "2" * 64,
    "ssh-ed25519 CCCC",
    "server-ok",
    "sqlite:///v.db",
    "http://crl.example.test/other.crl",
    "https://page.example.test",
    "ocsp",
    "lists",
    7,
    5099,
    True,
    False,
    None,
    {"bind": "192.0.2.1"},
    {"certificate": "new.pem", "key": "new.key"},
    {"bindings": "state/other.db"},
]


def taken(topology: Topology) -> Loaded:
    """As it would be loaded if each anchor file held the root of its name."""

    def authority(name: str, anchors: tuple[str, ...]) -> Authority:
        held = {
            ROOTS[file.removesuffix(".pem")] if file.removesuffix(".pem") in ROOTS else ROOTS["spare"]
            for file in anchors
        }
        return Authority(name, tuple(sorted(held, key=lambda one: one.serial_number)), RevocationLists(()))

    partners = tuple(authority(one.name, one.anchors) for one in topology.federation.partners)
    own = authority(topology.organisation, topology.authority.anchors)
    return Loaded(Path("topology.yaml"), topology, "", own, partners)


def paths(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Give every place in a document of plain values, except its root."""
    if path:
        yield path
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list | tuple) else ()
    for key, one in inner:
        yield from paths(one, (*path, key))


def changed(value: Any, path: tuple[str | int, ...], change: Any) -> Any:
    """Give the document with another value at *path*; *change* makes it from the current value."""
    if not path:
        return change(value)
    step, rest = path[0], path[1:]
    if isinstance(value, dict):
        return {key: changed(one, rest, change) if key == step else one for key, one in value.items()}
    return [changed(one, rest, change) if n == step else one for n, one in enumerate(value)]


PLAIN = RIGHT.model_dump(mode="json")
CHANGES = st.one_of(
    st.sampled_from(WORDS).map(lambda word: lambda _: word),
    st.sampled_from(WORDS).map(lambda word: lambda held: [*held, word] if isinstance(held, list | tuple) else [word]),
    st.just(lambda held: list(reversed(held)) if isinstance(held, list | tuple) else held),
    st.integers(0, 3).map(
        lambda n: lambda held: [*held[:n], *held[n + 1 :]] if isinstance(held, list | tuple) else None
    ),
)


@given(st.sampled_from([*paths(PLAIN)]), CHANGES)
def test_every_change_is_listed(path: tuple[str | int, ...], change: Any) -> None:
    try:
        other = Topology.model_validate(changed(PLAIN, path, change))
    except ValidationError:
        return
    names = [pool.name for pool in other.pools]
    servers = [server.name for pool in other.pools for server in pool.servers]
    clients = [token.name for token in other.scim.tokens] if other.scim is not None else []
    operators = [operator.name for operator in other.console.operators] if other.console is not None else []
    approvers = [operator.name for operator in other.approvals.operators] if other.approvals is not None else []
    if any(len(set(unique)) < len(unique) for unique in (names, servers, clients, operators, approvers)):
        return  # no such topology is ever loaded
    for old, new in ((RIGHT, other), (other, RIGHT)):
        assert bool(difference(taken(old), taken(new))) is (old != new)


def held(path: tuple[str | int, ...]) -> Any:
    value: Any = PLAIN
    for step in path:
        value = value[step]
    return value


LEFT_OUT = {"sipmesh", "discovery", "blocked_partners"}
"""The first two have one value each; entries of blocked partners are changed by the test of a block."""

LEAVES = [path for path in paths(PLAIN) if not isinstance(held(path), dict) and path[-1] not in LEFT_OUT]


def first_of_its_name(path: tuple[str | int, ...]) -> bool:
    return path == next(other for other in LEAVES if other[-1] == path[-1])


IDS = [".".join(map(str, path)) for path in LEAVES]
ONE_OF_EACH_NAME = wide_unless(lambda row: first_of_its_name(row[0]), [(path,) for path in LEAVES])
"""A key that is in many places is tried in one of them in `make test`, and in all by `make test-wide`."""


@pytest.mark.parametrize("path", ONE_OF_EACH_NAME, ids=IDS)
def test_every_field_has_a_change_that_is_reported(path: tuple[str | int, ...]) -> None:
    """So that the property above is not true for want of changes that fit."""
    before = held(path)
    for value in [*WORDS, *([word] for word in WORDS), before[::-1] if isinstance(before, list) else before]:
        try:
            other = Topology.model_validate(changed(PLAIN, path, lambda _, value=value: value))
        except ValidationError:
            continue
        if other != RIGHT:
            assert difference(taken(RIGHT), taken(other))
            return
    pytest.fail("nothing fits there")


@pytest.mark.parametrize(
    ("part", "words"),
    [
        (Topology, _TOPOLOGY),
        (Federation, _FEDERATION),
        (Storage, _STORAGE),
        (PoolStorage, _POOL_STORAGE),
        (Valkey, _VALKEY),
        (Valkey, _POOL_VALKEY),
        (Pool, _POOL),
        (Server, _SERVER),
        (Outside, _SIDE),
        (Partner, _PARTNER),
    ],
)
def test_every_name_that_has_words_is_a_field(part: type[BaseModel], words: dict[str, object]) -> None:
    assert words.keys() <= part.model_fields.keys()
