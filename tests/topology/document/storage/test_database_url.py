"""The URL of a database: one reading for all, no password, TLS where it leaves the machine, files below the folder."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import make_url

from sipmesh.errors import OperatorError
from sipmesh.topology.document.storage.database_url import DatabaseUrl, reached_by_tls, sqlite_fault

TLS = "sslmode=verify-full&sslrootcert=anchors/db.pem"
PG = "postgresql+psycopg://"


@pytest.mark.parametrize(
    ("url", "hosts"),
    [
        (f"{PG}u@db.test/x", ("db.test",)),
        (f"{PG}u@db.test:5433/x", ("db.test",)),
        (f"{PG}[2001:db8::1]:5432/x", ("2001:db8::1",)),
        (f"{PG}/x?host=a.test,b.test:5433", ("a.test", "b.test")),
        (f"{PG}127.0.0.1/x?host=a.test", ("a.test",)),
        (f"{PG}/x?host=%2Frun%2Fpg", ("/run/pg",)),
        (f"{PG}/x", ("",)),
    ],
)
def test_hosts_are_those_that_the_driver_tries(url: str, hosts: tuple[str, ...]) -> None:
    assert DatabaseUrl.read(url).hosts == hosts
    read = make_url(url)
    assert (read.query.get("host") or read.host or "") in {",".join(hosts), "a.test,b.test:5433"}


@pytest.mark.parametrize(
    "url",
    [
        f"{PG}127.0.0.1#@evil.test/x",
        f"{PG}u@127.0.0.1@evil.test/x",
        f"{PG}127.0.0.1\\@evil.test/x",
        f"{PG}127.0.0.1 @evil.test/x",
        f"{PG}u@127.0.0.1/x#?host=evil.test",
        f"{PG}u@a,evil.test/x",
        "postgresql://db.test/x",
        "mysql://db.test/x",
        "",
    ],
)
def test_url_that_two_readers_could_read_differently_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="is no PostgreSQL database"):
        DatabaseUrl.read(url)


@pytest.mark.parametrize(
    ("query", "lacks"),
    [
        ("", True),
        ("?sslmode=require", True),
        ("?sslmode=verify-ca&sslrootcert=anchors/db.pem", True),
        ("?sslmode=verify-full", True),
        ("?sslmode=verify-full&sslrootcert=system", True),
        (f"?{TLS}", False),
    ],
)
def test_database_elsewhere_needs_a_checked_name_under_a_named_root(query: str, *, lacks: bool) -> None:
    for host in ("db.test", "192.0.2.1", "127.0.0.1.evil.test", "a.test,127.0.0.1"):
        url = f"{PG}u@/x?host={host}{query.replace('?', '&')}"
        assert DatabaseUrl.read(url).lacks_tls is lacks
    for host in ("127.0.0.1", "%3A%3A1", "localhost", "%2Frun%2Fpostgresql"):
        assert not DatabaseUrl.read(f"{PG}u@/x?host={host}{query.replace('?', '&')}").lacks_tls


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("password=hunter2", "contains a password"),
        ("sslpassword=hunter2", "contains a password"),
        ("service=other", "has the parameter 'service'"),
        ("hostaddr=192.0.2.1", "has the parameter 'hostaddr'"),
        ("sslmode=verify-full&sslmode=disable", "has a parameter twice"),
        ("host=a,b,c,d", "has 4 hosts"),
        ("connect_timeout=600", "has another connect_timeout"),
        ("connect_timeout=0", "has another connect_timeout"),
    ],
)
def test_what_a_topology_may_not_contain_about_a_database_is_reported(query: str, reason: str) -> None:
    found = [(why, remedy) for why, remedy in DatabaseUrl.read(f"{PG}u@/x?{query}").faults() if reason in why]
    assert len(found) == 1
    assert "hunter2" not in "".join(found[0])


def test_files_are_below_the_folder_of_the_organisation() -> None:
    url = DatabaseUrl.read(f"{PG}u@db.test/x?{TLS}&passfile=secrets/pgpass&connect_timeout=3")
    query = make_url(url.in_folder(Path("/srv/o g"))).query
    assert (query["sslrootcert"], query["passfile"]) == ("/srv/o g/anchors/db.pem", "/srv/o g/secrets/pgpass")
    assert (query["sslmode"], query["connect_timeout"]) == ("verify-full", "3")


def test_command_reaches_no_database_elsewhere_without_tls(tmp_path: Path) -> None:
    for url in (f"{PG}u@db.test/x", f"{PG}127.0.0.1#@evil.test/x"):
        with pytest.raises(OperatorError):
            reached_by_tls(url, tmp_path)
    assert reached_by_tls(f"{PG}u@127.0.0.1/x", tmp_path) == f"{PG}u@127.0.0.1/x"
    assert reached_by_tls("sqlite:///x.db", tmp_path) == "sqlite:///x.db"


@pytest.mark.parametrize("name", ["users.db", "state/messages.db", "people.db"])
def test_sqlite_database_is_a_file_of_the_folder(name: str) -> None:
    assert sqlite_fault(f"sqlite:///{name}") == ""


@pytest.mark.parametrize(
    "url",
    [
        "sqlite:////var/lib/x.db",
        "sqlite://",
        "sqlite:///ca/ledger.db",
        "sqlite:///management.db",
        "sqlite:///../x.db",
        "sqlite:///state/../ca/x.db",
        "sqlite:///users.key",
        "sqlite:///file:x.db?mode=rw",
        "sqlite:///x.db?vfs=unix",
    ],
)
def test_other_file_is_no_database_of_the_topology(url: str) -> None:
    assert sqlite_fault(url)
