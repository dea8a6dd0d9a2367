"""The table of failed client links, and a remedy for each reason."""

from __future__ import annotations

from datetime import UTC, datetime

from cli.users.test_login_tables import rows
from sipmesh.cli.control_client import FromServer
from sipmesh.cli.users.client_links import REMEDIES, client_refusals_table, link_remedies
from sipmesh.server.admin.replies import ClientRefusalReply
from sipmesh.server.proxy.client_refusals import RefusalReason

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)


def refused(reason: str, remote: str = "192.0.2.9") -> FromServer[ClientRefusalReply]:
    return FromServer("fe1.example.test", ClientRefusalReply(reason, "seen", remote, NOON, NOON, 3))


def test_each_reason_has_a_remedy() -> None:
    assert set(REMEDIES) == set(map(str, RefusalReason))


def test_failed_links_are_shown_with_what_was_seen() -> None:
    [row] = rows(client_refusals_table("title", [refused("plain-sip")]))
    assert (row["last"], row["from"], row["times"], row["saw"]) == ("2026-06-01 12:00:00Z", "192.0.2.9", "3", "seen")


def test_remedy_of_a_reason_is_given_once_and_a_newer_reason_has_none() -> None:
    found = [
        refused("plain-sip"),
        refused("plain-sip", "192.0.2.10"),
        refused("of-a-newer-release"),
        refused("not-sip"),
    ]
    assert list(link_remedies(found)) == [REMEDIES["plain-sip"], REMEDIES["not-sip"]]
