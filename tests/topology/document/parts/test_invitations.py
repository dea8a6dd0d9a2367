"""The pages of invitations: a port, and a name with its certificate."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from sipmesh.topology.document.parts.invitations import InvitationPages


def test_pages_need_a_port_alone() -> None:
    pages = InvitationPages.model_validate({"listen": 8445})
    assert (pages.listen, pages.name, pages.port, pages.certificate, pages.key) == ("127.0.0.1:8445", *[None] * 4)


@pytest.mark.parametrize("given", [{"port": 0}, {"port": 65_536}, {"port": "443"}, {"name": "no name"}, {"lists": 1}])
def test_wrong_key_is_refused(given: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        InvitationPages.model_validate({"listen": 8445, **given})
