"""Contradictions: a directory without management, whose servers are ours, or whose CRLs are not known."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from topology.world import Place

MANAGER = (
    "pools:\n",
    "pools:\n  - {name: mgmt.example.test, role: management, servers: [{name: mgmt.example.test, address: 127.0.0.8}]}\n",
)
BY_PASSWORD = "bind: cn=a, password_file: secrets/d"
BY_KERBEROS = "bind: gssapi, principal: sipmesh@CORP.TEST"
PROVED = "anchors: [anchors/corp.pem], crls: [anchors/corp.crl]"


def written(keys: str, login: str = BY_PASSWORD) -> tuple[str, str]:
    return "federation:\n", f"directory: {{kind: openldap, base: dc=a, {login}, {keys}}}\nfederation:\n"


@pytest.mark.parametrize(
    ("keys", "field", "reason"),
    [
        (f"servers: [fe1.example.test], {PROVED}", "directory.servers[0]", "is a server of the topology"),
        ("servers: [dc1.corp.test], anchors: [anchors/corp.pem]", "directory.anchors", "stands without `crls`"),
        ("servers: [dc1.corp.test], crls: [anchors/corp.crl]", "directory.crls", "stands without `anchors`"),
        (
            f"servers: [dc1.corp.test], {PROVED}, pools: [{{group: cn=a, pool: sip.example.test}}]",
            "directory.pools[0].pool",
            "is no front-end pool",
        ),
    ],
)
def test_directory_that_cannot_be_used_is_a_problem(place: Place, keys: str, field: str, reason: str) -> None:
    place.spoil(MANAGER, written(keys))
    [problem] = place.problems()
    assert (problem.field, reason in problem.reason) == (field, True), problem


@pytest.mark.parametrize(
    "keys",
    [
        "servers: [dc1.corp.test]",
        f"servers: [dc1.corp.test], {PROVED}, pools: [{{group: cn=a, pool: pool1.example.test}}]",
    ],
)
def test_directory_of_the_enterprise_ca_or_of_another_one_is_right(place: Place, keys: str) -> None:
    place.spoil(MANAGER, written(keys))
    assert place.load().topology.directory is not None


@pytest.mark.parametrize(
    ("login", "field", "reason"),
    [
        ("bind: cn=a", "bind", "stands without `password_file`"),
        (f"{BY_PASSWORD}, keytab: secrets/k", "keytab", "stands beside `bind: cn=a`"),
        ("bind: gssapi, keytab: secrets/k", "bind", "is gssapi without `principal`"),
        (BY_KERBEROS, "bind", "needs `keytab` or `tickets`"),
        (f"{BY_KERBEROS}, keytab: secrets/k, tickets: secrets/t", "bind", "needs `keytab` or `tickets`"),
        (
            f"{BY_KERBEROS}, keytab: secrets/k, password_file: secrets/d",
            "password_file",
            "stands beside `bind: gssapi`",
        ),
        (BY_PASSWORD, "", ""),
        (f"{BY_KERBEROS}, keytab: secrets/k", "", ""),
        (f"{BY_KERBEROS}, tickets: secrets/t", "", ""),
    ],
)
def test_login_is_by_a_password_or_by_kerberos(place: Place, login: str, field: str, reason: str) -> None:
    place.spoil(MANAGER, written("servers: [dc1.corp.test]", login))
    if not field:
        assert place.load().topology.directory is not None
        return
    [problem] = place.problems()
    assert (problem.field, reason in problem.reason) == (f"directory.{field}", True), problem


def test_directory_needs_a_management_server(place: Place) -> None:
    place.spoil(written("servers: [dc1.corp.test]"))
    [problem] = place.problems()
    assert (problem.field, "needs a management server" in problem.reason) == ("directory", True)


def test_secret_and_crls_are_files_of_their_kind(place: Place) -> None:
    place.spoil(MANAGER, written("servers: [dc1.corp.test], anchors: [anchors/c.pem], crls: [state/fetched/a.crl]"))
    assert [problem.field for problem in place.problems()] == ["directory.crls[0]"]
    place.spoil(("secrets/d", "ca/issuing.key"))
