"""The report to management of a server of several processes, made of those of its processes."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from sipmesh.server.replication.server_status import MOST_NAMES, MOST_REFUSALS, ServerStatus

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


def merged_status(own: ServerStatus, others: Sequence[ServerStatus]) -> ServerStatus:
    """Return the report of the whole server: *own* is that of the supervisor, *others* are those of its workers."""
    everyone = [own, *others]
    links: Counter[str] = Counter()
    for status in everyone:
        links.update(status.links)
    refused = [text for status in everyone for text in status.refused]
    return own.model_copy(
        update={
            "links": dict(links),
            "peers": _united(status.peers for status in everyone),
            "refused": tuple(refused[:MOST_REFUSALS]),
            "anchors": _united(status.anchors for status in everyone),
            "unanswered": _united(status.unanswered for status in everyone),
            "taken_over": _united(status.taken_over for status in everyone),
            "certificate_fault": next(
                (status.certificate_fault for status in everyone if status.certificate_fault), ""
            ),
        }
    )


def _united(names: Iterable[Iterable[str]]) -> tuple[str, ...]:
    return tuple(sorted({name for some in names for name in some})[:MOST_NAMES])
