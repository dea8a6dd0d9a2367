"""What was made of texts lately, so that it need not be made again: peers repeat themselves, message after message."""

from __future__ import annotations

from typing import TypeVar

Made = TypeVar("Made")


def keep(held: dict[str, Made], most: int, text: str, made: Made) -> Made:
    """Hold what was made of *text*, and give it back; look it up in *held* itself.

    Where there are *most* already, all of them are let go: a peer that never repeats itself costs the others one making in so
    many, and a look-up has no order to keep.
    """
    if len(held) >= most:
        held.clear()
    held[text] = made
    return made
