"""Where things are stored by default."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from sipmesh.topology.document.parts.stores import Messages, PoolStorage, Storage


def test_everything_is_in_files_of_one_host_by_default() -> None:
    storage = Storage()
    assert (storage.users, storage.bindings) == ("sqlite:///users.db", "state/bindings.db")
    assert (storage.management, storage.valkey.user) == (None, None)


@pytest.mark.parametrize(
    "given", [{}, {"valkey": {"user": "pool1"}}, {"bindings": "b.db", "messages": "sqlite:///m.db"}]
)
def test_store_of_a_pool_names_its_place_and_has_nothing_but_registrations(given: dict[str, object]) -> None:
    """A login without a place would be one at the general store, if the general part counted for what is left out."""
    with pytest.raises(ValidationError, match=r"bindings|messages"):
        PoolStorage.model_validate(given)


@pytest.mark.parametrize("given", [{"per_user": 10_001}, {"per_sender": 0}, {"lifetime_days": 367}])
def test_stored_messages_are_bounded(given: dict[str, int]) -> None:
    with pytest.raises(ValidationError):
        Messages.model_validate(given)
