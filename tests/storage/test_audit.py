"""The audit log: lines are only added, and any other change is found."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from sqlalchemy import event, make_url
from sqlalchemy.exc import IntegrityError

from sipmesh.database.connection import Database
from sipmesh.database.lease import Lease
from sipmesh.errors import LocalError, OperatorError
from sipmesh.storage import audit as audit_module
from sipmesh.storage.audit import Audit
from sipmesh.storage.audit_act import AuditAct
from storage.databases import POSTGRESQL, SQLITE, run, shell, tampered
from storage.publishing import NOON

LINES = 5
DROPPING = {
    SQLITE: "CREATE TRIGGER t BEFORE INSERT ON audit BEGIN SELECT RAISE(IGNORE); END",
    POSTGRESQL: "CREATE RULE t AS ON INSERT TO audit DO INSTEAD NOTHING",
}
"""With this, a database takes a line and does not store it."""
IMPATIENT = {SQLITE: "", POSTGRESQL: "&options=-clock_timeout%3D1"}
"""Appended to a URL, this makes a statement fail at once instead of waiting for a lock; SQLite has a pragma for it."""


@pytest.fixture(name="audit")
def _audit(url: str) -> Iterator[Audit]:
    database = Database(url, "audit log")
    yield Audit(database, Lease(database))
    database.close()


@pytest.fixture(name="long")
def _long(audit: Audit) -> Audit:
    """A log with some lines."""
    for n in range(LINES):
        audit.append("ada", AuditAct.ISSUE, {"server": f"fe{n}.example.test"}, at=NOON + timedelta(minutes=n))
    return audit


def test_new_log_is_empty_and_valid(audit: Audit) -> None:
    assert (audit.head(), audit.read(), audit.verify()) == ("", [], [])


def test_line_has_who_what_and_when(audit: Audit) -> None:
    local = NOON.astimezone(timezone(timedelta(hours=9)))
    line = audit.append("ada", AuditAct.REVOKE, {"serial": "ab", "of": "fe1.example.test"}, at=local)
    assert audit.read() == [line]
    assert (line.seq, line.at, line.who, line.act) == (1, NOON, "ada", AuditAct.REVOKE)
    assert line.about == {"serial": "ab", "of": "fe1.example.test"}
    assert line.to_json()["at"] == "2026-11-24T12:00:00+00:00"
    assert json.loads(json.dumps(line.to_json()))["hash"] == line.hash
    assert repr(line) == f"<AuditLine 1 revoke by ada {line.hash[:12]}>"


def test_each_line_has_the_hash_of_the_stored_text_before_it(long: Audit) -> None:
    """Any reader can check it with SHA-256 alone."""
    before = ""
    for line in long.read():
        assert line.previous == before
        before = hashlib.sha256(f"{line.previous}\n{line.text}".encode()).hexdigest()
        assert line.hash == before
    assert long.head() == before
    assert long.verify() == []


def test_lines_are_read_from_a_number_on(long: Audit) -> None:
    assert [line.seq for line in long.read(since=3)] == [4, 5]
    assert long.read(since=LINES) == []


def test_reopened_log_continues_its_chain(long: Audit, url: str) -> None:
    database = Database(url, "audit log")
    again = Audit(database, Lease(database))
    assert again.head() == long.head()
    assert again.append("bob", AuditAct.BLOCK, at=NOON).seq == LINES + 1
    assert long.verify() == []
    database.close()


def test_concurrent_writers_make_one_chain(url: str, audit: Audit) -> None:
    def write(who: str) -> None:
        database = Database(url, "audit log")
        mine = Audit(database, Lease(database))
        for n in range(5):
            mine.append(who, AuditAct.JOIN, {"n": n}, at=NOON)
        database.close()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, ["ada", "bob", "eve", "kim"]))
    assert [line.seq for line in audit.read()] == list(range(1, 21))
    assert audit.verify() == []


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit SET line = '{}' WHERE seq = 2",
        "UPDATE audit SET hash = hash",
        "DELETE FROM audit WHERE seq = 5",
        "DELETE FROM audit",
        "INSERT INTO audit SELECT 0, line, previous, hash FROM audit WHERE seq = 5",
    ],
)
def test_the_database_itself_refuses_to_change_a_line(long: Audit, url: str, statement: str) -> None:
    with pytest.raises(IntegrityError, match="only ever added to"), shell(url) as db:
        run(db, statement)
    assert len(long.read()) == LINES
    assert long.verify() == []


OTHER = """UPDATE audit SET line = '{"seq":3,"at":"2026-11-24T12:02:00+00:00","who":"bob","act":"issue","about":{}}'
WHERE seq = 3"""


@pytest.mark.parametrize(
    ("statement", "first"),
    [
        (OTHER, "line 3: its text does not match its hash"),
        (
            "UPDATE audit SET line = replace(line, 'ada', 'eve') WHERE seq = 2",
            "line 2: its text does not match its hash",
        ),
        ("UPDATE audit SET line = line || ' ' WHERE seq = 5", "line 5: its text does not match its hash"),
        ("UPDATE audit SET line = '' WHERE seq = 1", "line 1: its text does not match its hash"),
        ("UPDATE audit SET hash = previous WHERE seq = 4", "line 4: its text does not match its hash"),
        ("UPDATE audit SET previous = hash WHERE seq = 4", "line 4: its hash of the line before"),
        ("DELETE FROM audit WHERE seq = 3", "line 4: it follows line 2: lines between the two are missing"),
        ("DELETE FROM audit WHERE seq = 1", "line 2: it is the first one"),
        ("UPDATE audit SET seq = 9 WHERE seq = 5", "line 9: it follows line 4"),
        ("UPDATE audit SET seq = seq - 1", "line 0: it is the first one"),
    ],
)
def test_change_by_the_database_owner_is_found_at_its_line(long: Audit, url: str, statement: str, first: str) -> None:
    tampered(url, statement)
    assert long.verify()[0].startswith(first), long.verify()


def test_changed_line_with_a_right_hash_breaks_the_next_line(long: Audit, url: str) -> None:
    """An attacker who changes a line must write all later lines again, and then the head differs."""
    line = long.read()[2]
    text = line.text.replace("fe2", "fe9")
    right = hashlib.sha256(f"{line.previous}\n{text}".encode()).hexdigest()
    tampered(url, "UPDATE audit SET line = :text, hash = :right WHERE seq = 3", text=text, right=right)
    assert long.verify() == ["line 4: its hash of the line before is wrong"]


def test_swapped_lines_are_found(long: Audit, url: str) -> None:
    tampered(url, "UPDATE audit SET seq = CASE seq WHEN 2 THEN -3 WHEN 3 THEN -2 ELSE seq END")
    tampered(url, "UPDATE audit SET seq = -seq WHERE seq < 0")
    told = long.verify()
    assert "line 2: its text is that of line 3" in told
    assert "line 3: its text is that of line 2" in told


def test_removed_last_lines_are_found_by_a_stored_head(long: Audit, url: str) -> None:
    """The rest is a valid chain; only a head that was signed meanwhile shows the loss."""
    heads = {"version 7": long.read()[2].hash, "version 8": long.head(), "version 1": ""}
    assert long.verify(heads) == []
    tampered(url, "DELETE FROM audit WHERE seq > 3")
    assert long.verify() == []
    (told,) = long.verify(heads)
    assert told.startswith("version 8 carries the hash ")


def test_unreadable_line_is_an_operator_error_and_found_by_verify(long: Audit, url: str) -> None:
    tampered(url, "UPDATE audit SET line = '[]' WHERE seq = 2")
    with pytest.raises(OperatorError, match="line 2 of the audit log cannot be read"):
        long.read()
    assert "line 2: its text cannot be read" in long.verify()


def test_an_act_of_a_newer_version_is_read(long: Audit) -> None:
    with long.changing() as db:
        long.add(db, "ada", "elect", {}, at=NOON)  # type: ignore[arg-type]
    assert long.read(since=LINES)[0].act == "elect"
    assert long.verify() == []


def test_a_change_that_fails_leaves_no_line(long: Audit) -> None:
    def fails() -> None:
        with long.changing() as db:
            long.add(db, "ada", AuditAct.BLOCK, {}, at=NOON)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fails()
    assert len(long.read()) == LINES


@pytest.mark.parametrize("about", [{"at": NOON}, {"x": float("nan")}, {"x": b""}])
def test_value_without_a_json_form_is_a_bug_and_leaves_no_line(long: Audit, about: dict[str, object]) -> None:
    with pytest.raises(LocalError, match="JSON"):
        long.append("ada", AuditAct.BLOCK, about, at=NOON)
    assert len(long.read()) == LINES


def test_instants_need_a_timezone(audit: Audit) -> None:
    with pytest.raises(LocalError, match="timezone"):
        audit.append("ada", AuditAct.BLOCK, at=datetime(2026, 1, 1))  # noqa: DTZ001 - the fault is the point


def test_log_that_stays_locked_is_an_operator_error(url: str, audit: Audit) -> None:
    database = Database(f"{url}{IMPATIENT[make_url(url).get_backend_name()]}", "audit log")
    if database.file is not None:
        event.listen(database.engine, "connect", lambda raw, _: raw.execute("PRAGMA busy_timeout = 0"))
    other = Audit(database, Lease(database))
    with audit.changing() as db:
        audit.add(db, "ada", AuditAct.BLOCK, {}, at=NOON)
        with pytest.raises(OperatorError, match="lock"):
            other.append("bob", AuditAct.BLOCK, at=NOON)
        assert other.read() == [], "who only reads is not held up"
    assert [line.who for line in other.read()] == ["ada"]
    database.close()


def test_page_has_the_newest_lines_below_a_number_and_says_whether_there_are_older_lines(long: Audit) -> None:
    newest = long.page(2**53, 2)
    assert ([line.seq for line in newest.lines], newest.faults, newest.is_last) == ([5, 4], [], False)
    older = long.page(4, 3)
    assert ([line.seq for line in older.lines], older.faults, older.is_last) == ([3, 2, 1], [], True)
    assert long.page(1, 3).lines == []


def test_page_of_lines_with_a_text_checks_each_by_itself(long: Audit, url: str) -> None:
    assert ([line.seq for line in long.page(2**53, 9, "FE3").lines], long.page(2**53, 9, "fe%").lines) == ([4], [])
    tampered(url, "UPDATE audit SET line = replace(line, 'fe3', 'fe9') WHERE seq = 4")
    assert long.page(2**53, 9, "fe9").faults == ["line 4: its text does not match its hash"]


def test_page_names_the_lines_in_it_that_were_changed(long: Audit, url: str) -> None:
    tampered(url, "UPDATE audit SET line = replace(line, 'fe3', 'fe9') WHERE seq = 4")
    assert long.page(2**53, 2).faults == ["line 4: its text does not match its hash"]
    assert long.page(4, 3).faults == []


def test_lines_that_were_removed_at_the_end_are_found_on_the_host_that_added_them(url: str, tmp_path: Path) -> None:
    """Another host, which has added nothing, cannot know; nothing is wrong before the removal."""
    database = Database(url, "audit log")
    here, elsewhere = (
        Audit(database, Lease(database), tmp_path / name / "audit.head") for name in ("here", "elsewhere")
    )
    for _ in range(2):
        here.append("ada", AuditAct.USER, at=NOON)
    assert (here.verify(), elsewhere.verify()) == ([], [])
    head = here.head()
    tampered(url, "DELETE FROM audit WHERE seq = 2")
    wanted = (
        f"audit.head carries the hash {head[:12]}, which no line of the audit log has: lines were changed or removed"
    )
    assert (here.verify(), elsewhere.verify()) == ([wanted], [])
    (tmp_path / "here" / "audit.head").write_bytes(b"\xff")
    assert len(here.verify()) == 1
    database.close()


def test_cut_log_is_noticed_by_its_host_until_the_next_line(url: str, tmp_path: Path) -> None:
    database = Database(url, "audit log")
    here, elsewhere, nowhere = (
        Audit(database, Lease(database), file) for file in (tmp_path / "audit.head", tmp_path / "other", None)
    )
    assert not here.is_cut()
    for _ in range(2):
        here.append("ada", AuditAct.USER, at=NOON)
    assert not here.is_cut()
    tampered(url, "DELETE FROM audit WHERE seq = 2")
    assert (here.is_cut(), elsewhere.is_cut(), nowhere.is_cut()) == (True, False, False)
    here.append("ada", AuditAct.USER, at=NOON)
    assert not here.is_cut()
    database.close()


def test_lines_that_were_removed_at_the_end_are_found_after_the_next_line_too(url: str, tmp_path: Path) -> None:
    """The next line has the number of the first removed one, and a right hash of the line before."""
    database, file = Database(url, "audit log"), tmp_path / "state" / "audit.head"
    audit, elsewhere = Audit(database, Lease(database), file), Audit(database, Lease(database), tmp_path / "audit.head")
    lost = list[str]()
    for minute in range(4):
        audit.append("ada", AuditAct.REVOKE, at=NOON + timedelta(minutes=minute))
        assert [fault.split()[4] for fault in audit.verify()] == [f"{head[:12]}," for head in lost]
        if minute in (1, 2):
            lost.append(audit.head())
            tampered(url, "DELETE FROM audit WHERE seq = 2")
    elsewhere.append("eve", AuditAct.USER, at=NOON)
    audit.append("ada", AuditAct.USER, at=NOON)
    assert (len(audit.verify()), elsewhere.verify()) == (2, [])
    assert len(file.read_text().split()) == 3
    database.close()


def test_as_many_hashes_of_removed_lines_are_kept_as_the_limit_says(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first lines stay."""
    monkeypatch.setattr(audit_module, "MOST_LOST", 2)
    database, file, heads = Database(url, "audit log"), tmp_path / "audit.head", list[str]()
    audit = Audit(database, Lease(database), file)
    for minute in range(4):
        heads.append(audit.append("ada", AuditAct.USER, at=NOON + timedelta(minutes=minute)).hash)
        tampered(url, "DELETE FROM audit")
    assert file.read_text().split() == [*heads[:2], heads[3]]
    database.close()


