"""A call is known by its dialog, and ends with it."""

from __future__ import annotations

import pytest

from routing.messages import request
from sipmesh.server.proxy.dialog_key import dialog_of, ends_dialog
from sipmesh.sip.message import Request, respond
from sipmesh.sip.text_cache import LONGEST_KEY

ENDS = b"alice---bob-----"


def inside(caller: str, callee: str, call_id: str = "c1") -> Request:
    """Make a BYE whose From and To have these tags."""
    bye = request("BYE")
    bye.replace("from", f"<sip:alice@example.test>;tag={caller}")
    bye.replace("to", f"<sip:bob@example.test>;tag={callee}")
    bye.replace("call-id", call_id)
    return bye


def test_both_sides_name_the_same_dialog() -> None:
    key = dialog_of(respond(inside("a", "b"), 200), ENDS)
    assert key == dialog_of(inside("a", "b"), ENDS) == dialog_of(inside("b", "a"), ENDS)
    assert key not in {dialog_of(inside("a", "c"), ENDS), dialog_of(inside("a", "b", "c2"), ENDS)}


def test_same_call_id_and_tags_between_other_ends_are_another_dialog() -> None:
    assert dialog_of(inside("a", "b"), ENDS) != dialog_of(inside("a", "b"), ENDS[::-1])


def test_long_names_make_a_short_key() -> None:
    assert len(dialog_of(inside("a", "b", "x" * 30_000), ENDS)) <= LONGEST_KEY


@pytest.mark.parametrize("status", [200, 202, 408, 430, 480, 481, 503, 504])
def test_dialog_is_over_if_its_bye_was_accepted_or_has_reached_no_dialog(status: int) -> None:
    assert ends_dialog(status)


@pytest.mark.parametrize("status", [100, 180, 400, 401, 403, 404, 407, 415, 420, 483, 500, 501, 513, 603])
def test_dialog_goes_on_if_the_receiver_refuses_the_bye(status: int) -> None:
    assert not ends_dialog(status)
