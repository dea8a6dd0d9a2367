"""Wrong edits of the source break a promise in the first seeds; `python -m simulation.measure` tries all of them for longer."""

from __future__ import annotations

import pytest

from simulation.measure import CRASHED, PROFILES_OF, find
from simulation.organisations import Folders
from simulation.source_mutations import SOURCE_MUTATIONS

FOUND = (
    "newest-message-first",
    "delivery-lease-is-no-lease",
    "unanswered-message-is-removed",
    "copies-are-stored-twice",
    "one-more-than-the-limit",
    "two-leaders-of-one-number",
    "fencing-is-not-stored",
    "workers-hear-of-no-revocation",
    "new-worker-knows-no-revocation",
    "links-of-dead-workers-stay",
    "worker-is-replaced-once",
    "workers-keep-old-passwords",
    "new-worker-hears-of-no-links",
    "stale-rows-are-used",
    "refused-calls-get-no-ack",
    "answer-has-no-token",
    "ended-calls-stay",
    "one-trial-only",
    "overtaken-leader-writes",
    "new-leader-signs-nothing",
    "withheld-users-log-in",
    "gap-in-the-users",
    "changed-users-are-not-announced",
    "nobody-restores-rows",
    "timed-out-branch-is-not-answered",
    "branches-of-closed-links-wait",
    "others-ring-on",
    "phones-are-shown-who-hides",
    "each-pool-has-its-names-key",
)
"""What the first seeds of its area find, one after the other."""

SECONDS = 60.0


@pytest.mark.parametrize("name", SOURCE_MUTATIONS)
def test_edit_fits_the_source(name: str) -> None:
    """Who changes the source changes the edit with it: it replaces a text that is there once, and its area has profiles."""
    with SOURCE_MUTATIONS[name].applied():
        assert PROFILES_OF[SOURCE_MUTATIONS[name].area]


@pytest.mark.soak
@pytest.mark.parametrize("name", FOUND)
def test_a_wrong_edit_of_the_source_is_found(folders: Folders, name: str) -> None:
    """A mere exception would not show that a promise is worth anything."""
    assert find(folders, SOURCE_MUTATIONS[name], SECONDS).rule not in {"", CRASHED}
