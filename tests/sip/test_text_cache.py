"""What was made of texts lately is bounded, for all input of peers."""

from __future__ import annotations

from sipmesh.sip.text_cache import LONGEST_KEY, TextCache, short_key


class Value:
    """What was made of a text; it says when it is freed."""

    def __init__(self, freed: list[int], number: int) -> None:
        self._freed, self._number = freed, number

    def __del__(self) -> None:
        self._freed.append(self._number)


def test_value_is_returned_and_found() -> None:
    cache: TextCache[int] = TextCache(4)
    assert cache.keep("one", 1) == 1
    assert (cache.get("one"), cache.get("two"), len(cache)) == (1, None, 1)


def test_texts_that_were_not_used_lately_are_forgotten() -> None:
    cache: TextCache[int] = TextCache(4)
    for number in range(5):
        cache.keep(str(number), number)
    assert [cache.get(str(number)) for number in range(5)] == [None, None, 2, 3, 4]


def test_text_that_is_used_again_and_again_stays() -> None:
    cache: TextCache[int] = TextCache(4)
    cache.keep("used", -1)
    for number in range(100):
        assert cache.get("used") == -1
        cache.keep(str(number), number)
        assert len(cache) <= 4


def test_values_are_freed_one_by_one() -> None:
    """Each new text frees an old text: no caller waits until thousands are freed."""
    freed: list[int] = []
    cache: TextCache[Value] = TextCache(200)
    before = 0
    for number in range(1_000):
        cache.keep(str(number), Value(freed, number))
        assert len(freed) <= before + 1
        before = len(freed)
    assert before >= 1_000 - 300


def test_cleared_cache_is_empty() -> None:
    cache: TextCache[int] = TextCache(4)
    for number in range(5):
        cache.keep(str(number), number)
    cache.clear()
    assert (len(cache), cache.get("4")) == (0, None)
    assert repr(cache) == "<TextCache 0 of 4>"


def test_text_up_to_the_limit_is_its_own_key() -> None:
    assert short_key("x" * LONGEST_KEY) == "x" * LONGEST_KEY


def test_longer_texts_have_short_keys_which_differ() -> None:
    one, other = "x" * (LONGEST_KEY + 1), "x" * LONGEST_KEY + "\udcff"
    assert len({short_key(one), short_key(other)}) == 2
    assert max(len(short_key(one)), len(short_key(other))) <= LONGEST_KEY
