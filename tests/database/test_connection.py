"""A database by its path or URL, and the errors for an unusable one."""

from __future__ import annotations

import os
import signal
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy as sql
from sqlalchemy import make_url

from sipmesh.database.connection import Database, DatabaseTimeouts
from sipmesh.database.schema import USERS
from sipmesh.errors import OperatorError
from support.postgres import OWNER, PASSWORD, Cluster


@pytest.mark.parametrize("prefix", ["", "sqlite:///"])
def test_path_and_url_are_the_same_file_which_only_the_owner_can_read(tmp_path: Path, prefix: str) -> None:
    file = tmp_path / "x.db"
    database = Database(f"{prefix}{file}" if prefix else file, "things")
    with database.border(), database.engine.begin() as db:
        db.execute(sql.text("CREATE TABLE t (n)"))
    assert database.file == file
    assert {stat.S_IMODE(one.stat().st_mode) for one in tmp_path.iterdir()} == {0o600}
    with closing(sqlite3.connect(file)) as db:
        assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    database.close()


@pytest.mark.parametrize("name", ["a%20b", "%(here)s", "100%", "a?b=c", "a#b", "a@b:c"])
def test_folder_of_a_file_may_have_any_name(tmp_path: Path, name: str) -> None:
    """A URL would end at a question mark, and the file would be created beside the folder of the organisation."""
    folder = tmp_path / name
    folder.mkdir()
    database = Database(f"sqlite:///{folder / 'x.db'}", "things")
    database.migrate(USERS)
    database.close()
    assert [one.name for one in tmp_path.iterdir()] == [name]
    assert (folder / "x.db").stat().st_size


def test_every_connection_is_durable_and_overwrites_what_is_deleted(tmp_path: Path) -> None:
    database = Database(tmp_path / "x.db", "things")
    with database.engine.connect() as db:
        assert db.execute(sql.text("PRAGMA synchronous")).scalar_one() == 2  # FULL
        assert db.execute(sql.text("PRAGMA secure_delete")).scalar_one() == 1


def test_errors_name_the_database_but_no_values(tmp_path: Path) -> None:
    database = Database(tmp_path / "x.db", "things")
    with pytest.raises(OperatorError) as refused, database.border(), database.engine.connect() as db:
        db.execute(sql.text("SELECT :secret FROM nowhere"), {"secret": "hunter2"})
    assert str(refused.value).startswith(f"the things in sqlite:///{tmp_path}/x.db cannot be used: no such")
    assert "hunter2" not in str(refused.value)


def test_unreadable_url_and_missing_folder_are_operator_errors(tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match="URL of the things database cannot be read"):
        Database("nonsense", "things")
    with pytest.raises(OperatorError, match="No such file"):
        Database(tmp_path / "none" / "x.db", "things")


def test_password_in_the_url_is_never_shown() -> None:
    with pytest.raises(OperatorError) as refused:
        Database("postgresql+nosuchdriver://sipmesh:secret@db.example.test/x", "things")
    assert "secret" not in str(refused.value)


def test_missing_driver_is_an_error_with_the_install_command() -> None:
    with pytest.raises(OperatorError, match=r"No module named 'psycopg2'; .* pip install 'psycopg\[binary\]>=3.2'"):
        Database("postgresql+psycopg2://db.example.test/x", "things")


@pytest.mark.peer("postgresql")
def test_unknown_postgresql_database_is_an_error_without_the_password(postgres_url: str) -> None:
    database = Database(make_url(postgres_url).set(database="nowhere").render_as_string(hide_password=False), "things")
    assert database.file is None
    with pytest.raises(OperatorError, match='database "nowhere" does not exist') as refused:
        database.migrate(USERS)
    assert PASSWORD not in str(refused.value)
    assert ":***@/nowhere" in database.where


def test_connection_in_use_during_close_is_closed_afterwards(url: str) -> None:
    database = Database(url, "things")
    with database.border(), database.engine.connect() as db:
        ours = db.connection.dbapi_connection
        assert ours is not None
        database.close()
        assert db.execute(sql.text("SELECT 1")).scalar_one() == 1
    with pytest.raises(Exception, match="closed"):
        ours.cursor().execute("SELECT 1")


@contextmanager
def as_another_user() -> Iterator[None]:
    """Do what is in the block without the rights of root."""
    before = os.geteuid()
    if before == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(before)


def test_file_of_another_user_is_an_error_that_says_who_runs_this(tmp_path: Path) -> None:
    """Commands of management are to run as the user of the servers."""
    (tmp_path / "x.db").touch(0)
    with as_another_user(), pytest.raises(OperatorError, match=f"run this as the user who owns {tmp_path}"):
        Database(tmp_path / "x.db", "things").engine.connect()


