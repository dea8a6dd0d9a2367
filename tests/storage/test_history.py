"""Versions: stored together with their line in the audit log, numbered for ever, and never merged silently."""

from __future__ import annotations

import os
import random
import stat
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from sipmesh.database.number_ceilings import VERSIONS
from sipmesh.errors import LocalError, OperatorError
from sipmesh.storage.audit import Audit
from sipmesh.storage.audit_act import AuditAct
from sipmesh.storage.history import History, Slot, Version, digest_of
from sipmesh.topology.versions.publication import HIGHEST
from storage import publishing
from storage.databases import only_sqlite, run, shell, tampered
from storage.publishing import NOON, made, opened


@pytest.fixture(name="both")
def _both(url: str) -> Iterator[tuple[History, Audit]]:
    database, history, audit = opened(url)
    yield history, audit
    database.close()


@pytest.fixture(name="history")
def _history(both: tuple[History, Audit]) -> History:
    return both[0]


@pytest.fixture(name="audit")
def _audit(both: tuple[History, Audit]) -> Audit:
    return both[1]


def publish(history: History, base: int, why: str = "because", **changes: Any) -> Version:
    return history.publish(base, lambda slot: made(slot, **changes), "ada", why, at=NOON)


def test_a_new_history_has_no_version(history: History) -> None:
    assert history.head() is None
    assert history.list() == []
    assert history.verify() == []
    with pytest.raises(OperatorError, match="there is no published version yet"):
        history.get(1)


def test_version_is_stored_in_its_octets_with_who_when_and_why(history: History) -> None:
    documents: list[bytes] = []

    def make(slot: Slot) -> bytes:
        documents.append(made(slot))
        return documents[0]

    local = NOON.astimezone(timezone(timedelta(hours=9)))
    version = history.publish(0, make, "ada", "fe3 has moved", at=local)
    assert version == Version(1, digest_of(documents[0]), NOON, "ada", "fe3 has moved", forced=False)
    assert (history.get(1).version, history.get(1).jws) == (version, documents[0])
    assert history.head() == version
    assert history.list() == [version]


def test_each_version_has_the_next_number(history: History, audit: Audit) -> None:
    slots: list[Slot] = []

    def make(slot: Slot) -> bytes:
        slots.append(slot)
        return made(slot)

    first = history.publish(0, make, "ada", "one", at=NOON)
    between = audit.append("ada", AuditAct.ISSUE, {"server": "fe3.example.test"}, at=NOON)
    history.publish(1, make, "bob", "two", at=NOON)
    assert slots == [Slot(1, "", ""), Slot(2, first.digest, between.hash)]
    assert history.verify() == []


def test_audit_log_has_each_version_and_what_was_forced(history: History, audit: Audit) -> None:
    first = publish(history, 0)
    dangers = ["the users of pool2.example.test are left without front end"]
    history.publish(1, made, "bob", "it has to be", at=NOON, dangers=dangers, act=AuditAct.ROLLBACK, about={"of": 1})
    second = history.get(2).version
    assert (first.forced, second.forced) == (False, True)
    assert [(line.who, line.act, line.about) for line in audit.read()] == [
        ("ada", "publish", {"number": 1, "digest": first.digest, "base": 0, "why": "because"}),
        ("bob", "rollback", {"number": 2, "digest": second.digest, "base": 1, "why": "it has to be", "of": 1}),
        ("bob", "forced", {"number": 2, "dangers": dangers}),
    ]


def test_publishing_after_an_older_version_lists_the_versions_between(history: History, audit: Audit) -> None:
    publish(history, 0)
    history.publish(1, made, "bob", "fe3 has moved", at=NOON)
    history.publish(2, made, "eve", "and back", at=NOON)
    with pytest.raises(OperatorError) as refused:
        publish(history, 1)
    told = str(refused.value)
    assert "version 2 by bob at 2026-11-24 12:00:00Z: fe3 has moved; version 3 by eve" in told
    assert "sipmesh topology diff" in told
    assert [line.act for line in audit.read()] == [AuditAct.PUBLISH] * 3
    assert publish(history, 3).number == 4


@pytest.mark.parametrize(("base", "why"), [(-1, "after version"), (1, "lacks version 1"), (7, "lacks version 7")])
def test_publishing_after_an_unknown_version_is_refused(history: History, base: int, why: str) -> None:
    with pytest.raises(OperatorError, match=why):
        publish(history, base)


def test_history_that_lacks_the_version_in_force_is_followed_only_by_a_number_above_it(history: History) -> None:
    """It was restored from a dump. Servers have version 7, so that 2 would be another version 2 than theirs."""
    first = publish(history, 0)
    with pytest.raises(OperatorError, match="lacks version 7, which is in force"):
        history.publish(7, made, "ada", "why", at=NOON, at_least=7)
    assert history.publish(7, made, "ada", "why", at=NOON, at_least=8).number == 8
    assert history.verify() == []
    assert [version.number for version in history.list()] == [first.number, 8]


