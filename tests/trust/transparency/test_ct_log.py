"""A log is known by the hash of its key."""

from __future__ import annotations

import hashlib

from sipmesh.trust.transparency.ct_log import CtLog, CtMode
from trust.ct import SigningLog


def test_id_of_a_log_is_the_hash_of_its_key() -> None:
    log = SigningLog("Google")
    assert log.known().id == hashlib.sha256(log.spki).digest()
    assert CtLog("A", log.spki).id == CtLog("B", log.spki).id


def test_modes_are_in_the_order_of_their_demand() -> None:
    assert [str(mode) for mode in CtMode] == ["off", "report", "require"]
