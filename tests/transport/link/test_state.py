"""The table of a link's states."""

from __future__ import annotations

import pytest

from sipmesh.errors import LocalError
from sipmesh.transport.link.state import TRANSITIONS, LinkInput, LinkState, state_after


@pytest.mark.parametrize("state", LinkState)
@pytest.mark.parametrize("given", LinkInput)
def test_every_pair_is_in_the_table_or_an_error_that_names_both(state: LinkState, given: LinkInput) -> None:
    if (state, given) in TRANSITIONS:
        assert state_after(state, given) is TRANSITIONS[state, given]
    else:
        with pytest.raises(LocalError, match=f"{given.name} is impossible in {state.name}"):
            state_after(state, given)


def test_only_an_accepted_handshake_leads_to_up() -> None:
    """No other input leads to UP: a link delivers no message before its peer was judged."""
    ways = {pair for pair, state in TRANSITIONS.items() if state is LinkState.UP}
    assert ways == {(LinkState.HANDSHAKE, LinkInput.ACCEPT)}


def test_closed_link_stays_closed() -> None:
    assert {state for (before, _), state in TRANSITIONS.items() if before is LinkState.CLOSED} == {LinkState.CLOSED}


def test_every_state_can_be_closed_and_drained() -> None:
    for state in LinkState:
        assert state_after(state, LinkInput.CLOSE) is LinkState.CLOSED
        assert state_after(state, LinkInput.DRAIN) in {LinkState.DRAINING, LinkState.CLOSED}
