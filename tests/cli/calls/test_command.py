"""`sipmesh calls` as an operator types it."""

from __future__ import annotations

import asyncio
import csv
import io
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cli.world import Organisation
from sipmesh.storage.call_records.journal import FOLDER, Journal
from support.managed import MGMT, Managed, build_published, second_pool
from support.network import FE1, ringing
from support.recording import entry, up_entry
from support.running import LOOK_AGAIN_S, on_loop

NOW = datetime.now(UTC)


@pytest.fixture(name="recorded")
def _recorded(organisation: Organisation) -> Organisation:
    """An organisation whose front end has recorded a call of two days ago, a busy callee of today, and a call that is up."""
    journal = Journal(organisation.folder / "state" / FOLDER, "fe1.example.com")
    journal.append(
        [
            entry(id="old", start=NOW - timedelta(days=2), caller="carol@example.com", callee="bob@example.com"),
            entry(
                id="busy",
                start=NOW - timedelta(minutes=3),
                status=486,
                why="Busy Here",
                callee="bob@example.com",
                reference="s3-7",
            ),
            up_entry(
                id="now", start=NOW - timedelta(minutes=2), answer=NOW - timedelta(minutes=1), callee="dora@example.com"
            ),
            entry(id="text", method="MESSAGE", start=NOW - timedelta(minutes=1), status=202, callee="bob@example.com"),
        ]
    )
    return organisation


def ids(organisation: Organisation, *options: str) -> list[str]:
    """Type the command, and give the ids of the records."""
    result = organisation.type("calls", "--csv", *options)
    assert result.code == 0, result.err
    return [row["id"] for row in csv.DictReader(io.StringIO(result.out))]


@pytest.mark.parametrize(
    ("options", "found"),
    [
        ([], ["text", "now", "busy", "old"]),
        (["--user", "bob"], ["text", "busy", "old"]),
        (["--user", "sip:Bob@example.com", "--failed"], ["busy"]),
        (["--user", "carol@example.com"], ["old"]),
        (["--since", "1h"], ["text", "now", "busy"]),
        (["--until", "1d"], ["old"]),
        (["--up"], ["now"]),
        (["--messages"], ["text"]),
        (["--call", "old"], ["old"]),
        (["--call", "S3-7"], ["busy"]),
        (["--most", "1"], ["text"]),
    ],
)
def test_records_are_found(recorded: Organisation, options: list[str], found: list[str]) -> None:
    assert ids(recorded, *options) == found


@pytest.mark.parametrize(("option", "days"), [("--today", 0), ("--yesterday", 1)])
def test_day_has_its_calls_from_midnight_to_midnight(organisation: Organisation, option: str, days: int) -> None:
    """The newest call of the day is the first line."""
    midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=days)
    times = {
        "late": midnight + timedelta(days=1),
        "last": midnight + timedelta(hours=23, minutes=59),
        "first": midnight,
        "early": midnight - timedelta(seconds=1),
    }
    journal = Journal(organisation.folder / "state" / FOLDER, "fe1.example.com")
    journal.append([entry(id=name, start=at, callee="bob@example.com") for name, at in times.items()])
    assert ids(organisation, option, "--user", "bob", "--utc") == ["last", "first"]


def test_answer_is_readable(recorded: Organisation) -> None:
    result = recorded.type("calls", "--user", "bob", "--since", "1h", "--utc")
    assert "486 Busy Here" in result.out
    assert "times in UTC" in result.out
    assert "from their files on this machine" in result.err


def test_calls_that_are_up_are_shown_with_the_id_that_ends_them(recorded: Organisation) -> None:
    up_now, everything = recorded.type("calls", "--up").out, recorded.type("calls").out
    assert "now" in up_now.split()
    assert "now" not in everything.split()


def test_json_has_one_record_on_each_line(recorded: Organisation) -> None:
    lines = recorded.type("calls", "--json").out.splitlines()
    assert len(lines) == 4
    assert lines[0].startswith('{"id": "text"')


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--since", "soon"], "soon is no time; write 2026-11-30, 2026-11-30T14:00, or so long ago"),
        (["--today", "--yesterday"], "--yesterday and --today are two days"),
        (["--call", "c8 1"], "'c8 1' is no Call-ID, record id or reference"),
        (["--call", "c8-\u0661"], "is no Call-ID, record id or reference"),
        (["--call", "c" * 257], "1 to 256 visible ASCII characters, and no space"),
    ],
)
def test_wrong_time_or_id_is_refused(recorded: Organisation, options: list[str], told: str) -> None:
    result = recorded.type("calls", *options)
    assert (result.code, told in result.err) == (1, True)


def test_network_without_records_says_how_to_make_them(organisation: Organisation) -> None:
    assert "write `call_records: {}` into the topology" in organisation.type("calls").err


def test_journal_that_cannot_be_read_is_named(recorded: Organisation) -> None:
    file = recorded.folder / "state" / FOLDER / "fe1.example.com-00000001.jsonl"
    file.unlink()
    file.mkdir()
    result = recorded.type("calls")
    assert (result.code, str(file) in result.err) == (1, True)


def test_end_of_an_unknown_call_is_refused(organisation: Organisation) -> None:
    result = organisation.type("calls", "--end", "x")
    assert (result.code, "no server of this machine has a call x; see: sipmesh calls --up" in result.err) == (1, True)


@pytest.mark.wide
@on_loop
async def test_operator_sees_a_call_at_management_and_ends_it(tmp_path: Path) -> None:
    network = Managed(build_published(tmp_path / "m", second_pool(), call_records={}), tmp_path)
    async with network:
        await network.start(MGMT, FE1)
        await network.acknowledged(1, FE1)
        alice, bob = await network.agent("alice", FE1), await network.agent("bob", FE1)
        call = await alice.call("bob@example.test")
        await ringing(bob)
        await call.answered()
        while "alice@example.test" not in (shown := await network.type("calls", "--up", "--csv")):
            await asyncio.sleep(LOOK_AGAIN_S)
        note, header, rows = shown.partition("id,server,")
        assert "Note: the newest records of" in note  # no other server runs
        (row,) = csv.DictReader(io.StringIO(header + rows))
        assert "The call from alice@example.test to bob@example.test has ended" in await network.type(
            "calls", "--end", row["id"]
        )
        await call.over()
        assert "ended by the operator" in await network.type("calls", "--user", "bob")
