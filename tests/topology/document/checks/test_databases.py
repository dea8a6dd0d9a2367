"""The databases that a draft may name; a version of an earlier release goes on with others."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from sipmesh.topology.versions.load_published import load_published
from topology.world import Place, published

PG = "postgresql+psycopg://"
TLS = "sslmode=verify-full&sslrootcert=anchors/db.pem"
REFUSED = [
    (f"{PG}u@db.test/x", "leaves this machine without TLS whose name is checked"),
    (f"{PG}u@db.test/x?sslmode=require", "leaves this machine without TLS whose name is checked"),
    (f"{PG}u@db.test/x?sslmode=verify-full&sslrootcert=ca/issuing.key", "sslrootcert 'ca/issuing.key' is no place"),
    (f"{PG}u@db.test/x?{TLS}&passfile=ca/issuing.key", "passfile 'ca/issuing.key' is no place"),
    (f"{PG}u@db.test/x?{TLS}&passfile=/etc/pgpass", "passfile '/etc/pgpass' is an absolute path"),
    (
        f"{PG}u@db.test/x?{TLS}&sslcert=servers/d.pem&sslkey=servers/fe1.example.test.key",
        "is a file of fe1.example.test",
    ),
    (f"{PG}u:hunter2@127.0.0.1/x", "contains a password"),
    (f"{PG}/x?password=hunter2", "contains a password"),
    (f"{PG}/x?pass%77ord=hunter2", "is neither SQLite nor PostgreSQL"),
    (f"{PG}u@db.test/x?host=", "is neither SQLite nor PostgreSQL"),
    (f"{PG}u@db.test/x?h%6Fst=127.0.0.1", "is neither SQLite nor PostgreSQL"),
    ("postgresql://u:hunter2@db.test/x", "is neither SQLite nor PostgreSQL"),
    ("mysql://u:hunter2@db.test/x", "is neither SQLite nor PostgreSQL"),
    ("sqlite:////var/lib/other.db", "is no file for it"),
    ("sqlite:///ca/ledger.db", "is no file for it"),
]


@pytest.mark.parametrize(("url", "reason"), REFUSED)
@pytest.mark.parametrize("key", ["users", "messages"])
def test_database_that_a_draft_may_not_name_is_refused(place: Place, key: str, url: str, reason: str) -> None:
    place.spoil(("federation:\n", f"storage: {{{key}: '{url}'}}\nfederation:\n"))
    problem = place.problem()
    assert (problem.field, problem.line) == (f"storage.{key}", place.line("storage:"))
    assert reason in problem.reason
    assert "hunter2" not in str(problem)


@pytest.mark.parametrize(
    "url",
    [
        f"{PG}u@db.test/x?{TLS}",
        f"{PG}u@db.test/x?{TLS}&passfile=secrets/pgpass&sslcert=servers/db.pem&sslkey=servers/db.key",
        f"{PG}u@127.0.0.1/x",
        f"{PG}/x?host=/run/postgresql",
        "sqlite:///people.db",
        "sqlite:///state/people.db",
    ],
)
@pytest.mark.parametrize("key", ["users", "messages"])
def test_database_that_a_draft_may_name_is_accepted(place: Place, key: str, url: str) -> None:
    place.spoil(("federation:\n", f"storage: {{{key}: '{url}'}}\nfederation:\n"))
    assert getattr(place.load().topology.storage, key) == url


def test_link_to_another_database_of_ours_is_refused(place: Place, tmp_path: Path) -> None:
    (tmp_path / "people.db").symlink_to(tmp_path / "management.db")
    place.spoil(("federation:\n", "storage: {users: 'sqlite:///people.db'}\nfederation:\n"))
    assert "is a link to a file of another kind" in place.problem().reason


@pytest.mark.parametrize("url", [url for url, _ in REFUSED])
def test_version_of_an_earlier_release_stays_in_force(place: Place, url: str) -> None:
    made = published(place)
    text = made.topology.replace("federation:\n", f"storage: {{users: '{url}'}}\nfederation:\n")
    assert load_published(replace(made, topology=text), place.file.parent).topology.storage.users == url
