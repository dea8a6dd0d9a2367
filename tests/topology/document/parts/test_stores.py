"""Where things are stored by default."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from sipmesh.topology.document.parts.stores import Messages, Storage


def test_everything_is_in_files_of_one_host_by_default() -> None:
    storage = Storage()
    assert (storage.users, storage.bindings) == ("sqlite:///users.db", "state/bindings.db")
    assert (storage.management, storage.valkey.user) == (None, None)


@pytest.mark.parametrize("given", [{"per_user": 10_001}, {"per_sender": 0}, {"lifetime_days": 367}])
def test_stored_messages_are_bounded(given: dict[str, int]) -> None:
    with pytest.raises(ValidationError):
        Messages.model_validate(given)
