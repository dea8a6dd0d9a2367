"""Changes of the general stores, and of those of single pools."""

from __future__ import annotations

import pytest

from sipmesh.topology.versions.difference import difference
from topology.changed_text import back, loaded, told
from topology.world import Place

POOL2 = "  - name: pool2.example.test\n"
WHOSE = "pool pool2.example.test's"
TLS = "valkeys://b.example.test"
OWN = f"{{bindings: '{TLS}', valkey: {{user: two, anchors: [anchors/b.pem]}}}}"


def own(storage: str) -> tuple[str, str]:
    return POOL2, f"{POOL2}    storage: {storage}\n"


def test_pool_that_gets_a_store_of_its_own_is_reported_and_so_is_the_way_back(place: Place) -> None:
    assert told(place, own(OWN)) == [
        f"{WHOSE} store of the bindings changes from the general one to one of its own, {TLS}, user two"
    ]
    assert back(place, own("{bindings: state/two.db}")) == [
        f"{WHOSE} store of the bindings changes from one of its own, state/two.db to the general one"
    ]


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("b.example.test", "c.example.test", f"store of the bindings changes from {TLS} to valkeys://c.example.test"),
        ("user: two, ", "", "user of the store of the bindings changes from two to the default"),
        (
            "anchors/b.pem",
            "anchors/c.pem",
            "list of anchors of the store of the bindings changes from anchors/b.pem to anchors/c.pem",
        ),
        (
            "user: two",
            "user: two, password_file: secrets/s",
            "password file of the store of the bindings changes from the environment to secrets/s",
        ),
        (
            "user: two",
            "user: two, sentinel: main",
            "name of the primary of the store of the bindings changes from none to main",
        ),
    ],
)
def test_each_change_of_the_store_of_a_pool_has_words(place: Place, old: str, new: str, line: str) -> None:
    before, after = loaded(place, own(OWN)), loaded(place, own(OWN.replace(old, new)))
    assert difference(before, after) == [f"{WHOSE} {line}"]


def test_general_store_has_words_of_its_own(place: Place) -> None:
    storage = f"storage: {OWN}\nfederation:\n"
    assert told(place, ("federation:\n", storage)) == [
        f"the store of the bindings changes from state/bindings.db to {TLS}",
        "the user of the store of the bindings changes from the default to two",
        "the list of anchors of the store of the bindings changes from none to anchors/b.pem",
    ]


def test_new_pool_is_reported_with_its_store(place: Place) -> None:
    pool = (
        f"{POOL2.replace('pool2', 'pool3')}    role: front-end\n    servers: [fe9.example.test]\n    storage: {OWN}\n"
    )
    assert told(place, ("federation:\n", f"{pool}federation:\n"))[0] == (
        f"pool pool3.example.test is added (front-end, its own store of the bindings {TLS})"
    )