def test_one_of_two_operators_publishes_and_the_other_is_refused(history: History, url: str) -> None:
    def race(name: str) -> str:
        database, mine, _ = opened(url)
        try:
            mine.publish(0, made, name, "at once", at=NOON)
        except OperatorError as wrong:
            return str(wrong)
        finally:
            database.close()
        return ""

    with ThreadPoolExecutor(4) as pool:
        told = list(pool.map(race, ["ada", "bob", "eve", "kim"]))
    head = history.head()
    assert head is not None
    assert head.number == 1
    assert sorted(map(bool, told)) == [False, True, True, True]
    assert all(f"version 1 by {head.by}" in one for one in told if one)
    assert history.verify() == []


def test_failed_version_uses_no_number_and_leaves_no_line(history: History, audit: Audit) -> None:
    def fails(_slot: Slot) -> bytes:
        raise OperatorError("the signer's key cannot be read")

    with pytest.raises(OperatorError, match="signer's key"):
        history.publish(0, fails, "ada", "because", at=NOON)
    assert (history.head(), audit.read()) == (None, [])
    assert publish(history, 0).number == 1


def test_restored_history_continues_above_numbers_that_servers_may_have_seen(history: History, audit: Audit) -> None:
    publish(history, 0)
    assert history.jump(1000, "ada", "restored from Monday", at=NOON) == 1000
    assert history.jump(1000, "ada", "once more", at=NOON) == 1000
    assert history.jump(500, "ada", "less", at=NOON) == 1000
    assert publish(history, 1).number == 1000
    assert publish(history, 1000).number == 1001
    assert history.jump(3, "ada", "long gone", at=NOON) == 1002
    assert [line.about["next_version"] for line in audit.read() if line.act == AuditAct.RESTORE] == [
        1000,
        1000,
        1000,
        1002,
    ]
    assert history.verify() == []


@pytest.mark.parametrize("number", [0, -5, HIGHEST + 1])
def test_jump_to_an_invalid_number_is_refused(history: History, number: int) -> None:
    with pytest.raises(OperatorError, match="is not a version number"):
        history.jump(number, "ada", "a slip", at=NOON)


def test_jump_beyond_the_clock_is_refused_and_one_up_to_it_counts(history: History) -> None:
    with pytest.raises(OperatorError, match=f"version {HIGHEST} is beyond"):
        history.jump(HIGHEST, "ada", "a slip", at=NOON)
    top = VERSIONS.at(NOON)
    assert history.jump(top, "ada", "a restore", at=NOON) == top
    assert publish(history, 0).number == top


def test_floor_beyond_the_clock_is_refused_until_it_is_removed(history: History, url: str) -> None:
    publish(history, 0)
    tampered(url, "INSERT INTO versions_floors VALUES (:number)", number=HIGHEST)
    with pytest.raises(OperatorError, match=f"version {HIGHEST} is beyond .* remove the rows of versions_floors over"):
        publish(history, 1)
    tampered(url, "DELETE FROM versions_floors WHERE at_least = :number", number=HIGHEST)
    assert publish(history, 1).number == 2


def test_next_version_follows_no_row_beyond_the_clock(history: History, url: str) -> None:
    publish(history, 0)
    row = f"VALUES ({HIGHEST}, 'd', '2026-01-01T00:00:00+00:00', 'x', 'y', false, 'abc')"
    tampered(url, f"INSERT INTO versions (number, digest, at, who, why, forced, jws) {row}")
    assert publish(history, 1).number == 2


def test_another_process_sees_a_version_at_once(history: History, url: str) -> None:
    database, other, _ = opened(url)
    publish(history, 0)
    assert other.head() == history.head()
    publish(other, 1)
    assert [one.number for one in history.list()] == [1, 2]
    database.close()


def test_error_for_an_unknown_version_names_the_newest(history: History) -> None:
    publish(history, 0)
    with pytest.raises(OperatorError, match="no version 2: the newest version is 1"):
        history.get(2)


def test_instants_need_a_timezone(history: History) -> None:
    with pytest.raises(LocalError, match="timezone"):
        history.publish(0, made, "ada", "because", at=datetime(2026, 1, 1))  # noqa: DTZ001 - the fault is the point
    assert history.head() is None


@only_sqlite
def test_only_the_owner_can_read_the_file(history: History, file: Path) -> None:
    publish(history, 0)
    modes = {stat.S_IMODE(one.stat().st_mode) for one in file.parent.iterdir()}
    assert modes == {0o600}


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE versions SET why = 'other' WHERE number = 1",
        "DELETE FROM versions WHERE number = 1",
        "INSERT INTO versions SELECT 0, 'x', at, who, why, forced, jws FROM versions",
    ],
)
def test_the_database_itself_refuses_to_change_a_version(history: History, url: str, statement: str) -> None:
    publish(history, 0)
    with pytest.raises(IntegrityError, match="only ever added to"), shell(url) as db:
        run(db, statement)
    assert history.verify() == []


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        ("UPDATE versions SET jws = substr(jws, 2) WHERE number = 2", "version 2: its document differs from"),
        ("UPDATE versions SET digest = 'x' WHERE number = 2", "version 2: its document differs from"),
        ("DELETE FROM versions WHERE number = 2", "line 2 names version 2, which is missing"),
        ("DELETE FROM audit WHERE seq = 3", "version 3: the audit log has no line for it"),
        ("UPDATE versions SET number = 9 WHERE number = 3", "version 9: its document says that it is version 3"),
        ("UPDATE audit SET line = 'x' WHERE seq = 2", "line 2: its text does not match its hash"),
    ],
)
def test_change_by_the_database_owner_is_found(history: History, url: str, statement: str, told: str) -> None:
    for base in range(3):
        publish(history, base)
    assert history.verify() == []
    tampered(url, statement)
    assert any(one.startswith(told) for one in history.verify()), history.verify()


