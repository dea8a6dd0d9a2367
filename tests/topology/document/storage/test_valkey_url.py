"""The URL of a store: read in one form, written back, and never with a secret."""

from __future__ import annotations

import pytest
from pydantic_core import PydanticCustomError

from sipmesh.topology.document.storage.valkey_url import file_or_store, valkey_url


@pytest.mark.parametrize(
    ("text", "addresses"),
    [
        ("valkey://127.0.0.1", (("127.0.0.1", 6379),)),
        ("valkey://localhost:7000/3", (("localhost", 7000),)),
        ("valkeys://[2001:db8::1]:7000", (("2001:db8::1", 7000),)),
        ("valkeys://a.example.test,b.example.test:7001/15", (("a.example.test", 6379), ("b.example.test", 7001))),
    ],
)
def test_url_has_addresses_and_a_database(text: str, addresses: tuple[tuple[str, int], ...]) -> None:
    url = valkey_url(text)
    assert url.addresses() == addresses
    assert str(url) == text
    assert url.tls is text.startswith("valkeys")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("redis://127.0.0.1", "another scheme"),
        ("valkey://:hunter2@127.0.0.1", "a user name or a password"),
        ("valkeys://fe:hunter2@a.example.test", "a user name or a password"),
        ("valkeys://a.example.test?password=hunter2", "not the URL"),
        ("valkeys://a.example.test/x", "no number of a database"),
        ("valkeys://a.example.test/1024", "no number of a database"),
        ("valkeys://", "addresses"),
        ("valkeys://" + ",".join(["a.example.test"] * 10), "addresses"),
        ("valkeys://a.example.test:0", "is not a port"),
        ("valkey://192.0.2.1", "without TLS"),
        ("valkey://127.0.0.1,a.example.test", "without TLS"),
    ],
)
def test_url_that_does_not_fit_is_refused_without_repeating_a_secret(text: str, reason: str) -> None:
    with pytest.raises(PydanticCustomError, match=reason) as refused:
        valkey_url(text)
    assert "hunter2" not in str(refused.value) + str(refused.value.context)


def test_file_is_a_file() -> None:
    assert file_or_store("state/bindings.db") == "state/bindings.db"
