"""Contradictions: one management pool with its database, its console and the operators who approve."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

if TYPE_CHECKING:
    from topology.world import Place


POSTGRESQL = "postgresql+psycopg://sipmesh@db.example.test/m?sslmode=verify-full&sslrootcert=ca/root.pem"
TWO_MANAGERS = (
    "pools:\n",
    """pools:
  - name: managers.example.test
    role: management
    servers: [{name: m1.example.test, address: 127.0.0.8}, {name: m2.example.test, address: 127.0.0.9}]
""",
)


@pytest.mark.parametrize(
    ("storage", "is_shared"),
    [
        (f"storage: {{users: '{POSTGRESQL}', management: '{POSTGRESQL}'}}\n", True),
        (f"storage: {{users: '{POSTGRESQL}'}}\n", False),
        (f"storage: {{management: '{POSTGRESQL}'}}\n", False),
        ("", False),
    ],
)
def test_several_management_servers_need_databases_that_they_share(
    place: Place, storage: str, *, is_shared: bool
) -> None:
    place.spoil(TWO_MANAGERS, ("federation:\n", f"{storage}federation:\n"))
    if is_shared:
        assert place.load().topology.storage.management == POSTGRESQL
        return
    [problem] = [one for one in place.problems() if one.field == "pools[0].servers"]
    assert "need a database that they share" in problem.reason


@pytest.mark.parametrize(
    ("records", "calls", "fault"),
    [
        ("call_records: {}\n", "", "in a file of one host"),
        ("call_records: {}\n", f", calls: '{POSTGRESQL}'", ""),
        ("", "", ""),
    ],
)
def test_several_management_servers_share_the_records_of_calls(
    place: Place, records: str, calls: str, fault: str
) -> None:
    storage = f"storage: {{users: '{POSTGRESQL}', management: '{POSTGRESQL}'{calls}}}\n"
    place.spoil(TWO_MANAGERS, ("federation:\n", f"{storage}{records}federation:\n"))
    if not fault:
        assert place.load().topology.storage.management == POSTGRESQL
        return
    [problem] = place.problems()
    assert (problem.field, fault in problem.reason) == ("storage", True)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("postgresql+psycopg://sipmesh:hunter2@127.0.0.1/m", "contains a password"),
        ("postgresql+psycopg:///m?password=hunter2", "contains a password"),
        ("sqlite:///management.db", "is no PostgreSQL database"),
        ("postgresql://db.example.test/m", "is no PostgreSQL database"),
        (POSTGRESQL, ""),
        (POSTGRESQL.replace(".test/", ".test:5433/"), ""),
    ],
)
def test_database_of_management_is_named_without_a_password(place: Place, url: str, reason: str) -> None:
    """Each server gets the document."""
    place.spoil(("federation:\n", f"storage: {{management: '{url}'}}\nfederation:\n"))
    if not reason:
        assert place.load().topology.storage.management == url
        return
    [problem] = place.problems()
    assert problem.field == "storage.management"
    assert reason in problem.reason
    assert "hunter2" not in f"{problem.reason} {problem.remedy}"


KEYS = [
    Ed25519PrivateKey.from_private_bytes(bytes([n] * 32))
    .public_key()
    .public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    .decode()
    for n in range(3)
]
ONE_MANAGER = ("pools:\n", "pools:\n  - {name: m1.example.test, role: management, servers: [m1.example.test]}\n")


def approvers(*named: tuple[str, str]) -> str:
    return ", ".join(f"{{name: {name}, key: {key}}}" for name, key in named)


ADA, BEA = ("ada", KEYS[0]), ("bea", KEYS[1])


def program(name: str) -> str:
    """A viewer who logs in with the one token."""
    return f"{{name: {name}, role: viewer, token_sha256: '{'7' * 64}'}}"


@pytest.mark.parametrize(
    ("part", "field", "reason"),
    [
        (f"approvals: {{publish: 3, operators: [{approvers(ADA, BEA)}]}}", "approvals.publish", "needs 3 operators"),
        (
            f"approvals: {{publish: 1, block: 2, operators: [{approvers(ADA, BEA)}]}}",
            "approvals.block",
            "is more than `publish`",
        ),
        (
            f"approvals: {{publish: 2, operators: [{approvers(ADA, ('ada', KEYS[1]))}]}}",
            "approvals.operators[1].name",
            "is the name of another operator",
        ),
        (
            f"approvals: {{publish: 2, operators: [{approvers(ADA, ('bea', KEYS[0]))}]}}",
            "approvals.operators[1].key",
            "is the key of another operator",
        ),
        (
            "console: {listen: 8080, operators: [{name: ada, role: viewer}, {name: ada, role: viewer}]}",
            "console.operators[1].name",
            "is that of console.operators[0]",
        ),
        (
            f"console: {{listen: 8080, operators: [{program('ada')}, {program('bea')}]}}",
            "console.operators[1].token_sha256",
            "is that of console.operators[0]",
        ),
    ],
)
def test_operators_are_different_and_enough(place: Place, part: str, field: str, reason: str) -> None:
    place.spoil(ONE_MANAGER, ("federation:\n", f"{part}\nfederation:\n"))
    [problem] = place.problems()
    assert problem.field == field
    assert reason in problem.reason


APPROVALS = f"approvals: {{publish: 2, block: 1, operators: [{approvers(ADA, BEA)}]}}"
CONSOLE = "console: {listen: 8080, operators: [{name: ada, role: viewer}, {name: bea, role: operator}]}"


@pytest.mark.parametrize("part", [APPROVALS, CONSOLE, "invitations: {listen: 8445}"])
def test_console_and_approvals_need_a_management_server(place: Place, part: str) -> None:
    place.spoil(("federation:\n", f"{part}\nfederation:\n"))
    [problem] = place.problems()
    assert "needs a management server, and there is none" in problem.reason
    place.spoil(ONE_MANAGER)
    assert place.load()


@pytest.mark.parametrize(
    ("keys", "reason"),
    [
        ("metrics_tls: true", "needs a port"),
        ("metrics: 9105, metrics_tls: true", "is for operators, and `console.operators` is empty"),
    ],
)
def test_metrics_over_tls_need_a_port_and_an_operator(place: Place, keys: str, reason: str) -> None:
    place.spoil(("servers: [fe3.example.test]", f"servers: [{{name: fe3.example.test, {keys}}}]"))
    problem = place.problem()
    assert (problem.reason, "metrics_tls" in problem.field) == (reason, True)
    place.spoil((keys, "metrics: 9105, metrics_tls: true"), ("federation:\n", f"{CONSOLE}\nfederation:\n"), ONE_MANAGER)
    assert place.load()


def test_only_a_management_server_publishes_our_crls(place: Place) -> None:
    manager = (
        "  - {name: mg.example.test, role: management, servers: [{name: mg1.example.test, publish_lists: 9180}]}\n"
    )
    place.spoil(("pools:\n", f"pools:\n{manager}"))
    assert place.load().topology.pools[0].servers[0].publish_lists == "127.0.0.1:9180"
    place.spoil(("servers: [fe3.example.test]", "servers: [{name: fe3.example.test, publish_lists: 9180}]"))
    assert (place.problem().reason, "publish_lists" in place.problem().field) == ("is for a management server", True)


@pytest.mark.parametrize(
    ("keys", "field", "reason"),
    [
        ("listen: 8080", "invitations.listen", "has the port of the console"),
        (
            "listen: 8445, name: join.example.test",
            "invitations.name",
            "is not in the management server's own certificate",
        ),
        ("listen: 8445, certificate: servers/join.pem", "invitations.certificate", "stands without the other file"),
        ("listen: 8445, key: servers/join.key", "invitations.key", "stands without the other file"),
    ],
)
def test_pages_of_invitations_have_a_port_and_a_certificate_for_their_name(
    place: Place, keys: str, field: str, reason: str
) -> None:
    place.spoil(ONE_MANAGER, ("federation:\n", f"{CONSOLE}\ninvitations: {{{keys}}}\nfederation:\n"))
    [problem] = place.problems()
    assert (problem.field, reason in problem.reason) == (field, True), problem.reason


def test_pages_with_a_name_and_its_certificate_are_right(place: Place) -> None:
    keys = "listen: 8445, name: join.example.test, port: 443, certificate: servers/join.pem, key: servers/join.key"
    place.spoil(ONE_MANAGER, ("federation:\n", f"{CONSOLE}\ninvitations: {{{keys}}}\nfederation:\n"))
    assert place.load()


@pytest.mark.parametrize(
    ("keys", "reason"),
    [
        ("largest_mb: 300", "`largest_mb` is more than `user_mb`"),
        ("pool_mb: 100", "`user_mb` is more than `pool_mb`"),
        ("total_mb: 1000", "`pool_mb` is more than `total_mb`"),
    ],
)
def test_room_for_files_of_a_user_is_a_part_of_that_of_the_pool(place: Place, keys: str, reason: str) -> None:
    place.spoil(ONE_MANAGER, ("federation:\n", f"invitations: {{listen: 8445}}\nfiles: {{{keys}}}\nfederation:\n"))
    assert (place.problem().field, place.problem().reason) == ("files", reason)


def test_files_need_the_port_of_the_invitations(place: Place) -> None:
    place.spoil(ONE_MANAGER, ("federation:\n", "files: {}\nfederation:\n"))
    assert (place.problem().field, "on the port of `invitations`" in place.problem().reason) == ("files", True)
    place.spoil(("files: {}\n", "files: {days: 3}\ninvitations: {listen: 8445}\n"))
    assert place.load().topology.files is not None