@pytest.mark.peer("postgresql")
def test_missing_password_is_an_error_that_says_where_to_write_it(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("PGPASSWORD", raising=False)
    monkeypatch.setenv("PGPASSFILE", str(tmp_path / "none"))
    url = postgres_url.replace(f":{PASSWORD}@", "@")
    with pytest.raises(OperatorError, match=r"write the password into ~/\.pgpass"):
        used(url, DatabaseTimeouts(), "SELECT 1")


@pytest.mark.peer("postgresql")
def test_password_may_be_in_a_file_that_the_url_names(postgres_url: str, tmp_path: Path) -> None:
    """The URL is in the topology, which every server gets."""
    file = tmp_path / "pgpass"
    file.touch(0o600)
    file.write_text(f"*:*:*:*:{PASSWORD}\n")
    url = make_url(postgres_url.replace(f":{PASSWORD}@", "@")).update_query_dict({"passfile": str(file)})
    assert url.password is None
    database = Database(url.render_as_string(hide_password=False), "things")
    with database.border(), database.engine.connect() as db:
        assert db.execute(sql.text("SELECT 1")).scalar_one() == 1
    database.close()


@pytest.mark.peer("postgresql")
def test_database_without_an_encoding_is_one_sentence_with_its_remedy(cluster: Cluster) -> None:
    """It would take any octets. The control with an encoding that is not UTF-8 converts, and refuses what it does not have."""
    for encoding, name in (("SQL_ASCII", "octets"), ("LATIN1", "latin")):
        with psycopg.connect(cluster.url("postgres").replace("+psycopg", ""), autocommit=True) as db:
            db.execute(f"CREATE DATABASE {name} ENCODING '{encoding}' LOCALE 'C' TEMPLATE template0".encode())
    with pytest.raises(OperatorError, match=r"the encoding of the database is SQL_ASCII; create it again .* 'UTF8'"):
        used(cluster.url("octets"), DatabaseTimeouts(), "SELECT 1")
    database = Database(cluster.url("latin"), "things")
    with database.border(), database.engine.connect() as db:
        assert db.execute(sql.text("SELECT 'é'")).scalar_one() == "é"
    with pytest.raises(OperatorError, match=r"the things in .* create the database again"), database.border():  # noqa: SIM117
        with database.engine.connect() as db:
            db.execute(sql.text("SELECT 'ж'"))
    database.close()


@pytest.mark.peer("postgresql")
def test_database_that_accepts_no_changes_is_one_sentence_with_its_remedy(cluster: Cluster) -> None:
    with psycopg.connect(cluster.url("postgres").replace("+psycopg", ""), autocommit=True) as db:
        db.execute("CREATE DATABASE standby TEMPLATE template0")
        db.execute("ALTER DATABASE standby SET default_transaction_read_only = on")
        db.execute(f"CREATE ROLE guest LOGIN PASSWORD '{PASSWORD}'".encode())
    guest = cluster.url("postgres").replace(f"//{OWNER}:", "//guest:")
    for url, remedy in ((cluster.url("standby"), "name the primary"), (guest, "make the user of sipmesh the owner")):
        with pytest.raises(OperatorError, match=remedy):
            used(url, DatabaseTimeouts(), "CREATE TABLE public.t (n int)")


def used(url: str, timeouts: DatabaseTimeouts, *statements: str) -> None:
    """Run statements in one transaction."""
    database = Database(url, "things", timeouts)
    with database.border(), database.engine.begin() as db:
        for statement in statements:
            db.exec_driver_sql(statement)


@pytest.mark.peer("postgresql")
def test_statement_that_takes_too_long_is_an_error(postgres_url: str) -> None:
    used(postgres_url, DatabaseTimeouts(statement_s=20), "SELECT pg_sleep(0.1)")
    with pytest.raises(OperatorError, match="statement timeout; check the load of the database server"):
        used(postgres_url, DatabaseTimeouts(statement_s=0.1), "SELECT pg_sleep(20)")


@pytest.mark.peer("postgresql")
def test_lock_that_another_process_holds_is_waited_for_only_so_long(postgres_url: str) -> None:
    used(postgres_url, DatabaseTimeouts(), "CREATE TABLE t (n int)")
    with Database(postgres_url, "things").engine.begin() as holder:
        holder.exec_driver_sql("LOCK TABLE t")
        with pytest.raises(OperatorError, match="lock timeout"):
            used(postgres_url, DatabaseTimeouts(lock_s=0.1), "LOCK TABLE t")
    used(postgres_url, DatabaseTimeouts(lock_s=0.1), "LOCK TABLE t")


@pytest.mark.peer("postgresql")
def test_process_that_hangs_in_a_transaction_loses_its_locks(postgres_url: str) -> None:
    used(postgres_url, DatabaseTimeouts(), "CREATE TABLE t (n int)")

    def hang() -> None:
        hung = Database(postgres_url, "things", DatabaseTimeouts(idle_s=0.1))
        with hung.border(), hung.engine.begin() as db:
            db.exec_driver_sql("LOCK TABLE t")
            used(postgres_url, DatabaseTimeouts(), "LOCK TABLE t")  # waits until the server has ended the transaction
            db.exec_driver_sql("INSERT INTO t VALUES (1)")

    with pytest.raises(OperatorError, match="cannot be used"):
        hang()


@pytest.mark.peer("postgresql")
def test_server_that_hangs_itself_delays_no_caller(postgres_url: str) -> None:
    """The time-outs of the server do not count then, so the connection is closed here."""
    with pytest.raises(OperatorError, match=r"it did not answer within 0\.3 s; check the load"):
        used(postgres_url, DatabaseTimeouts(statement_s=60, use_s=0.3), "SELECT pg_sleep(60)")
    used(postgres_url, DatabaseTimeouts(), "SELECT 1")


@pytest.mark.peer("postgresql")
def test_server_that_hangs_right_after_the_first_login_delays_no_caller(postgres_url: str) -> None:
    """SQLAlchemy has questions of its own then, before our first statement."""
    database = Database(postgres_url, "things", DatabaseTimeouts(use_s=0.3))
    hung = list[int]()

    def hang(connection: Any, _: object) -> None:
        hung.append(connection.info.backend_pid)
        os.kill(hung[0], signal.SIGSTOP)

    sql.event.listen(database.engine, "connect", hang, insert=True)
    try:
        with pytest.raises(OperatorError, match=r"it did not answer within 0\.3 s"), database.border():
            database.engine.connect()
    finally:
        os.kill(hung[0], signal.SIGCONT)
    used(postgres_url, DatabaseTimeouts(), "SELECT 1")


@pytest.mark.peer("postgresql")
@pytest.mark.wide
def test_server_that_accepts_no_connection_delays_no_caller(postgres_url: str, cluster: Cluster) -> None:
    with cluster.hung(), pytest.raises(OperatorError, match="timeout"):
        used(postgres_url, DatabaseTimeouts(connect_s=2), "SELECT 1")
    used(postgres_url, DatabaseTimeouts(), "SELECT 1")


@pytest.mark.peer("postgresql")
def test_options_in_the_url_stay_in_force(postgres_url: str) -> None:
    url = make_url(postgres_url).update_query_dict({"options": "-c lock_timeout=77", "connect_timeout": "3"})
    database = Database(url.render_as_string(hide_password=False), "things")
    with database.engine.connect() as db:
        assert db.exec_driver_sql("SHOW lock_timeout").scalar_one() == "77ms"
        assert db.exec_driver_sql("SHOW statement_timeout").scalar_one() == "10s"
    assert database.engine.url.query["connect_timeout"] == "3"


def test_stores_that_share_a_database_ask_it_once_for_their_schema(tmp_path: Path) -> None:
    """Another object asks again: the file may be another one."""
    first, again = Database(tmp_path / "x.db", "things"), Database(tmp_path / "x.db", "things")
    connections = dict.fromkeys((first, again), 0)

    def count(database: Database) -> None:
        def connected(*_: object) -> None:
            connections[database] += 1

        sql.event.listen(database.engine, "connect", connected)

    for database in connections:
        count(database)
        database.migrate(USERS)
        asked = connections[database]
        database.migrate(USERS)
        assert connections[database] == asked > 0
        database.close()


def test_files_share_what_was_compiled_and_keep_their_rows(tmp_path: Path) -> None:
    """The statement is compiled for the first file alone, and finds the rows of each."""
    files = [Database(tmp_path / f"{name}.db", name) for name in ("one", "two")]
    asked: Any = sql.select(sql.literal_column("name").label("name")).select_from(sql.table("held"))
    for file in files:
        with file.engine.begin() as db:
            db.exec_driver_sql("CREATE TABLE held (name TEXT)")
            db.exec_driver_sql("INSERT INTO held VALUES (?)", (file.what,))
    found = []
    for file in files:
        with file.engine.connect() as db:
            result: Any = db.execute(asked)
            found.append((result.context.cache_hit.name, result.scalar()))
        file.close()
    assert found == [("CACHE_MISS", "one"), ("CACHE_HIT", "two")]
    assert files[0].engine.dialect is files[1].engine.dialect
