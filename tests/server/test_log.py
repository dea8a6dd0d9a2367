"""Logs: one JSON object a line, at the level asked for, times in UTC; and nothing secret in them."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
import structlog

from sipmesh.server.log import LimitedLog, configure, get_log
from support.network import FE1, Network
from support.running import on_loop
from support.telling import Told


@pytest.fixture(name="stream")
def _stream() -> Iterator[io.StringIO]:
    yield io.StringIO()
    structlog.reset_defaults()


class Terminal(io.StringIO):
    """A stream that a person looks at."""

    def isatty(self) -> bool:
        return True


def test_each_event_is_one_object_on_one_line_even_with_line_ends_from_outside(stream: io.StringIO) -> None:
    """What a peer sends must not forge a line of ours."""
    configure(stream)
    get_log(server="fe1").warning("unframeable", why='x\r\n{"event": "link accepted"}')
    [line] = stream.getvalue().splitlines()
    told = json.loads(line)
    assert (told["server"], told["event"], told["level"]) == ("fe1", "unframeable", "warning")
    assert told["why"].startswith("x\r\n")


def test_time_is_utc_with_its_zone(stream: io.StringIO) -> None:
    configure(stream)
    get_log().info("serving")
    told = datetime.fromisoformat(json.loads(stream.getvalue())["timestamp"])
    assert abs((datetime.now(UTC) - told).total_seconds()) < 60


@pytest.mark.parametrize(("level", "lines"), [("debug", 3), ("info", 2), ("warning", 1)])
def test_level_says_how_much_is_told(stream: io.StringIO, level: str, lines: int) -> None:
    configure(stream, level=level)
    log = get_log()
    log.debug("dropped")
    log.info("serving")
    log.warning("request refused")
    assert len(stream.getvalue().splitlines()) == lines


def test_unknown_level_is_an_error() -> None:
    assert "LOUD" not in logging.getLevelNamesMapping()
    with pytest.raises(KeyError):
        configure(io.StringIO(), level="loud")


def test_terminal_gets_text_for_a_person(stream: io.StringIO) -> None:
    terminal = Terminal()
    configure(terminal)
    get_log().info("serving", server="fe1")
    assert "serving" in terminal.getvalue()
    assert not terminal.getvalue().startswith("{")
    assert not stream.getvalue()


def test_fault_is_told_with_its_trace_on_the_same_line(stream: io.StringIO) -> None:
    configure(stream)
    get_log().error("fault", exc_info=ValueError("broken"))
    [line] = stream.getvalue().splitlines()
    assert "ValueError: broken" in json.loads(line)["exception"]


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def limited(told: Told, **limits: int) -> tuple[LimitedLog, Clock]:
    clock = Clock()
    return LimitedLog(told.log, clock, **limits), clock


@pytest.mark.parametrize(("lines", "again"), [(10, []), (11, [1]), (1_214, [1_204])])
def test_lines_of_one_cause_and_principal_beyond_the_limit_are_one_line_when_the_window_ends(
    lines: int, again: list[int]
) -> None:
    told = Told()
    peers, clock = limited(told)
    for number in range(lines):
        peers.warning("192.0.2.1", "request refused", why=f"reason {number}")
    peers.sweep()
    assert len(told.lines) == 10
    clock.now = 10.0
    peers.sweep()
    sums = told.lines[10:]
    assert [line["again"] for line in sums] == again
    if again:
        assert (sums[0]["event"], sums[0]["level"], sums[0]["principal"]) == ("request refused", "warning", "192.0.2.1")
        assert (sums[0]["why"], sums[0]["within_s"]) == (f"reason {lines - 1}", 10.0)
    assert peers.summed == sum(again)


def test_another_principal_and_another_event_are_written_beside_a_flood() -> None:
    told = Told()
    peers, _ = limited(told)
    for _ in range(1_000):
        peers.warning("192.0.2.1", "request refused")
    peers.warning("192.0.2.2", "request refused")
    peers.error("192.0.2.1", "unframeable")
    assert [line["event"] for line in told.lines[-2:]] == ["request refused", "unframeable"]
    assert len(told.lines) == 12


def test_window_begins_anew_with_the_next_line_where_nobody_sweeps() -> None:
    told = Told()
    peers, clock = limited(told, each=1)
    for second in (0.0, 1.0, 10.0, 10.5):
        clock.now = second
        peers.info("a", "link accepted", second=second)
    peers.close()
    assert [(line["second"], line.get("again")) for line in told.lines] == [
        (0.0, None),
        (1.0, 1),
        (10.0, None),
        (10.5, 1),
    ]


def test_flood_from_many_principals_is_bounded_in_lines_and_in_memory() -> None:
    """5,000 addresses, each with three lines: 200 are written, and 51 sums stand for the rest."""
    told = Told()
    peers, clock = limited(told)
    for number in range(5_000):
        for _ in range(3):
            peers.warning(f"address {number}", "link refused")
    assert (len(told.lines), repr(peers)) == (200, "<LimitedLog 1001 sums, 14800 lines summed>")
    clock.now = 10.0
    peers.sweep()
    assert len(told.lines) == 251
    assert sum(line.get("again", 0) for line in told.lines) == 14_800
    peers.warning("address 1", "link refused")
    assert len(told.lines) == 252


@pytest.mark.parametrize(("length", "kept"), [(1_000, True), (1_001, False)])
def test_long_values_of_peers_are_cut(length: int, *, kept: bool) -> None:
    told = Told()
    peers, _ = limited(told)
    peers.warning("a", "message refused", why="x" * length, status=403)
    [line] = told.lines
    assert line["why"] == ("x" * 1_000 if kept else "x" * 1_000 + "… (1,001 characters)")
    assert line["status"] == 403


@on_loop
async def test_nothing_secret_is_logged_at_any_level(home: Network) -> None:
    """No password, no credentials, no hash of them, no body, no token: not even where a login fails."""
    async with home:
        alice, bob = await home.phone("alice", FE1), await home.phone("bob", FE1)
        assert (await (await home.peer(FE1, "carol")).register(password="guessed-wrong")).status == 401
        message = alice.request("MESSAGE", "sip:bob@example.test", [("content-type", "text/plain")], b"between us")
        await alice.send(message)
        await bob.reply(await bob.request_in("MESSAGE"), 200)
        assert (await alice.final()).status == 200
        [row] = home.nodes[FE1].registrations.bindings("sip:bob@example.test")
    told = repr(home.told[FE1].lines)
    assert "login failed" in told
    for secret in ("-secret", "guessed-wrong", "between us", "response=", "nonce", "PRIVATE KEY", "Digest", row.token):
        assert secret not in told
