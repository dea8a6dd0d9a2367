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
    ServerStatus,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


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
            "records_fault": _first(status.records_fault for status in everyone),
        }
    )


def _first(faults: Iterable[str]) -> str:
    return next(filter(None, faults), "")


def _united(names: Iterable[Iterable[str]]) -> tuple[str, ...]:
    return tuple(sorted({name for some in names for name in some})[:MOST_NAMES])
