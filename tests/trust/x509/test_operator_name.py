"""The name of an operator: one URI of its own scheme, and nothing beside it."""

from __future__ import annotations

import pytest

from sipmesh.demo.forge import Wish
from sipmesh.trust.x509.operator_name import is_operator_name, operator_name, operator_uri
from trust.network import Network


@pytest.mark.parametrize(
    ("wish", "name"),
    [
        (Wish(uris=("sipmesh-operator:ada",)), "ada"),
        (Wish(uris=("sipmesh-operator:ada", "sipmesh-operator:eve")), ""),
        (Wish(uris=("sipmesh-operator:ada",), dns=("fe1.example.test",)), ""),
        (Wish(uris=("sip:ada",)), ""),
        (Wish(uris=("sipmesh-operator:",)), ""),
        (Wish(uris=("sipmesh-operator:ada/../eve",)), ""),
        (Wish(uris=("SIPMESH-OPERATOR:ada",)), ""),
        (Wish(dns=("ada",)), ""),
        (Wish("ada"), ""),
    ],
)
def test_only_one_uri_of_the_scheme_names_an_operator(wish: Wish, name: str) -> None:
    network = Network()
    assert operator_name(network.forge.forge(wish, network.ours).certificate) == name


def test_uri_is_read_as_it_is_written() -> None:
    assert operator_uri("ada") == "sipmesh-operator:ada"


@pytest.mark.parametrize(
    ("name", "is_one"), [("ada", True), ("a" * 32, True), ("a" * 33, False), ("Ada", False), ("", False)]
)
def test_names_are_those_that_the_topology_allows(name: str, is_one: bool) -> None:  # noqa: FBT001
    assert is_operator_name(name) is is_one
