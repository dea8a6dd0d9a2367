"""The result of one check."""

from __future__ import annotations

from sipmesh.cli.doctor.check import Check, State, bad, good, skipped, warning


def test_only_what_is_to_be_done_has_a_remedy() -> None:
    assert good("disk", "room") == Check("disk", State.GOOD, "room")
    assert skipped("dns", "loopback").remedy == ""
    assert warning("disk", "little room", "make room").state is State.WARNING
    assert bad("disk", "no room", "make room").remedy == "make room"
