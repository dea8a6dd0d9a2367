"""What a header announces is known with its last octet, however the octets arrive."""

from __future__ import annotations

import struct
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sipmesh.transport.websocket.announced_length import AnnouncedLength

MOST = 70_000


def header(length: int, opcode: int = 2, *, fin: bool = True, masked: bool = True) -> bytes:
    """The header of a frame with a payload of *length* octets."""
    mask, end = (0x80 if masked else 0), (0x80 if fin else 0)
    if length < 126:
        short = bytes([end | opcode, mask | length])
    elif length < 1 << 16:
        short = bytes([end | opcode, mask | 126]) + struct.pack("!H", length)
    else:
        short = bytes([end | opcode, mask | 127]) + struct.pack("!Q", length)
    return short + (b"mask" if masked else b"")


@pytest.mark.parametrize("length", [0, 1, 125, 126, 65_535, 65_536, MOST])
@pytest.mark.parametrize("masked", [True, False])
def test_message_at_the_limit_is_followed_to_its_end(length: int, *, masked: bool) -> None:
    follower, frame = AnnouncedLength(), header(length, masked=masked) + bytes(length)
    assert follower.follow(2 * frame, MOST) == 2 * len(frame)
    assert follower.octets == length


@pytest.mark.parametrize("length", [MOST + 1, 1 << 30, (1 << 63) - 1])
def test_message_beyond_the_limit_is_known_with_its_header(length: int) -> None:
    follower, announces = AnnouncedLength(), header(length)
    assert follower.follow(announces[:-1], MOST) == len(announces) - 1
    assert follower.octets == 0
    assert follower.follow(announces[-1:] + b"x" * 100, MOST) == 1
    assert follower.octets == length


def test_fragments_count_together_and_frames_of_control_between_them_do_not() -> None:
    follower = AnnouncedLength()
    begun = header(MOST - 10, fin=False) + bytes(MOST - 10) + header(125, 9) + bytes(125)
    assert follower.follow(begun + header(10, 0) + bytes(10), MOST) == len(begun) + 6 + 10
    assert follower.octets == MOST
    last = header(11, 0)
    assert follower.follow(begun + last + bytes(11), MOST) == len(begun) + len(last)


@given(
    frames=st.lists(st.tuples(st.integers(0, 300), st.sampled_from([0, 1, 2, 8, 9]), st.booleans()), max_size=8),
    cuts=st.lists(st.integers(0, 2_500), max_size=8),
)
def test_cuts_between_reads_change_nothing(frames: list[tuple[int, int, bool]], cuts: list[int]) -> None:
    data = b"".join(header(length, opcode, fin=fin) + bytes(length) for length, opcode, fin in frames)
    whole, cut = AnnouncedLength(), AnnouncedLength()
    count = whole.follow(data, 250)
    edges = [0, *sorted(min(at, count) for at in cuts), count]
    for begin, end in pairwise(edges):
        assert cut.follow(data[begin:end], 250) == end - begin
    assert cut.octets == whole.octets
    assert count == len(data) or whole.octets > 250
