"""Everything that crosses the border of a machine is listed with its protection, and no key with an address is forgotten."""

from __future__ import annotations

import typing
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import AfterValidator, BaseModel
from ruamel.yaml import YAML

from sipmesh.topology.builder.border_crossings import NOT_CONTACTED, Crossing, crossings
from sipmesh.topology.document import names
from sipmesh.topology.document.model import Topology
from sipmesh.topology.document.operators.openid import Issuer
from sipmesh.topology.document.parts.call_records import HookUrl, SyslogAddress
from sipmesh.topology.document.storage.valkey_url import FileOrStore
from topology.world import TOPOLOGY

TYPES = (
    *(names.Address, names.AddressAndPort, names.FqdnAndPort, names.CrlHost, names.ListenOn, names.TurnUri),
    *(names.HttpUrl, names.WebOrigin, names.CrlFileOrUrl, names.OurCrlFileOrUrl, names.Network, names.Port),
    *(SyslogAddress, HookUrl, Issuer, FileOrStore),
)
DATABASES = {"storage.users", "storage.management", "storage.messages", "storage.calls"}
SAID = {"federation.partners.address", "pools.servers.outside.address"}
RICH = """
acme: {directory: 'https://ca.test/dir', challenge: dns-01,
  dns: {server: 192.0.2.53, zone: example.test, key_file: secrets/tsig}}
console: {listen: '192.0.2.1:8444', enrolment: {protocols: [acme]},
  openid: {issuer: 'https://id.example.test', client_id: c, roles: [{value: noc, role: viewer}]}}
invitations: {listen: '192.0.2.1:443'}
oauth: {issuer: 'https://id.example.test', audience: sip}
storage: {users: 'postgresql+psycopg://u@db.test/u', messages: 'postgresql+psycopg://u@db.test/s',
  management: 'postgresql+psycopg://u@db.test/m?sslmode=verify-full&sslrootcert=anchors/db.pem',
  calls: 'postgresql+psycopg://u@db.test/c', bindings: 'valkeys://store.test'}
call_records: {syslog: 'log.test:6514', hook: 'https://hook.test/', otlp: 'https://otlp.test/'}
turn: {servers: ['turn:t.example.test'], secret_file: secrets/turn}
dns: {servers: [192.0.2.54]}
directory: {kind: openldap, servers: [ldap.test], bind: 'cn=r,dc=test', password_file: secrets/ldap, base: 'dc=test'}
"""
PARTNER = "client_usage: server-ok"
FE3 = "servers: [fe3.example.test]"
ORDERS = (
    "servers: [{name: fe3.example.test, client_certificates: acme, metrics: '192.0.2.3:9105', "
    "publish_lists: '192.0.2.3:80'}]\n    storage: {bindings: 'valkeys://other.test'}\n"
    "  - {name: gw.test, role: gateway, servers: [{name: gw1.test, address: 192.0.2.9}]}"
)
LISTS = "crls: [http://c.test/a], crl_hosts: [d.test]"
STIR = f"trunk: {{gateway: gw.test, port: 5071, stir: {{anchors: [partners/sti.pem], hosts: [c.test], {LISTS}}}}}"
FETCHED = "crls: ['http://c.test/a.crl'], crl_hosts: [c.test], ocsp: ['http://c.test/o']"


def topology(*changes: tuple[str, str]) -> Topology:
    """The topology of the tests, with *changes* of its text."""
    text = TOPOLOGY
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    return Topology.model_validate(YAML(typ="safe").load(text))


def rich() -> Topology:
    """A topology that uses each key with an address."""
    keys = ("edge: sip.other.test:5061", "crl_hosts: [d.test]", "ocsp: ['https://d.test/o']", STIR)
    partner = "\n      ".join((PARTNER, *keys))
    return topology(
        ("crls: [ca/root.crl, ca/issuing.crl]", FETCHED),
        ("crls: [partners/c/root.crl, partners/c/issuing.crl]", "crls: ['https://d.test/d.crl']"),
        (PARTNER, partner),
        (FE3, ORDERS),
        ("federation:\n", f"{RICH}federation:\n"),
    )


def parts_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in typing.get_args(annotation):
        yield from parts_in(inner)


def is_address(given: Any) -> bool:
    """Whether an annotation, or what is in it, is one of `TYPES`."""
    marks = getattr(given, "__metadata__", ())
    is_one = any(given is one for one in TYPES) or AfterValidator(names.http_url) in marks
    return is_one or any(map(is_address, typing.get_args(given)))


