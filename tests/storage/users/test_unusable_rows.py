from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from sipmesh.storage.users.unusable_rows import usable_addresses, usable_rows
from sipmesh.storage.users.user_rows import LONGEST_NAME

GOOD: dict[str, Any] = {
    "aor": "sip:alice@example.test",
    "ha1_sha256": "a" * 64,
    "ha1_md5": None,
    "generation": 3,
    "pool": "pool1.example.test",
    "created": datetime(2026, 11, 27, 12, tzinfo=UTC),
}


@pytest.mark.parametrize(
    "change",
    [
        {"aor": ""},
        {"aor": "alice@example.test"},
        {"aor": "sip:"},
        {"aor": b"sip:alice@example.test"},
        {"aor": 7},
        {"ha1_sha256": "A" * 64},
        {"ha1_sha256": "a" * 63},
        {"ha1_sha256": b"a" * 64},
        {"ha1_sha256": ""},
        {"ha1_md5": "secret"},
        {"generation": -1},
        {"generation": "3"},
        {"generation": None},
        {"pool": ""},
        {"created": None},
        {"aor": "sip:" + "a" * LONGEST_NAME},
        {"aor": "sip:" + "\x00" * 1_000},
        {"pool": "p" * (LONGEST_NAME + 1)},
        {"pool": b"pool1.example.test"},
    ],
)
def test_row_that_no_server_could_read_is_left_out_and_named(change: dict[str, Any]) -> None:
    bad = {**GOOD, **change}
    kept, unusable = usable_rows([GOOD, bad])
    assert kept == [GOOD]
    assert list(unusable) == [str(bad["aor"])[:LONGEST_NAME]]
    assert all(unusable.values())


@pytest.mark.parametrize("change", [{}, {"pool": None}, {"ha1_md5": "0" * 32}, {"generation": 0}])
def test_row_of_a_user_is_kept(change: dict[str, Any]) -> None:
    assert usable_rows([{**GOOD, **change}]) == ([{**GOOD, **change}], {})


def test_only_addresses_are_gone() -> None:
    assert usable_addresses(["sip:a@b.test", "", "sip:", "a@b.test", b"sip:c@b.test", None, 7]) == {"sip:a@b.test"}
