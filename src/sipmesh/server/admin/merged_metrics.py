"""The metrics of a server of several processes: sums of counts, and the highest of all other values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from prometheus_client import Metric
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from collections.abc import Iterator

SUMMED: Final = frozenset(
    {
        "sipmesh_links",
        "sipmesh_handshakes_in_flight",
        "sipmesh_requests_waiting",
        "sipmesh_bytes_waiting",
        "sipmesh_links_blocked",
        "sipmesh_links_without_login",
        "sipmesh_logins_waiting",
        "sipmesh_connections_waiting",
        "sipmesh_registrations",
        "sipmesh_registration_writes_waiting",
        "sipmesh_subscriptions",
        "sipmesh_publications",
        "sipmesh_calls_up",
        "sipmesh_trunk_calls",
        "sipmesh_trunk_minutes",
        "sipmesh_call_records_waiting",
        "sipmesh_rtpengine_commands_waiting",
        "sipmesh_bridged_dialogs",
    }
)
"""Gauges that count things of one process. Of each other gauge the highest value is shown, such as of an age."""

Packed = Sequence[Mapping[str, Any]]
"""Families of metrics in a form that JSON can carry."""


def packed(families: Iterable[Metric]) -> Packed:
    """Return families of metrics in a form that JSON can carry."""
    return [
        {
            "name": family.name,
            "text": family.documentation,
            "type": family.type,
            "samples": [[sample.name, sample.labels, sample.value] for sample in family.samples],
        }
        for family in families
    ]


class MergedMetrics(Collector):
    """The metrics of several processes, as each of them has packed its own."""

    def __init__(self, everyone: Sequence[Packed]) -> None:
        self._everyone = everyone

    def collect(self) -> Iterator[Metric]:
        """Yield every metric."""
        return merged(self._everyone)


def merged(everyone: Sequence[Packed]) -> Iterator[Metric]:
    """Yield each family once, with the values of all processes."""
    families: dict[str, Metric] = {}
    values: dict[tuple[str, str, tuple[tuple[str, str], ...]], float] = {}
    for family in (family for process in everyone for family in process):
        name = family["name"]
        families.setdefault(name, Metric(name, family["text"], family["type"]))
        is_summed = family["type"] != "gauge" or name in SUMMED
        for sample, labels, value in family["samples"]:
            key = name, sample, tuple(labels.items())
            before = values.get(key)
            values[key] = value if before is None else before + value if is_summed else max(before, value)
    for (name, sample, labels), value in values.items():
        families[name].add_sample(sample, dict(labels), value)
    yield from families.values()
