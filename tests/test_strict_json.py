"""JSON that can be read in one way only."""

from __future__ import annotations

import pytest

from sipmesh.strict_json import read_object


def test_an_object_is_read() -> None:
    assert read_object(b'{"a": 1, "b": {"a": null}}') == {"a": 1, "b": {"a": None}}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b'{"a": 1, "a": 1}', "given twice"),
        (b'{"b": [{"a": 1, "a": 2}]}', "given twice"),
        (b"[]", "not an object"),
        (b"1", "not an object"),
        (b"", "line 1, column 1 is not JSON"),
        (b'{"a": NaN}', "NaN is not JSON"),
        (b'{"a": -Infinity}', "Infinity is not JSON"),
        (b'{"a": 1} ,', "line 1, column 10 is not JSON"),
        (b'{"\xff": 1}', "it is not UTF-8 text"),
        (b'{"a": ' + b"[" * 100_000, "nested too deeply"),
    ],
)
def test_ambiguous_json_is_refused(text: bytes, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        read_object(text)