def test_file_that_cannot_be_written_keeps_no_line_out_of_the_log(url: str, tmp_path: Path) -> None:
    database = Database(url, "audit log")
    (tmp_path / "state").write_text("no folder")
    audit = Audit(database, Lease(database), tmp_path / "state" / "audit.head")
    audit.append("ada", AuditAct.USER, at=NOON)
    assert len(audit.read()) == 1
    database.close()


def test_line_that_the_database_does_not_store_is_an_error(audit: Audit, url: str) -> None:
    audit.append("ada", AuditAct.USER, at=NOON)
    with shell(url) as db:
        db.exec_driver_sql(DROPPING[db.dialect.name])
    with pytest.raises(OperatorError, match="does not store the lines of the audit log"):
        audit.append("ada", AuditAct.USER, at=NOON)
    assert len(audit.read()) == 1


@pytest.mark.parametrize(
    "line",
    [
        "no JSON",
        '{"seq":2,"at":"2026-11-26T18:00:00","who":"a","act":"issue","about":{}}',
        '{"seq":2,"at":"2026-11-26T18:00:00Z","who":"a","act":"issue","about":5}',
        '{"seq":Infinity,"at":"2026-11-26T18:00:00Z","who":"a","act":"issue","about":{}}',
        "[" * 100_000,
    ],
    ids=["no JSON", "no time zone", "about a number", "no number", "deep"],
)
def test_line_that_cannot_be_read_hides_no_other_one(long: Audit, url: str, line: str) -> None:
    tampered(url, "UPDATE audit SET line = :line WHERE seq = 2", line=line)
    with pytest.raises(OperatorError, match="line 2 of the audit log cannot be read"):
        long.read()
    assert [one.seq for one in long.readable()] == [1, 3, 4, 5]
    assert any(fault.startswith("line 2: ") for fault in long.verify())
