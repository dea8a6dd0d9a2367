"""What tokens say: the sides of a dialog, and the tokens of two servers of one pool that are joined."""

import pytest

from sipmesh.errors import LocalError
from sipmesh.routing.identity.dialog_token import (
    HASH_BYTES,
    Begun,
    DialogToken,
    FlowSide,
    PeerSide,
    Side,
    joined,
    owner_hash,
    pack,
)

ALICE = FlowSide(7, 41, owner_hash("sip:alice@example.test"))
BOB = FlowSide(7, 42, owner_hash("sip:bob@example.test"))
POOL = PeerSide(owner_hash("pool1.example.test"))
CALL, OTHER = (Begun(*(bytes([start + part]) * HASH_BYTES for part in range(4))) for start in (0, 10))


@pytest.mark.parametrize(("sender", "other"), [(ALICE, POOL), (POOL, ALICE), (PeerSide(owner_hash("else")), None)])
def test_the_sender_is_one_side_and_the_request_goes_to_the_other(sender: Side, other: Side | None) -> None:
    assert DialogToken(ALICE, POOL, CALL).other_side(sender) == other


@pytest.mark.parametrize(
    ("first", "second", "ends"),
    [
        (DialogToken(ALICE, POOL, CALL), DialogToken(POOL, BOB, CALL), (ALICE, BOB)),
        (DialogToken(POOL, BOB, CALL), DialogToken(ALICE, POOL, CALL), (ALICE, BOB)),
        (DialogToken(ALICE, POOL, CALL), DialogToken(POOL, BOB, OTHER), None),
        (DialogToken(ALICE, BOB, CALL), DialogToken(POOL, BOB, CALL), None),
        (DialogToken(ALICE, POOL, CALL), DialogToken(ALICE, BOB, CALL), None),
    ],
    ids=["in order", "in reverse", "two dialogs", "first elsewhere", "second elsewhere"],
)
def test_tokens_of_one_pool_are_joined_to_the_ends_of_their_dialog(
    first: DialogToken, second: DialogToken, ends: tuple[Side, Side] | None
) -> None:
    assert joined(first, second, POOL) == (None if ends is None else DialogToken(*ends, CALL))


def test_joined_tokens_go_on_by_the_entry_behind_both() -> None:
    near, far = (bytes([octet]) * HASH_BYTES for octet in (1, 2))
    pairs: list[tuple[tuple[Side, Side], tuple[Side, Side]]] = [
        ((ALICE, POOL), (POOL, BOB)),
        ((POOL, BOB), (ALICE, POOL)),
    ]
    for first, second in pairs:
        one = joined(DialogToken(first[0], first[1], CALL, near), DialogToken(second[0], second[1], CALL, far), POOL)
        assert one is not None
        assert one.onward == far


def test_side_that_does_not_fit_is_a_local_error() -> None:
    with pytest.raises(LocalError):
        pack(FlowSide(7, 1 << 64, ALICE.owner))
