"""Tables of invitations: what an operator may write, and which row is wrong."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from sipmesh.errors import OperatorError
from sipmesh.server.provisioning.invitation_table import links_table, rows_of, wish_of
from sipmesh.server.provisioning.letter import Letter


def test_row_says_what_is_wanted_and_what_is_missing_is_not() -> None:
    [one, other] = rows_of("user,phone,mac,certificate\nalice,yealink,00:15:65:aa:bb:cc,\nbob, baresip ,,yes\n", "t")
    assert wish_of(one) == {
        "device": "",
        "client": "yealink",
        "mac": "00:15:65:aa:bb:cc",
        "network": "",
        "remote": False,
        "certificate": False,
    }
    assert (wish_of(other)["client"], wish_of(other)["certificate"]) == ("baresip", True)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "this is no table"),
        ("name\nalice\n", "this is no table"),
        ("user,password\nalice,x\n", "this is no table"),
        ("user\nalice,more\n", "t row 1: write a user"),
        ("user,phone\nalice,\n,linphone\n", "t row 2: write a user"),
        ('user\n"alice\n', "t line"),
    ],
)
def test_other_tables_are_refused_with_the_row(text: str, why: str) -> None:
    with pytest.raises(OperatorError, match=why):
        list(rows_of(text, "t"))


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ({"phone": "walkman"}, "no kind of phone"),
        ({"phone": "snom"}, "desk phone"),
        ({"mac": "001565aabbcc"}, "desk phone"),
    ],
)
def test_wish_that_no_phone_can_have_is_refused(row: dict[str, str], why: str) -> None:
    with pytest.raises(OperatorError, match=why):
        wish_of({"user": "alice", **row})


def test_links_are_a_table_again() -> None:
    letter = Letter("alice@example.test", "1", "desk", datetime(2026, 12, 4, tzinfo=UTC), "https://x/i/A", (), ())
    expected = "user,device,invitation,expires,link\nalice@example.test,desk,1,2026-12-04T00:00:00Z,https://x/i/A\n"
    assert links_table([letter]) == expected
