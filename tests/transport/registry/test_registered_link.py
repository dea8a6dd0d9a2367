"""What the registry needs of a link."""

import pytest

from sipmesh.transport.registry.registered_link import RegisteredLink
from sipmesh.trust.evidence import Direction, LinkKind


def test_id_is_the_kind_and_the_number() -> None:
    link = RegisteredLink(12, LinkKind.SERVER, Direction.OPENED)
    assert (link.id, link.names) == ("s12", ())


def test_close_is_abstract() -> None:
    with pytest.raises(NotImplementedError):
        RegisteredLink(1, LinkKind.CLIENT, Direction.ACCEPTED).close("test")
