"""One line of a journal: the record of a call or message as JSON, in the two parts of which only the second one changes."""

from __future__ import annotations

from json.encoder import encode_basestring_ascii
from typing import TYPE_CHECKING, Final, final

if TYPE_CHECKING:
    from collections.abc import Iterable

NULL: Final = "null"
_UP: Final = ',"end":null,"seconds":null,"why":""}\n'


@final
class JournalEntry:
    """A line. *head* has what is known at the final response, *tail* the end of the call; *key* is from `key_of`.

    Each call has a line as it comes up, and a line as it ends. So the texts are made once, and the second line takes the *head*
    of the first one.
    """

    __slots__ = ("head", "key", "tail")

    def __init__(self, key: str, head: str, tail: str = _UP) -> None:
        self.key, self.head, self.tail = key, head, tail

    @property
    def is_up(self) -> bool:
        """Whether the call has not ended."""
        return self.tail == _UP

    @property
    def line(self) -> bytes:
        """The line, with its end."""
        return (self.head + self.tail).encode()

    def ended(self, end: str, seconds: str, why: str) -> JournalEntry:
        """Give the line of the same call, which has ended; all three are JSON."""
        return JournalEntry(self.key, self.head, tail_of(end, seconds, why))


def key_of(server: str, record_id: str) -> str:
    """Give the name of a record in the network: no server can replace a record of another one."""
    return f"{server} {record_id}"


def head_of(
    begins: str,
    call_id: str,
    caller: str,
    proof: str,
    callee: str,
    answered_by: str,
    start: str,
    answer: str,
    status: int,
    refusal: str,
    media: str,
    hops: str,
    forwarded: str,
    trunk: str = "",
    *,
    withheld: bool,
) -> str:
    """Write the part of a line that does not change; *begins* is from `begin_of`, and all texts are JSON.

    *refusal* is from `refusal_of`; *hops* are separated by commas. *trunk* is "" if there is none.
    """
    is_withheld, by_trunk = "true" if withheld else "false", f',"trunk":{trunk}' if trunk else ""
    return (
        f'{begins},"call_id":{call_id},"caller":{caller},"proof":{proof},"withheld":{is_withheld},"callee":{callee},'
        f'"answered_by":{answered_by},"start":{start},"answer":{answer},"status":{status}{refusal},"media":{media},'
        f'"hops":[{hops}],"forwarded":{forwarded}{by_trunk}'
    )


def begin_of(record_id: str, server: str, method: str) -> str:
    """Begin the head of a line: *record_id* and *method* need no escape, *server* is JSON."""
    return f'{{"id":"{record_id}","server":{server},"method":"{method}"'


def refusal_of(code: str, reference: str, by: str = "") -> str:
    """Write code and reference of a refusal, and which server has refused *by* its own word; all three are plain text."""
    named = f',"refused_by":{quoted(by)}' if by else ""
    return f',"code":{quoted(code)},"reference":{quoted(reference)}{named}'


def tail_of(end: str, seconds: str, why: str) -> str:
    """Write the part of a line that says how a call has ended; all three are JSON."""
    return f',"end":{end},"seconds":{seconds},"why":{why}}}\n'


def quoted(text: str) -> str:
    """Write a text as JSON in ASCII."""
    if '"' in text or "\\" in text or not (text.isascii() and text.isprintable()):
        return encode_basestring_ascii(text)
    return f'"{text}"'


def lines_of(entries: Iterable[JournalEntry]) -> bytes:
    """Write the lines of *entries*, one after another."""
    parts: list[str] = []
    for entry in entries:
        parts.append(entry.head)
        parts.append(entry.tail)
    return "".join(parts).encode()


def keep_up(up: dict[str, JournalEntry], entries: Iterable[JournalEntry]) -> None:
    """Have in *up* the calls that are up after the last of *entries*, by their keys."""
    for entry in entries:
        if entry.is_up:
            up[entry.key] = entry
        elif up:
            up.pop(entry.key, None)