def test_rewritten_log_does_not_match_the_versions(history: History, audit: Audit, url: str, tmp_path: Path) -> None:
    """Every hash in it is right; only the heads in the signed versions differ."""
    audit.append("eve", AuditAct.ISSUE, {"server": "evil.example.test"}, at=NOON)
    publish(history, 0)
    publish(history, 1)
    elsewhere = f"sqlite:///{tmp_path}/other.db"
    database, _, other = opened(elsewhere)
    other.append("eve", AuditAct.ISSUE, {"server": "fe3.example.test"}, at=NOON)
    for line in audit.read(since=1):
        other.append(line.who, AuditAct(line.act), line.about, at=line.at)
    database.close()
    tampered(url, "DELETE FROM audit")
    with shell(elsewhere) as source, shell(url) as db:
        for row in source.execute(text("SELECT * FROM audit ORDER BY seq")).mappings():
            run(db, "INSERT INTO audit VALUES (:seq, :line, :previous, :hash)", **row)
    assert audit.verify() == []
    assert history.verify()[0].startswith("version 1: its hash of the audit log")


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"number": 7}, "its document says that it is version 7"),
        ({"previous": "ab" * 32}, "its hash of the version before is wrong"),
        ({"audit": "ab" * 32}, "its hash of the audit log"),
    ],
)
def test_version_must_contain_its_own_number_and_hashes(history: History, changes: dict[str, Any], told: str) -> None:
    publish(history, 0, **changes)
    (fault,) = history.verify()
    assert fault.startswith(f"version 1: {told}")


def test_unsigned_version_is_found(history: History) -> None:
    history.publish(0, lambda _slot: b"no document", "ada", "because", at=NOON)
    assert history.verify() == ["version 1: it is not three parts in base64url with dots between (RFC 7515 7.1)"]


def running(what: str, url: str) -> subprocess.Popen[bytes]:
    paths = os.pathsep.join(filter(None, sys.path))
    command = [sys.executable, publishing.__file__, what, url]
    return subprocess.Popen(command, stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": paths})


def whole(history: History, audit: Audit) -> int:
    """Check every version with its lines and every line with its version; return the number of versions."""
    assert history.verify() == []
    numbers = [one.number for one in history.list()]
    assert numbers == list(range(1, len(numbers) + 1))
    assert [line.about["number"] for line in audit.read() if line.act == AuditAct.PUBLISH] == numbers
    return len(numbers)


def test_kill_9_at_every_step_of_a_publish_leaves_everything_or_nothing(url: str) -> None:
    """A process ends before and after each statement, and at the commit; in between, all versions and lines match."""
    with running("steps", url) as process:
        assert process.stdout is not None
        told = [line.split() for line in process.stdout]
    ended = [(moment.decode(), how.decode()) for moment, _, how in told]
    assert ended.count(("before", "killed")) == ended.count(("after", "killed")) >= 7
    assert ended.count(("commit", "killed")) >= 1
    assert [how for _, how in ended if how != "killed"] == ["0"] * 3, "who is not killed ends well"
    database, history, audit = opened(url)
    assert whole(history, audit) == 3, "those that were not killed"
    assert [line.act for line in audit.read()] == [AuditAct.PUBLISH, AuditAct.FORCED] * 3
    database.close()


@pytest.mark.wide
@only_sqlite
def test_kill_9_at_any_instant_loses_nothing_that_was_acknowledged(url: str) -> None:
    """The process itself writes the file; PostgreSQL has received a statement or not (as above)."""
    dice, acknowledged = random.Random(4), 0  # noqa: S311 - the same times in each run, as far as possible
    for _ in range(6):
        with running("without-end", url) as process:
            assert process.stdout is not None
            for _ in range(dice.randint(1, 4)):
                acknowledged = int(next(process.stdout))
            process.kill()
            acknowledged = max([acknowledged, *(int(line) for line in process.stdout if line.endswith(b"\n"))])
        database, history, audit = opened(url)
        assert acknowledged <= whole(history, audit) <= acknowledged + 1
        database.close()


@only_sqlite
def test_file_that_is_no_database_is_an_operator_error(url: str, file: Path) -> None:
    file.write_bytes(b"not a database" * 1000)
    file.chmod(0o600)
    with pytest.raises(OperatorError, match=r"the history in .* cannot be used"):
        opened(url)
