"""A cache of parsed texts. Peers send the same texts again and again, so each text is parsed once."""

from __future__ import annotations

from typing import TypeVar

Made = TypeVar("Made")


def keep(cache: dict[str, Made], most: int, text: str, made: Made) -> Made:
    """Store *made*, the result of parsing *text*, in *cache*, and return it. Read *cache* directly.

    A cache of *most* entries is cleared before the new entry is stored. So no order of use has to be kept. A peer that sends
    only new texts makes the texts of others be parsed again, but only once in *most* texts.
    """
    if len(cache) >= most:
        cache.clear()
    cache[text] = made
    return made
