"""The words of the presence policy are those of the topology."""

from __future__ import annotations

from sipmesh.topology.document.parts.services import Presence
from sipmesh.topology.document.watching import Watching


def test_partners_see_nothing_by_default_and_colleagues_everything() -> None:
    assert (Presence().inside, Presence().partners) == (Watching.ALLOW, Watching.BLOCK)


def test_policy_is_written_as_in_the_topology() -> None:
    assert Presence.model_validate({"inside": "polite-block"}).inside is Watching.POLITE_BLOCK
