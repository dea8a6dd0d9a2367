"""The keys of one pool are those of no other pool, for any name of an organisation."""

from __future__ import annotations

import pytest

from sipmesh.storage.location_service.valkey.keys import Keys, plain

ALICE = "sip:alice@example.test"


@pytest.mark.parametrize(
    ("organisation", "prefix"),
    [
        ("Example", b"sipmesh:{Example/p.test}:"),
        ("A B/c", b"sipmesh:{A%20B%2Fc/p.test}:"),
        ("*?[]{}\\", b"sipmesh:{%2A%3F%5B%5D%7B%7D%5C/p.test}:"),
        ("Ärzte", b"sipmesh:{%C3%84rzte/p.test}:"),
    ],
)
def test_every_key_begins_with_organisation_and_pool(organisation: str, prefix: bytes) -> None:
    """No character of the name ends the part in braces, or is a pattern of an ACL."""
    keys = Keys(organisation, "p.test", bytes(32))
    made = [
        keys.servers,
        keys.leases,
        keys.identity,
        keys.dead,
        keys.bindings("sip:a@b"),
        keys.rows_of("fe"),
    ]
    assert all(key.startswith(prefix) for key in made)
    assert len(set(made)) == len(made)


def test_key_of_rows_names_its_user() -> None:
    keys = Keys("Example", "p.test", bytes(32))
    assert keys.aor(keys.bindings(ALICE)) == ALICE
    assert keys.bindings(ALICE) == Keys("Example", "p.test", bytes(32)).bindings(ALICE)
    assert keys.aor(keys.servers) is None
    assert Keys("Other", "p.test", bytes(32)).aor(keys.bindings(ALICE)) is None


def test_key_of_rows_names_its_user_only_with_the_key_of_the_pool() -> None:
    """A client of the store may follow which keys are changed."""
    made = Keys("Example", "p.test", bytes(32)).bindings(ALICE)
    assert b"alice" not in made
    assert Keys("Example", "p.test", bytes(range(32))).aor(made) is None


@pytest.mark.parametrize("name", [b"", b"!", b"AAAA", b"sip:alice@example.test", 60 * b"A", b"\xff"])
def test_key_that_no_server_of_the_pool_makes_names_no_user(name: bytes) -> None:
    keys = Keys("Example", "p.test", bytes(32))
    assert keys.aor(keys.prefix + b"aor:" + name) is None


def test_octets_that_are_no_text_are_escaped() -> None:
    assert plain("sip:ü@example.test") == "sip:ü@example.test"
    assert plain(b"sip:\xff@example.test".decode("utf-8", "surrogateescape")) == "sip:\\udcff@example.test"
