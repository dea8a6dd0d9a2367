"""Entries are compared with what they were, at any place of the document."""

from __future__ import annotations

from sipmesh.topology.versions.grants.key_changes import key_changes
from sipmesh.topology.versions.grants.rules import is_whole
from topology.versions.grants.test_rules import FE3, MANAGED, POOL2, SAME, changed, loaded, part


def keys(old: str, new: str) -> list[str]:
    return [f"{change.place} {change.key}".strip() for change in key_changes(loaded(old), loaded(new), is_whole)]


def test_equal_documents_have_no_change() -> None:
    assert keys(MANAGED, changed(SAME)) == []


def test_pool_with_another_name_is_the_same_pool() -> None:
    """Its servers have another pool by name, and the rest stays."""
    renamed = keys(MANAGED, changed((POOL2, POOL2.replace("pool2", "pool9"))))
    assert renamed == [
        "pool9.example.test pools",
        "pool9.example.test pools.name",
        "fe3.example.test pools.servers",
    ]


def test_server_in_another_place_is_the_same_server() -> None:
    """Only its key differs from the defaults, so that a new server that has all defaults differs by its name."""
    plain = changed((FE3, "servers: [fe3.example.test, fe4.example.test]"))
    assert "fe4.example.test pools.servers" in keys(MANAGED, plain)
    assert [key for key in keys(MANAGED, plain) if "pools.servers." in key] == ["fe4.example.test pools.servers.name"]
    own = changed((FE3, "servers: [{name: fe4.example.test, key: x.key}, fe3.example.test]"))
    assert "fe4.example.test pools.servers.key" in keys(MANAGED, own)


def test_new_part_is_compared_with_its_defaults() -> None:
    assert keys(MANAGED, changed(part("websocket: {}"))) == ["websocket"]
    assert keys(MANAGED, changed(part("websocket: {phone: true}"))) == ["websocket", "websocket.phone"]


def test_partner_that_goes_is_one_change() -> None:
    gone = MANAGED[: MANAGED.index("    - domains: [other.test")] + MANAGED[MANAGED.index("  # never again") :]
    assert keys(MANAGED, gone) == ["federation", "partner other.test federation.partners"]


def test_entries_of_a_part_that_goes_are_gone_too() -> None:
    console = changed(
        part("console: {listen: 8444, operators: [{name: ada, role: operator, token_sha256: " + "a" * 64 + "}]}")
    )
    assert keys(console, MANAGED) == ["console", "ada console.operators"]
