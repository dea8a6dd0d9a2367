"""The command for the next part of a list is printed where there may be one."""

import pytest

from sipmesh.cli.users.pages import say_next


@pytest.mark.parametrize(("limit", "shown", "printed"), [(2, 2, True), (2, 1, False), (0, 5, False)])
def test_next_part_is_named_after_a_full_one_only(
    capsys: pytest.CaptureFixture[str], limit: int, shown: int, *, printed: bool
) -> None:
    say_next(limit, shown, "sipmesh user list")
    assert capsys.readouterr().out == ("More users: sipmesh user list\n" if printed else "")
