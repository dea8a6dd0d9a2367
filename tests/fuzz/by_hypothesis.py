"""Fuzz with Hypothesis: it changes inputs without knowing what they reach, and shrinks what breaks a property."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Final

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from fuzz.target import Target

ROUND: Final = 200
"""Inputs of one round. The time is looked at between two rounds."""

EDGES: Final = (
    *(bytes([octet]) for octet in (0, 9, 10, 13, 32, 34, 37, 38, 42, 44, 47, 58, 59, 60, 61, 62, 64, 91, 92, 93)),
    *(b"\r\n", b"\r\n\r\n", b"\r\n ", b"--", b"\x7f", b"\x80", b"\xff", b"\xc2\x85", b"\xe2\x80\xa8", b"\xe2\x84\xaa"),
    *(b"0", b"-1", b"99999999999999999999", b"%00", b"%41", b'"\\'),
)
"""Octets at which readers disagree: ends of lines, quotes, separators, and letters that Unicode takes for ASCII."""

Edit = tuple[int, int, bytes]


def inputs(corpus: Sequence[bytes]) -> st.SearchStrategy[bytes]:
    """Give inputs of the corpus with up to six edits: at a place, some octets are replaced with others."""
    inserted = st.sampled_from(EDGES) | st.binary(max_size=8) | st.sampled_from(corpus)
    edit = st.tuples(st.integers(0, 4096), st.integers(0, 16), inserted)
    return st.builds(edited, st.sampled_from(corpus), st.lists(edit, max_size=6)) | st.binary(max_size=200)


def edited(data: bytes, edits: Sequence[Edit]) -> bytes:
    """Apply edits, one after the other."""
    for place, length, octets in edits:
        at = place % (len(data) + 1)
        data = data[:at] + octets + data[at + length :]
    return data


def fuzz(target: Target, corpus: Sequence[bytes], seconds: float) -> tuple[int, bytes | None]:
    """Run rounds until *seconds* are over, one at least. Give the number of inputs, and the shortest failing input or None."""
    until, ran = time.monotonic() + seconds, 0
    while True:
        count, failed = run_round(target, corpus, ran)
        ran += count
        if failed is not None or time.monotonic() >= until:
            return ran, failed


def run_round(target: Target, corpus: Sequence[bytes], start: int, most: int = ROUND) -> tuple[int, bytes | None]:
    """Run *most* inputs that are made from the number *start*: the same number makes the same inputs."""
    ran: list[int] = []
    failed: list[bytes] = []

    @seed(start)
    @settings(
        max_examples=most,
        database=None,
        deadline=None,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=tuple(HealthCheck),
    )
    @given(inputs(corpus))
    def holds(data: bytes) -> None:
        ran.append(1)
        try:
            target.run(data)
        except Exception:
            failed.append(data)
            raise

    try:
        holds()
    except Exception:  # noqa: BLE001 - for any exception, the input that has caused it is reported
        return len(ran), min(failed, key=len)
    return len(ran), None
