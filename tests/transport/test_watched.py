"""What the reactor waits for is a base class with abstract methods."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sipmesh.transport.watched import READ, WRITE, Watched

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.mark.parametrize(
    "call", [lambda one: one.ready(READ | WRITE), Watched.flush, lambda one: one.broken(OSError())]
)
def test_methods_of_the_base_are_abstract(call: Callable[[Watched], None]) -> None:
    watched = Watched()
    assert not watched.greeting
    with pytest.raises(NotImplementedError):
        call(watched)
