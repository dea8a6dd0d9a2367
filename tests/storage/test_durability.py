"""The settings of PostgreSQL by which a failover loses what was acknowledged."""

from __future__ import annotations

from urllib.parse import quote

import psycopg
import pytest

from sipmesh.errors import OperatorError
from sipmesh.storage.durability import what_a_failover_loses
from support.postgres import OWNER, PASSWORD, Cluster


def told(url: str, *settings: str) -> list[str]:
    """The reasons, with *settings* of the session, which stand for those of the server."""
    options = "".join(f"&options={quote(f'-c {setting}')}" for setting in settings)
    return [reason.partition(":")[0] for reason, _ in what_a_failover_loses(url + options, "stored messages")]


def test_file_fails_over_to_nothing() -> None:
    assert told("sqlite:///messages.db") == []


@pytest.mark.peer("postgresql")
@pytest.mark.parametrize(("commit", "count"), [("on", 0), ("remote_write", 0), ("local", 0), ("off", 1)])
def test_commit_that_is_not_on_disk_is_reported(postgres_url: str, commit: str, count: int) -> None:
    """Without a standby, `local` loses nothing."""
    assert len(told(postgres_url, f"synchronous_commit={commit}")) == count


@pytest.mark.peer("postgresql")
def test_asynchronous_standby_is_reported(cluster: Cluster, postgres_url: str) -> None:
    """The control has no standby. A replication connection is what makes one known."""
    assert told(postgres_url) == []
    with psycopg.connect(host=str(cluster.folder), user=OWNER, password=PASSWORD, replication="true", autocommit=True):
        assert told(postgres_url) == [
            "the database of the stored messages has standbys, and all of them are asynchronous"
        ]
        assert len(told(postgres_url, "synchronous_commit=local")) == 2


@pytest.mark.peer("postgresql")
def test_database_that_is_not_there_is_an_error(postgres_url: str) -> None:
    with pytest.raises(OperatorError, match=r"stored messages in .* cannot be used"):
        told(postgres_url.replace("/test", "/nothing"))
