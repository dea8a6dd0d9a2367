"""How many messages wait for a user: documents of the event package ``message-summary`` (RFC 3842 section 5.2)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from sipmesh.errors import RemoteError
from sipmesh.sip.text import LWS, ascii_lower

BLANK: Final = f"{LWS}\r"

LONGEST: Final = 1024
"""Octets of a document that an application may send."""

CLASSES: Final = ("Voice-Message", "Fax-Message", "Pager-Message", "Multimedia-Message", "Text-Message")
_NAMES: Final = {ascii_lower(name): name for name in CLASSES}
_COUNTS: Final = re.compile(r"([0-9]{1,6})/([0-9]{1,6})(?:[ \t]*\(([0-9]{1,6})/([0-9]{1,6})\))?", re.ASCII)

Counts = tuple[int, int, int, int]
"""New and old messages, and how many of each are urgent."""


@dataclass(frozen=True, slots=True)
class MessageSummary:
    """Whether messages wait, and how many of each class."""

    is_waiting: bool = False
    counts: Mapping[str, Counts] = field(default_factory=lambda: MappingProxyType({}))


def of_texts(count: int) -> MessageSummary:
    """Give the summary of *count* text messages that the user has not seen."""
    return MessageSummary(count > 0, {"Text-Message": (count, 0, 0, 0)})


def read_summary(body: bytes) -> MessageSummary:
    """Read what an application says of one user. Lines with other names are passed over: its account is not that of the user.

    Raises RemoteError 400 for a document without Messages-Waiting or with other counts, and 413 for too many octets.
    """
    if len(body) > LONGEST:
        raise RemoteError(f"a message summary of {len(body)} octets", rule="RFC 3842", status=413)
    waiting, counts = "", dict[str, Counts]()
    for line in body.decode("utf-8", "replace").split("\n"):
        name, _, value = line.partition(":")
        name, value = ascii_lower(name.strip(BLANK)), value.strip(BLANK)
        if name == "messages-waiting":
            waiting = ascii_lower(value)
        elif name in _NAMES:
            counts[_NAMES[name]] = _read_counts(value)
    if waiting not in {"yes", "no"}:
        raise RemoteError("a message summary that does not say whether messages wait", rule="RFC 3842", status=400)
    return MessageSummary(waiting == "yes", counts)


def _read_counts(text: str) -> Counts:
    found = _COUNTS.fullmatch(text)
    if found is None:
        raise RemoteError("a message summary with counts that are no numbers", rule="RFC 3842", status=400)
    new, old, urgent, old_urgent = (int(group or 0) for group in found.groups())
    return new, old, urgent, old_urgent


def merged(summaries: Iterable[MessageSummary]) -> MessageSummary:
    """Give the sum of several summaries of one user."""
    is_waiting, counts = False, dict[str, Counts]()
    for one in summaries:
        is_waiting = is_waiting or one.is_waiting
        for name, more in one.counts.items():
            new, old, urgent, old_urgent = counts.get(name, (0, 0, 0, 0))
            counts[name] = new + more[0], old + more[1], urgent + more[2], old_urgent + more[3]
    return MessageSummary(is_waiting, counts)


def write_summary(aor: str, summary: MessageSummary) -> bytes:
    """Write the document that the phones of *aor* get."""
    lines = [f"Messages-Waiting: {'yes' if summary.is_waiting else 'no'}", f"Message-Account: {aor}"]
    for name in CLASSES:
        if name in summary.counts:
            new, old, urgent, old_urgent = summary.counts[name]
            lines.append(f"{name}: {new}/{old}" + (f" ({urgent}/{old_urgent})" if urgent or old_urgent else ""))
    return ("\r\n".join(lines) + "\r\n").encode("utf-8", "replace")
