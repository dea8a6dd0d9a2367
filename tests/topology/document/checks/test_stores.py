"""Contradictions: stores that cannot work, and that the servers of a pool do not share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from topology.world import Place


@pytest.mark.parametrize(
    ("storage", "field", "reason"),
    [
        ("{bindings: 'valkeys://fe:hunter2@a.example.test'}", "storage.bindings", "a user name or a password"),
        ("{bindings: 'valkeys://a.example.test'}", "storage.bindings", "needs `valkey.anchors`"),
        ("{valkey: {user: fe}}", "storage.valkey", "no effect while `bindings` is a file"),
        (
            "{bindings: 'valkey://127.0.0.1', valkey: {anchors: [a.pem]}}",
            "storage.valkey.anchors",
            "no effect without TLS",
        ),
        (
            "{bindings: 'valkeys://a.example.test', valkey: {anchors: [a.pem], key: k.pem}}",
            "storage.valkey.key",
            "needs `certificate` also",
        ),
    ],
)
def test_document_with_a_store_that_cannot_work_is_refused(place: Place, storage: str, field: str, reason: str) -> None:
    place.spoil(("federation:\n", f"storage: {storage}\nfederation:\n"))
    problem = place.problem()
    assert problem.field == field
    assert reason in problem.reason
    assert "hunter2" not in str(problem)


def test_document_with_a_store_that_several_machines_reach_is_accepted(place: Place) -> None:
    storage = (
        "{bindings: 'valkeys://a.example.test', messages: 'postgresql+psycopg://db/m', valkey: {anchors: [a.pem]}}"
    )
    place.spoil(
        ("{name: fe2.example.test, address: 127.0.0.2}", "{name: fe2.example.test, address: 192.0.2.2}"),
        ("federation:\n", f"storage: {storage}\nfederation:\n"),
    )
    assert str(place.load().valkey_url) == "valkeys://a.example.test"


def test_pool_on_two_machines_each_with_its_own_store_is_refused(place: Place) -> None:
    place.spoil(
        ("{name: fe2.example.test, address: 127.0.0.2}", "{name: fe2.example.test, address: 192.0.2.2}"),
        ("federation:\n", "storage: {bindings: 'valkey://127.0.0.1'}\nmessages: {per_user: 0}\nfederation:\n"),
    )
    assert "each has its own valkey://127.0.0.1" in place.problem().reason
