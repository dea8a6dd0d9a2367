"""What is said of a change of the text of the topology."""

from __future__ import annotations

from sipmesh.topology.document.load import Loaded, load_text
from sipmesh.topology.versions.difference import difference
from topology.world import TOPOLOGY, Place


def loaded(place: Place, *changes: tuple[str, str]) -> Loaded:
    """The topology with some of its text exchanged; what its files hold stays the same."""
    text = TOPOLOGY
    for old, new in changes:
        assert text.count(old) == 1, f"{old!r} occurs {text.count(old)} times"
        text = text.replace(old, new)
    return load_text(text.encode(), place.file)


def told(place: Place, *changes: tuple[str, str]) -> list[str]:
    """What is said of a change; what is said of the way back must be as much."""
    old, new = loaded(place), loaded(place, *changes)
    assert len(difference(old, new)) == len(difference(new, old))
    return list(difference(old, new))


def back(place: Place, *changes: tuple[str, str]) -> list[str]:
    """What is said of the way back."""
    return list(difference(loaded(place, *changes), loaded(place)))
