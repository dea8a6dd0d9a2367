"""A cache of parsed texts. Peers send the same texts again and again, so each text is parsed once."""

from __future__ import annotations

from hashlib import blake2b
from typing import Final, TypeVar

Made = TypeVar("Made")

LONGEST_KEY: Final = 256
"""Characters of a text of a peer that a table keeps as a key."""


def keep(cache: dict[str, Made], most: int, text: str, made: Made) -> Made:
    """Store *made*, the result of parsing *text*, in *cache*, and return it. Read *cache* directly.

    A cache of *most* entries is cleared before the new entry is stored. So no order of use has to be kept. A peer that sends
    only new texts makes the texts of others be parsed again, but only once in *most* texts.
    """
    if len(cache) >= most:
        cache.clear()
    cache[text] = made
    return made


def short_key(text: str) -> str:
    """Give the key of *text* in a table: the text, or the hash of a longer one.

    The number of entries bounds such a table. A peer must not fill the memory by texts that are as long as a header.
    """
    if len(text) <= LONGEST_KEY:
        return text
    return blake2b(text.encode(errors="surrogateescape"), digest_size=32).hexdigest()
