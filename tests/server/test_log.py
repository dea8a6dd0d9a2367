"""Logs: one JSON object per line, at the chosen level, times in UTC; no secrets in them."""

from __future__ import annotations

import io
import json
import re
import unicodedata
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from sipmesh.printable import LONGEST
from sipmesh.server.log import MOST_VALUES, configure, get_log
from support.bindings import bound
from support.network import FE1, Network
from support.running import on_loop


@pytest.fixture(name="stream")
def _stream() -> Iterator[io.StringIO]:
    yield io.StringIO()
    configure()


class Terminal(io.StringIO):
    """A stream that is a terminal."""

    def isatty(self) -> bool:
        return True


def test_each_event_is_one_line_even_with_line_breaks_from_peers(stream: io.StringIO) -> None:
    """Text from a peer must not look like a line of ours."""
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
def test_level_selects_the_lines(stream: io.StringIO, level: str, lines: int) -> None:
    configure(stream, level=level)
    log = get_log()
    log.debug("dropped")
    log.info("serving")
    log.warning("request refused")
    assert len(stream.getvalue().splitlines()) == lines


def test_unknown_level_is_an_error() -> None:
    with pytest.raises(ValueError, match="loud"):
        configure(io.StringIO(), level="loud")


def test_terminal_gets_text_for_a_person(stream: io.StringIO) -> None:
    terminal = Terminal()
    configure(terminal)
    get_log().info("serving", server="fe1")
    assert "serving" in terminal.getvalue()
    assert not terminal.getvalue().startswith("{")
    assert not stream.getvalue()


def test_exception_is_logged_with_its_traceback_on_one_line(stream: io.StringIO) -> None:
    configure(stream)
    get_log().error("fault", exc_info=ValueError("broken"))
    [line] = stream.getvalue().splitlines()
    assert "ValueError: broken" in json.loads(line)["exception"]


HOSTILE = "\x1b]0;owned\x07\x9b2J\x7f\u202e\u200b\u2028\u0085\ud800[red]\nforged\r"


def dangerous(text: str) -> set[str]:
    return {repr(one) for one in text if one != "\n" and unicodedata.category(one)[0] in "CZ" and one != " "}


@pytest.mark.parametrize("make", [io.StringIO, Terminal])
def test_text_of_peers_has_no_control_characters_in_either_format(make: type[io.StringIO]) -> None:
    """Also in a list, in a mapping, in a key and in the message of an exception."""
    stream = make()
    configure(stream)
    fault = ValueError(HOSTILE)
    get_log(server=HOSTILE).warning("refused", why=HOSTILE, names=(HOSTILE, {HOSTILE: [HOSTILE]}), exc_info=fault)
    told = stream.getvalue()
    coloured = re.sub(r"\x1b\[[0-9;]*m", "", told)  # our own colours, on a terminal
    assert dangerous(coloured) == set()
    assert "owned" in told
    assert not any(line.startswith("forged") for line in told.splitlines())


@pytest.mark.parametrize(("length", "kept"), [(LONGEST, LONGEST), (LONGEST + 1, LONGEST + len("... (2001 letters)"))])
def test_value_of_any_length_takes_a_bounded_line(stream: io.StringIO, length: int, kept: int) -> None:
    configure(stream)
    get_log().warning("refused", why="x" * length, names=["y"] * (MOST_VALUES + 1))
    told = json.loads(stream.getvalue())
    assert len(told["why"]) == kept
    assert told["names"][MOST_VALUES:] == ["and 1 more"]


@on_loop
async def test_nothing_secret_is_logged_at_any_level(home: Network) -> None:
    """No password, no credentials, no hash of them, no body, no token, even if a login fails."""
    async with home:
        alice, bob = await home.phone("alice", FE1), await home.phone("bob", FE1)
        assert (await (await home.peer(FE1, "carol")).register(password="guessed-wrong")).status == 401
        message = alice.request("MESSAGE", "sip:bob@example.test", [("content-type", "text/plain")], b"between us")
        await alice.send(message)
        await bob.reply(await bob.request_in("MESSAGE"), 200)
        assert (await alice.final()).status == 200
        [row] = await bound(home.nodes[FE1], "sip:bob@example.test")
    told = repr(home.told[FE1].lines)
    assert "login failed" in told
    for secret in ("-secret", "guessed-wrong", "between us", "response=", "nonce", "PRIVATE KEY", "Digest", row.token):
        assert secret not in told
