"""Rows of registered devices and of failed logins."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from sipmesh.cli.control_client import FromServer
from sipmesh.cli.output import Grid
from sipmesh.cli.users.login_tables import failures_table, logins_table, registrations_table, why_digest
from sipmesh.server.admin.replies import BindingReply, LoginFailureReply, LoginReply, TlsReply

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)


def rows(made: Grid) -> list[dict[str, str]]:
    """Each row, by the names of the columns."""
    names = [str(column.header) for column in made.columns]
    return [
        dict(zip(names, map(str, row), strict=True))
        for row in zip(*(column.cells for column in made.columns), strict=True)
    ]


def test_binding_without_a_link_of_this_server_has_dashes_there() -> None:
    expires = datetime.now(UTC) + timedelta(hours=2, seconds=30)
    contact = "sip:alice@192.0.2.7:5061"
    binding = BindingReply("alice@example.test", "fe1.example.test", None, None, contact, "", expires)
    [row] = rows(registrations_table("title", [binding]))
    assert row == {
        "user": "alice@example.test",
        "server": "fe1.example.test",
        "link": "-",
        "contact": contact,
        "user agent": "-",
        "from": "-",
        "TLS": "-",
        "digest": "-",
        "expires in": "2 h",
    }


@pytest.mark.parametrize(("closed", "told"), [(True, "yes"), (False, "no")])
def test_failed_login_is_shown_with_its_last_time_and_its_server(*, closed: bool, told: str) -> None:
    last = NOON + timedelta(seconds=9)
    failure = LoginFailureReply(
        "bob@example.test", "wrong password", "wrong-password", "192.0.2.9:4711", "desk phone", NOON, last, 3, closed
    )
    [row] = rows(failures_table("Failed logins", [FromServer("fe2.example.test", failure)]))
    assert row["last"] == "2026-06-01 12:00:09Z"
    assert (row["server"], row["user"], row["times"], row["why"]) == (
        "fe2.example.test",
        "bob@example.test",
        "3",
        "wrong password",
    )
    assert row["link closed"] == told


def test_binding_on_a_link_shows_its_tls_and_its_digest() -> None:
    tls = TlsReply("TLSv1.3", "TLS_AES_256_GCM_SHA384", "x25519")
    contact, user, server = "sip:alice@192.0.2.7:5061", "alice@example.test", "fe1.example.test"
    binding = BindingReply(user, server, "c7", "192.0.2.7:4711", contact, "phone", None, tls, "MD5")
    [row] = rows(registrations_table("title", [binding]))
    assert (row["TLS"], row["digest"]) == ("TLSv1.3 TLS_AES_256_GCM_SHA384", "MD5")


@pytest.mark.parametrize(
    ("digest", "offered", "why"),
    [
        ("SHA-256", ("SHA-256", "MD5"), "the strongest that was offered"),
        ("MD5", ("SHA-256", "MD5"), "the phone has not used SHA-256"),
        ("MD5", ("MD5",), "the only algorithm of this user"),
        ("MD5", (), "the phone has not used a stronger one"),
    ],
)
def test_login_is_shown_with_the_reason_for_its_algorithm(digest: str, offered: tuple[str, ...], why: str) -> None:
    login = LoginReply("c7", "192.0.2.7", "desk phone", digest, offered, NOON)
    [row] = rows(logins_table("Last logins", [FromServer("fe1.example.test", login)]))
    assert (row["at"], row["link"], row["digest"]) == ("2026-06-01 12:00:00Z", "c7", digest)
    assert why in why_digest(login)
