"""A new server is an operator's to add only where our CA has no valid certificate of its name."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime

import pytest

from sipmesh.pki.ca_rotation import CaGenerations
from sipmesh.pki.crl.builder import Reason
from sipmesh.server.management.publishing.draft_grants import draft_grants
from sipmesh.topology.document.operators.console_role import ConsoleRole
from sipmesh.trust.role import Role
from support.managed import Managed, servers_of
from support.network import POOL

NEW = "fe9.example.test"


def role_for_a_new_server(managed: Managed) -> ConsoleRole:
    before = managed.organisation.load()
    managed.edit(lambda document: servers_of(document, POOL).append({"name": NEW, "address": "127.0.0.1"}))
    [grant] = draft_grants(before, managed.organisation.load())
    return grant.role


@pytest.mark.parametrize(
    ("known", "role"),
    [
        ("never certified", ConsoleRole.OPERATOR),
        ("revoked", ConsoleRole.OPERATOR),
        ("certified", ConsoleRole.SECURITY_OFFICER),
        ("CA elsewhere", ConsoleRole.SECURITY_OFFICER),
    ],
)
def test_new_server_needs_a_security_officer_if_it_may_have_a_certificate(
    managed: Managed, known: str, role: ConsoleRole
) -> None:
    ca = managed.organisation.folder / "ca"
    if known in {"certified", "revoked"}:
        CaGenerations(ca).current.issue((NEW, POOL), Role.FRONT_END, datetime.now(UTC))
    if known == "revoked":
        CaGenerations(ca).revoke_servers((NEW,), Reason.CESSATION_OF_OPERATION, datetime.now(UTC))
    if known == "CA elsewhere":
        shutil.move(ca / "ledger.db", ca.with_name("elsewhere.db"))
    assert role_for_a_new_server(managed) is role
