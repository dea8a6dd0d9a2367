"""Items and states are read as they were written, and anything else is refused."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distribution.world import AT, LIST, TOPOLOGY
from sipmesh.distribution.event import CRL, JOSE
from sipmesh.distribution.items import HIGHEST_NUMBER, LONGEST_STATE, Item, ItemKind, ReplicationState, read_item
from sipmesh.errors import RemoteError

WHOLE = ReplicationState(
    {TOPOLOGY.key: (7, TOPOLOGY.digest), (ItemKind.USERS, ""): (3, "ab"), LIST.key: (0, LIST.digest)}, AT, 8, "MII"
)


@given(st.sampled_from(ItemKind), st.text(st.characters(codec="utf-8")).filter(lambda name: name != "-"), st.binary())
def test_item_is_read_as_it_was_written(kind: ItemKind, name: str, body: bytes) -> None:
    assert read_item(Item(kind, body, name).header, body) == Item(kind, body, name)


@pytest.mark.parametrize("header", ["", "list", "list a", "weather - 00", "list %ff 00", "topology -"])
def test_header_without_its_three_parts_is_refused(header: str) -> None:
    with pytest.raises(RemoteError, match="without the type of its body"):
        read_item(header, b"")


def test_body_with_another_digest_is_refused() -> None:
    with pytest.raises(RemoteError, match="does not match its digest"):
        read_item(TOPOLOGY.header, b"another body")


def test_list_is_of_its_own_content_type() -> None:
    assert {kind: kind.content_type for kind in ItemKind} == {**dict.fromkeys(ItemKind, JOSE), ItemKind.LIST: CRL}


def test_state_is_read_as_it_was_written() -> None:
    read = ReplicationState.decode(WHOLE.encode())
    assert read == WHOLE
    assert (read.topology, read.users) == ((7, TOPOLOGY.digest), 3)
    assert (ReplicationState({}, AT).topology, ReplicationState({}, AT).users) == ((0, ""), 0)


@pytest.mark.parametrize("changed", [{"held": 1}, {"held": [["weather", "", 1, ""]]}, {"highest": "x"}, {"at": ...}])
def test_state_with_a_wrong_member_is_refused(changed: dict[str, object]) -> None:
    document = {**json.loads(WHOLE.encode()), **changed}
    body = json.dumps({key: value for key, value in document.items() if value is not ...}).encode()
    with pytest.raises(RemoteError, match="a state that cannot be read"):
        ReplicationState.decode(body)


@pytest.mark.parametrize("number", [-1, HIGHEST_NUMBER + 1, 10**2000])
def test_state_with_a_number_out_of_range_is_refused(number: int) -> None:
    """It is not signed, and the report of the server that reads it must stay readable."""
    for state in (ReplicationState({}, AT, number), ReplicationState({TOPOLOGY.key: (number, "")}, AT)):
        with pytest.raises(RemoteError, match="a state that cannot be read"):
            ReplicationState.decode(state.encode())
    highest = ReplicationState({TOPOLOGY.key: (HIGHEST_NUMBER, "")}, AT, HIGHEST_NUMBER)
    assert ReplicationState.decode(highest.encode()) == highest


@pytest.mark.parametrize("body", [b"", b"[]", b"[" * 100_000, b'{"held":[],"at":"","highest":1e999,"issuing":""}'])
def test_state_that_is_no_state_is_refused(body: bytes) -> None:
    with pytest.raises(RemoteError, match="a state that cannot be read"):
        ReplicationState.decode(body)


def test_longest_state_is_one_mebibyte() -> None:
    empty = ReplicationState({}, "").encode()
    at = "x" * (LONGEST_STATE - len(empty))
    assert ReplicationState.decode(ReplicationState({}, at).encode()).at == at
    with pytest.raises(RemoteError) as refused:
        ReplicationState.decode(ReplicationState({}, f"{at}x").encode())
    assert refused.value.status == 413
