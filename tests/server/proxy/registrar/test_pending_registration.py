"""A REGISTER that waits, and a change that others wait for."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from sipmesh.cli.versions import built
from sipmesh.server.proxy.registrar.pending_registration import PendingRegistration, RunningChange
from storage.members import ALICE, PHONE

pytestmark = pytest.mark.skipif(built() == "compiled", reason="what stands for a part is no object of a compiled class")


def pending() -> tuple[PendingRegistration, dict[str, Any]]:
    """A REGISTER of alice that waits, and the requests that its flow still serves."""
    served: dict[str, Any] = {}
    proxied: Any = SimpleNamespace(flow=SimpleNamespace(served=served), key="key")
    served["key"] = proxied
    return PendingRegistration(proxied, ALICE), served


def test_answer_is_awaited_until_its_flow_has_stopped_serving_the_request() -> None:
    """Its link has closed, or another request has the same key."""
    waits, served = pending()
    assert waits.is_awaited
    served["key"] = object()
    assert not waits.is_awaited
    del served["key"]
    assert not waits.is_awaited


def test_registration_that_waits_counts_for_its_user_and_writes_nothing_yet() -> None:
    waits, _ = pending()
    assert (waits.counts, waits.write) == (True, None)


def test_change_names_its_rows_and_those_who_wait_for_it() -> None:
    change = RunningChange(frozenset({PHONE.key}))
    change.next_ones.append(pending()[0])
    assert PHONE.key in change.keys
