"""A password comes from the terminal or from the standard input."""

from __future__ import annotations

import io
from typing import Protocol

import pytest

from sipmesh.cli.users import passwords
from sipmesh.cli.users.passwords import known_password, new_password
from sipmesh.errors import OperatorError


class Reader(Protocol):
    """Reads a password of one user."""

    def __call__(self, whose: str, *, from_stdin: bool) -> str: ...


READERS: list[Reader] = [new_password, known_password]


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize("line", ["pass word\n", "pass word\r\n", "pass word", "pass word\nanother\n"])
def test_password_is_the_first_line_of_the_standard_input(
    monkeypatch: pytest.MonkeyPatch, read: Reader, line: str
) -> None:
    """Only the line end is removed: a space may belong to a password."""
    monkeypatch.setattr("sys.stdin", io.StringIO(line))
    assert read("alice", from_stdin=True) == "pass word"


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize("line", ["", "\n", "\r\n", "\nsecond line\n"])
def test_empty_first_line_is_no_password(monkeypatch: pytest.MonkeyPatch, read: Reader, line: str) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(line))
    with pytest.raises(OperatorError, match="has no password"):
        read("alice", from_stdin=True)


@pytest.mark.parametrize(("read", "twice"), [(new_password, True), (known_password, False)])
def test_only_a_new_password_is_typed_twice(monkeypatch: pytest.MonkeyPatch, read: Reader, *, twice: bool) -> None:
    asked: list[tuple[str, bool]] = []

    def prompt(what: str, _otherwise: str, *, twice: bool = False) -> str:
        asked.append((what, twice))
        return "typed"

    monkeypatch.setattr(passwords, "prompt_secret", prompt)
    assert read("alice", from_stdin=False) == "typed"
    assert asked == [("Password of alice", twice)]
