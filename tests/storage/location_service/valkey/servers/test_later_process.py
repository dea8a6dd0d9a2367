"""A later process of this server counts as gone once its lease has stayed the same for some renewals."""

from __future__ import annotations

from sipmesh.storage.location_service.valkey.servers.later_process import GONE_S, LaterProcess


def test_process_whose_lease_stays_the_same_is_gone() -> None:
    later = LaterProcess()
    assert later.ended(GONE_S) == ""
    assert later.seen("REPLACED 9 1", 10.0)
    assert later.seen("REPLACED 9 1", 10.0 + GONE_S / 2)
    assert later.ended(10.0 + GONE_S - 0.1) == ""
    assert later.ended(10.0 + GONE_S) == "9 1"


def test_process_that_renews_its_lease_is_there() -> None:
    later = LaterProcess()
    assert later.seen("REPLACED 9 1", 10.0)
    assert later.seen("REPLACED 9 2", 10.0 + GONE_S)
    assert later.ended(10.0 + GONE_S) == ""


def test_other_refusals_say_nothing_of_it() -> None:
    later = LaterProcess()
    assert not later.seen("READONLY you cannot", 0.0)
