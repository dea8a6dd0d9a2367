"""The report to management of a server of several processes, made of those of its processes."""

from __future__ import annotations

from collections import Counter
from itertools import zip_longest
from typing import TYPE_CHECKING

from sipmesh.server.replication.server_status import (
    MOST_CAUSES,
    MOST_NAMES,
    MOST_NEIGHBOURS,
    MOST_REFUSALS,
    ApplicationUse,
    CallerUse,
    ServerStatus,
    TrunkUse,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence


def merged_status(own: ServerStatus, others: Sequence[ServerStatus]) -> ServerStatus:
    """Return the report of the whole server: *own* is that of the supervisor, *others* are those of its workers."""
    everyone = [own, *others]
    links, refusals = Counter[str](), Counter[str]()
    for status in everyone:
        links.update(status.links)
        refusals.update(status.refusals)
    turns = zip_longest(*(status.refused for status in everyone))
    refused = [text for turn in turns for text in turn if text is not None]
    neighbours = sorted((one for status in everyone for one in status.neighbours), key=lambda one: -one.messages)
    return own.model_copy(
        update={
            "links": dict(links),
            "peers": _united(status.peers for status in everyone),
            "refused": tuple(refused[:MOST_REFUSALS]),
            "anchors": _united(status.anchors for status in everyone),
            "unanswered": _united(status.unanswered for status in everyone),
            "taken_over": _united(status.taken_over for status in everyone),
            "neighbours": tuple(neighbours[:MOST_NEIGHBOURS]),
            "messages": sum(status.messages for status in everyone),
            "refusals": dict(refusals.most_common(MOST_CAUSES)),
            "certificate_fault": _first(status.certificate_fault for status in everyone),
            "bindings_fault": _first(status.bindings_fault for status in everyone),
            "messages_fault": _first(status.messages_fault for status in everyone),
            "call_bounds": _united(status.call_bounds for status in everyone)[:MOST_REFUSALS],
            "records_fault": _first(status.records_fault for status in everyone),
            "rtpengine_fault": _first(status.rtpengine_fault for status in everyone),
            "trunks": tuple(_trunks(everyone)),
            "callers": tuple(_callers(everyone)),
            "applications": tuple(_applications(everyone)),
        }
    )


def _trunks(everyone: Sequence[ServerStatus]) -> Iterator[TrunkUse]:
    """Sum the calls of each trunk; it fails for the server if it fails for one of the processes."""
    uses: dict[str, list[TrunkUse]] = {}
    for status in everyone:
        for one in status.trunks:
            uses.setdefault(one.trunk, []).append(one)
    for name, used in sorted(uses.items())[:MOST_NAMES]:
        calls, minutes = sum(one.calls for one in used), sum(one.minutes for one in used)
        yield TrunkUse(trunk=name, calls=calls, fails=any(one.fails for one in used), minutes=minutes)


def _callers(everyone: Sequence[ServerStatus]) -> Sequence[CallerUse]:
    """Sum what each user has called; the users who have called most come first. Processes may know the same countries."""
    found: dict[str, CallerUse] = {}
    for one in (one for status in everyone for one in status.callers):
        before = found.get(one.user)
        summed = {"calls": one.calls + before.calls, "minutes": one.minutes + before.minutes} if before else {}
        summed |= {"countries": max(one.countries, before.countries)} if before else {}
        found[one.user] = one.model_copy(update=summed)
    return sorted(found.values(), key=lambda one: -one.minutes)[:MOST_CAUSES]


def _applications(everyone: Sequence[ServerStatus]) -> Iterator[ApplicationUse]:
    """Sum the uses of each application."""
    uses: dict[str, list[ApplicationUse]] = {}
    for one in (one for status in everyone for one in status.applications):
        uses.setdefault(one.application, []).append(one)
    for name, used in sorted(uses.items())[:MOST_NAMES]:
        calls, called = sum(one.calls for one in used), sum(one.called for one in used)
        yield ApplicationUse(application=name, calls=calls, called=called, mailboxes=sum(one.mailboxes for one in used))


def _first(faults: Iterable[str]) -> str:
    return next(filter(None, faults), "")


def _united(names: Iterable[Iterable[str]]) -> tuple[str, ...]:
    return tuple(sorted({name for some in names for name in some})[:MOST_NAMES])
