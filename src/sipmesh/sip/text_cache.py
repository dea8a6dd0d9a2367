"""A cache of parsed texts. Peers send the same texts again and again, so each text is parsed once."""

from __future__ import annotations

from hashlib import blake2b
from typing import Final, Generic, TypeVar, final

Made = TypeVar("Made")

LONGEST_KEY: Final = 256
"""Characters of a text of a peer that a table keeps as a key."""


@final
class TextCache(Generic[Made]):
    """What was made of the texts that were used last, at most *most* of them, and for a while half as many that are freed.

    Texts are in two generations. Once the newest generation has half of *most* texts, it becomes the earlier generation. A text
    of the earlier generation that is used again enters the newest. All other texts of the earlier generation are freed later,
    one for each text that enters: to free thousands at once would stop the process for milliseconds.
    """

    __slots__ = ("_earlier", "_freed", "_half", "_newest")

    def __init__(self, most: int) -> None:
        self._half = max(1, most // 2)
        self._newest: dict[str, Made] = {}
        self._earlier: dict[str, Made] = {}
        self._freed: dict[str, Made] = {}

    def __repr__(self) -> str:
        return f"<TextCache {len(self)} of {2 * self._half}>"

    def __len__(self) -> int:
        return len(self._newest) + len(self._earlier)

    def clear(self) -> None:
        """Forget everything."""
        self._newest, self._earlier, self._freed = {}, {}, {}

    def get(self, text: str) -> Made | None:
        """Give what was made of *text*; None if it is not kept."""
        made = self._newest.get(text)
        if made is None and self._earlier:
            made = self._earlier.get(text)
            if made is not None:
                self.keep(text, made)
        return made

    def keep(self, text: str, made: Made) -> Made:
        """Keep *made*, the result of parsing *text*, and return it."""
        if len(self._newest) >= self._half:
            self._freed, self._earlier, self._newest = self._earlier, self._newest, {}
        if self._freed:
            self._freed.popitem()
        self._newest[text] = made
        return made


def short_key(text: str) -> str:
    """Give the key of *text* in a table: the text, or the hash of a longer one.

    The number of entries bounds such a table. A peer must not fill the memory by texts that are as long as a header.
    """
    if len(text) <= LONGEST_KEY:
        return text
    return blake2b(text.encode(errors="surrogateescape"), digest_size=32).hexdigest()