def keys_with_addresses(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    hints = typing.get_type_hints(model, include_extras=True)
    for key, field in model.model_fields.items():
        if is_address(hints[key]) or key == "port" or key.endswith("_port"):
            yield f"{prefix}{key}"
        for part in parts_in(field.annotation):
            yield from keys_with_addresses(part, f"{prefix}{key}.")


def found_in(topology: Topology) -> dict[str, list[Crossing]]:
    found: dict[str, list[Crossing]] = {}
    for one in crossings(topology):
        found.setdefault(one.key, []).append(one)
    return found


def test_each_key_with_an_address_is_listed_or_has_a_reason() -> None:
    """A new key with an address fails here until it is in the list."""
    keys = set(keys_with_addresses(Topology)) | DATABASES
    assert len(keys) > 30
    assert keys - set(NOT_CONTACTED) - set(found_in(rich())) == {"acme.challenge"} & keys
    assert set(NOT_CONTACTED) <= keys


def test_walk_finds_the_keys_of_each_type() -> None:
    """The control."""
    keys = set(keys_with_addresses(Topology))
    assert {
        "pools.servers.metrics",
        "console.openid.issuer",
        "oauth.issuer",
        "call_records.hook",
        "acme.directory",
    } <= keys
    assert {
        "turn.servers",
        "storage.bindings",
        "authority.crl_hosts",
        "dns.servers",
        "pools.servers.ports.client",
    } <= keys


@pytest.mark.parametrize(
    ("key", "protection", "weakness"),
    [
        ("storage.users", "none", "sslmode=verify-full and sslrootcert are missing"),
        ("storage.management", "TLS by verify-full under a named root", ""),
        ("storage.bindings", "TLS under the anchors of `valkey`", ""),
        ("pools.servers.metrics", "none", "plain HTTP, and who reaches the port reads the figures"),
        ("acme.dns.server", "no TLS; signed in both directions by TSIG", ""),
        ("console.listen", "HTTPS; its name is checked, and a log-in", ""),
    ],
)
def test_protection_is_that_of_the_document(key: str, protection: str, weakness: str) -> None:
    [one] = found_in(rich())[key]
    assert (one.protection, one.weakness) == (protection, weakness)


def test_what_stays_on_the_machine_is_not_listed() -> None:
    local = topology(
        (FE3, "servers: [{name: fe3.example.test, metrics: 9105, address: 127.0.0.3}]"),
        ("federation:\n", "console: {listen: 8444}\nstorage: {bindings: 'valkey://127.0.0.1'}\nfederation:\n"),
    )
    found = found_in(local)
    assert not {"pools.servers.metrics", "console.listen", "storage.bindings", "storage.users"} & set(found)
    assert "pools.servers.ports (client)" not in found
    assert [one.where for one in found["pools.servers.ports (partner)"]] == ["edge1.example.test port 5061"]


@pytest.mark.parametrize(
    ("challenge", "how"), [("http-01", "a signature of the account"), ("tls-alpn-01", "a digest of the account")]
)
def test_proof_for_the_public_ca_is_listed(challenge: str, how: str) -> None:
    acme = f"acme: {{directory: 'https://ca.test/dir', challenge: {challenge}}}\nfederation:\n"
    orders = "servers: [{name: fe3.example.test, client_certificates: acme}]"
    [one] = found_in(topology((FE3, orders), ("federation:\n", acme)))["acme.challenge"]
    assert how in one.protection
    assert "acme.challenge" not in found_in(topology(("federation:\n", acme)))


@pytest.mark.parametrize(
    ("keying", "protection", "weakness"),
    [("sdes", "SRTP, keyed by sdes", ""), ("none", "none", "RTP in the clear: who is on the way listens")],
)
def test_media_between_a_gateway_and_a_trunk_are_listed(keying: str, protection: str, weakness: str) -> None:
    trunk = {"domains": ["carrier.test"], "anchors": ["partners/c.pem"], "crls": ["partners/c.crl"]}
    given = rich().model_dump(mode="json", exclude_unset=True)
    given["federation"]["partners"] = [{**trunk, "trunk": {"gateway": "gw.example.test", "keying": keying}}]
    [one] = found_in(Topology.model_validate(given))["federation.partners.trunk.keying"]
    assert (one.where, one.protection, one.weakness) == ("carrier.test", protection, weakness)


def test_metrics_with_tls_are_protected_and_without_it_are_not() -> None:
    """The two topologies differ in one key."""
    listen = "servers: [{name: fe3.example.test, metrics: '192.0.2.3:9105'"
    plain, over_tls = (
        next(one for one in crossings(topology((FE3, f"{listen}{more}}}]"))) if one.key == "pools.servers.metrics")
        for more in ("", ", metrics_tls: true")
    )
    assert "plain HTTP" in plain.weakness
    assert (over_tls.weakness, "a token or a certificate of an operator" in over_tls.protection) == ("", True)
