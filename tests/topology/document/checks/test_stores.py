"""Contradictions: stores that cannot work, and that the servers of a pool do not share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sipmesh.topology.view import view

if TYPE_CHECKING:
    from topology.world import Place


POOL1, POOL2 = (f"  - name: pool{number}.example.test\n" for number in (1, 2))
EDGE = "  - name: sip.example.test\n"
GENERAL = "{bindings: 'valkeys://a.example.test', valkey: {user: general, anchors: [anchors/a.pem]}}"


@pytest.mark.parametrize(
    ("storage", "field", "reason"),
    [
        ("{bindings: 'valkeys://fe:hunter2@a.example.test'}", "storage.bindings", "a user name or a password"),
        ("{bindings: 'valkeys://a.example.test'}", "storage.bindings", "needs `valkey.anchors`"),
        ("{valkey: {user: fe}}", "storage.valkey", "no effect while `bindings` is a file"),
        (
            "{bindings: 'valkey://127.0.0.1', valkey: {anchors: [anchors/a.pem]}}",
            "storage.valkey.anchors",
            "no effect without TLS",
        ),
        (
            "{bindings: 'valkeys://a.example.test', valkey: {anchors: [anchors/a.pem], key: servers/k.key}}",
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
    messages = "postgresql+psycopg://db.test/m?sslmode=verify-full&sslrootcert=anchors/db.pem"
    storage = f"{{bindings: 'valkeys://a.example.test', messages: '{messages}', valkey: {{anchors: [anchors/a.pem]}}}}"
    place.spoil(
        ("{name: fe2.example.test, address: 127.0.0.2}", "{name: fe2.example.test, address: 192.0.2.2}"),
        ("federation:\n", f"storage: {storage}\nfederation:\n"),
    )
    assert str(view(place.load(), "fe1.example.test").valkey_url) == "valkeys://a.example.test"


@pytest.mark.parametrize(
    ("pool", "storage", "field", "reason"),
    [
        (POOL2, "{bindings: 'valkeys://fe:hunter2@a.example.test'}", "storage.bindings", "a user name or a password"),
        (POOL2, "{bindings: 'valkeys://a.example.test'}", "storage.bindings", "needs `valkey.anchors`"),
        (POOL2, "{bindings: state/b.db, valkey: {user: fe}}", "storage.valkey", "no effect while `bindings` is a file"),
        (POOL2, "{valkey: {user: fe}}", "storage", "`bindings` is missing"),
        (POOL2, "{bindings: state/b.db, users: 'sqlite:///u.db'}", "storage.users", "is not a known key"),
        (EDGE, "{bindings: state/b.db}", "storage", "a pool of role edge stores no registrations"),
    ],
)
def test_pool_with_a_store_that_cannot_work_is_refused(
    place: Place, pool: str, storage: str, field: str, reason: str
) -> None:
    """Anchors of the general store do not help."""
    place.spoil((pool, f"{pool}    storage: {storage}\n"), ("federation:\n", f"storage: {GENERAL}\nfederation:\n"))
    [problem] = place.problems()
    assert problem.field == f"pools[{1 if pool == POOL2 else 2}].{field}"
    assert reason in problem.reason
    assert "hunter2" not in str(problem)


def test_pool_with_a_store_of_its_own_uses_it_and_the_others_use_the_general_one(place: Place) -> None:
    own = "{bindings: 'valkeys://b.example.test', valkey: {user: pool2, anchors: [anchors/b.pem]}}"
    place.spoil((POOL2, f"{POOL2}    storage: {own}\n"), ("federation:\n", f"storage: {GENERAL}\nfederation:\n"))
    loaded = place.load()
    stores = [view(loaded, server).bindings_storage for server in ("fe2.example.test", "fe3.example.test")]
    assert [(str(store.bindings), store.valkey.user, store.valkey.anchors) for store in stores] == [
        ("valkeys://a.example.test", "general", ("anchors/a.pem",)),
        ("valkeys://b.example.test", "pool2", ("anchors/b.pem",)),
    ]


def test_pool_on_two_machines_may_have_a_store_while_the_general_one_is_a_file(place: Place) -> None:
    own = "{bindings: 'valkeys://b.example.test', valkey: {anchors: [anchors/b.pem]}}"
    place.spoil(
        ("{name: fe2.example.test, address: 127.0.0.2}", "{name: fe2.example.test, address: 192.0.2.2}"),
        (POOL1, f"{POOL1}    storage: {own}\n"),
        ("federation:\n", "messages: {per_user: 0}\nfederation:\n"),
    )
    loaded = place.load()
    assert str(view(loaded, "fe1.example.test").valkey_url) == "valkeys://b.example.test"
    seen = view(loaded, "fe3.example.test")
    assert (seen.valkey_url, seen.bindings_file) == (None, place.file.parent / "state" / "bindings.db")


@pytest.mark.parametrize("own", ["state/pool1.db", "'valkey://127.0.0.1'"])
def test_pool_on_two_machines_with_a_store_that_they_do_not_share_is_refused_with_any_general_store(
    place: Place, own: str
) -> None:
    place.spoil(
        ("{name: fe2.example.test, address: 127.0.0.2}", "{name: fe2.example.test, address: 192.0.2.2}"),
        (POOL1, f"{POOL1}    storage: {{bindings: {own}}}\n"),
        ("federation:\n", f"storage: {GENERAL}\nmessages: {{per_user: 0}}\nfederation:\n"),
    )
    [problem] = place.problems()
    assert problem.field == "pools[0].servers"
    assert own.strip("'") in problem.reason


def test_pool_on_two_machines_each_with_its_own_store_is_refused(place: Place) -> None:
    place.spoil(
        ("{name: fe2.example.test, address: 127.0.0.2}", "{name: fe2.example.test, address: 192.0.2.2}"),
        ("federation:\n", "storage: {bindings: 'valkey://127.0.0.1'}\nmessages: {per_user: 0}\nfederation:\n"),
    )
    assert "each has its own valkey://127.0.0.1" in place.problem().reason
