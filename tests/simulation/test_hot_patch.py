"""A wrong edit of the source is in force wherever its module is used, and ends with its context."""

from __future__ import annotations

import pytest

from simulation.hot_patch import edited
from simulation.source_mutations import SOURCE_MUTATIONS
from sipmesh.server.quotas.usage import Usage
from sipmesh.storage import messages
from sipmesh.storage.messages import MessageLimits


def test_a_method_has_the_edit_inside_of_the_context_only() -> None:
    """An object that was made before has it too."""
    account, within = Usage("user", "alice", 9, 9), Usage("server", "fe1", 9, 9)
    account.within = within
    with edited("server/quotas/usage.py", "account.branches += branches", "account.branches -= branches"):
        account.add(1, 0)
    account.add(3, 0)
    assert (account.branches, within.branches) == (2, 2)


def test_an_assignment_of_the_module_has_the_edit() -> None:
    assert messages.LEASE_S == 40.0
    with edited("storage/messages.py", "LEASE_S: Final = 40.0", "LEASE_S: Final = 4.0"):
        assert messages.LEASE_S == 4.0
    assert messages.LEASE_S == 40.0


def test_an_edit_of_a_text_that_is_not_there_is_an_error() -> None:
    """So a mutation does not become one of nothing when the source changes."""
    with pytest.raises(ValueError, match="has 0 times"), edited("storage/messages.py", "no such text", ""):
        pytest.fail("the edit was made")


@pytest.mark.parametrize("name", SOURCE_MUTATIONS)
def test_each_wrong_edit_can_be_made(name: str) -> None:
    """The text is in the source, and the module can be compiled with the edit."""
    with SOURCE_MUTATIONS[name].applied():
        assert MessageLimits().per_user
