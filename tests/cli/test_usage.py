"""A wrong value on the command line is refused with the option, what is wrong, and what to write."""

from __future__ import annotations

import pytest

from cli.world import sipmesh


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        (("registrations", "--limit", "many"), "'many' is no whole number"),
        (("registrations", "--limit", "-1"), "'-1' is too small: write 0 or more"),
        (("ca", "issue", "fe1", "--days", "99999"), "'99999' is too large: write 396 or less"),
        (("call", "bob@example.com", "--as", "alice", "--for", "long"), "'long' is no number"),
        (("registrations", "--limit", "9" * 5000), "is no number that can be used"),
        (("partner", "add", "p.test", "--ca", "/dev/null", "--crl", "x", "--media", "loud"), "'loud' is not one of"),
    ],
)
def test_wrong_value_says_what_to_write(typed: tuple[str, ...], told: str) -> None:
    refused = sipmesh(*typed)
    lines = " ".join(line.strip("│ ") for line in refused.err.splitlines())
    assert refused.code == 2
    assert told in lines
    assert "Input should" not in lines
    assert "Value error" not in lines
