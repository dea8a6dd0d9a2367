"""Presence, TURN and WebSocket."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from sipmesh.topology.document.parts.services import Presence, Turn, WebSocket
from sipmesh.topology.document.watching import Watching


def test_partners_see_no_presence_and_there_is_no_web_phone_by_default() -> None:
    assert (Presence().inside, Presence().partners) == (Watching.ALLOW, Watching.BLOCK)
    assert not WebSocket().phone


@pytest.mark.parametrize(
    "given", [{"servers": []}, {"servers": ["http://a.test"]}, {"servers": ["turn:a.test"], "lifetime_s": 60}]
)
def test_turn_without_a_server_or_with_short_passwords_is_refused(given: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Turn.model_validate({"secret_file": "turn.secret", **given})
