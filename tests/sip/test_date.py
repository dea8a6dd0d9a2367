"""The Date of a message, in the words of RFC 1123 in any locale."""

from __future__ import annotations

import pytest

from sipmesh.sip.date import sip_date


@pytest.mark.parametrize(
    ("epoch_s", "text"),
    [
        (1_289_690_940, "Sat, 13 Nov 2010 23:29:00 GMT"),
        (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
        (1_709_164_799, "Wed, 28 Feb 2024 23:59:59 GMT"),
        (1_709_164_800, "Thu, 29 Feb 2024 00:00:00 GMT"),
    ],
)
def test_date_is_in_gmt_with_the_names_of_the_rfc(epoch_s: int, text: str) -> None:
    assert sip_date(epoch_s) == text
