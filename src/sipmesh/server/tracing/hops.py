"""What a trace tells of one message: between whom it went, whether it was shown before, and what a server has changed in it."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

from sipmesh.sip.text import LWS, ascii_lower, ascii_upper

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sipmesh.server.tracing.traced_message import TracedMessage

MOST_KEPT: Final = 2_000
LONGEST_VALUE: Final = 40
"""Characters of a changed value that are shown; of a longer value, only the name of its field is."""


Recent: TypeAlias = "OrderedDict[tuple[str, ...], TracedMessage]"


@dataclass(frozen=True, slots=True)
class Hop:
    """A message on its way from *sender* to *receiver*, as one of them has shown it. *changes* are those of the sender.

    Both are servers by name, and clients by their server and link. *is_first* is false if the other end has shown the same
    message before.
    """

    message: TracedMessage
    sender: str
    receiver: str
    changes: tuple[str, ...]
    is_first: bool

    @property
    def from_label(self) -> str:
        """The sender, as a reader knows it."""
        return label(self.message) if self.message.kind == "client" and self.message.received else self.sender

    @property
    def to_label(self) -> str:
        """The receiver, as a reader knows it."""
        return label(self.message) if self.message.kind == "client" and not self.message.received else self.receiver


class Hops:
    """Makes hops of messages in the order in which they come."""

    def __init__(self) -> None:
        self._seen: Recent = OrderedDict()
        self._arrived: Recent = OrderedDict()

    def hop(self, message: TracedMessage) -> Hop:
        """Return the hop that *message* shows."""
        peer = message.peer if message.kind != "client" else f"{message.server} {message.link}"
        sender, receiver = (peer, message.server) if message.received else (message.server, peer)
        seen = (sender, receiver, message.call_id, message.cseq, message.branch, message.start_line)
        is_first = seen not in self._seen
        _keep(self._seen, seen, message)
        kind = message.cseq if message.is_request else message.start_line
        arrived = (message.server, message.call_id, message.cseq, kind)
        if message.received:
            _keep(self._arrived, arrived, message)
            return Hop(message, sender, receiver, (), is_first)
        before = self._arrived.get(arrived)
        changed = tuple(changes(before.head, message.head)) if before is not None else ("made here",)
        return Hop(message, sender, receiver, changed, is_first)


def _keep(kept: Recent, key: tuple[str, ...], value: TracedMessage) -> None:
    kept[key] = value
    if len(kept) > MOST_KEPT:
        kept.popitem(last=False)


def label(message: TracedMessage) -> str:
    """Return the name of a client for a reader: its user without the domain, and its link, since a user has several devices."""
    user = message.peer.partition("@")[0] if "@" in message.peer else ""
    return f"{user} {message.link}" if user else message.link


def changes(before: str, after: str) -> Iterable[str]:
    """Give what differs between two heads: `+` and `-` for fields that came and went, and the new value of a short one."""
    old, new = _fields(before), _fields(after)
    old_start, new_start = before.partition("\n")[0], after.partition("\n")[0]
    if old_start != new_start:
        yield f"Request-URI -> {new_start.partition(' ')[2].rpartition(' ')[0]}"
    for name in [*old, *(name for name in new if name not in old)]:
        had, has = old.get(name, []), new.get(name, [])
        if had == has:
            continue
        if len(has) != len(had):
            yield f"{'+' if len(has) > len(had) else '-'}{_titled(name)}"
        elif len(has) == 1 and len(has[0]) <= LONGEST_VALUE:
            yield (
                f"{_titled(name)} {had[0]} -> {has[0]}" if len(had[0]) <= LONGEST_VALUE else f"{_titled(name)} {has[0]}"
            )
        else:
            yield f"{_titled(name)} changed"


def _fields(head: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in head.split("\n")[1:]:
        name, _, value = line.partition(":")
        found.setdefault(ascii_lower(name.strip(LWS)), []).append(value.strip(LWS))
    return found


def _titled(name: str) -> str:
    return "-".join(ascii_upper(part[:1]) + part[1:] for part in name.split("-"))
