from __future__ import annotations

from datetime import UTC, datetime

import pytest

from sipmesh.demo.forge import Forge
from sipmesh.server.provisioning.profile import Profile, Reach
from sipmesh.topology.document.media_policy import MediaPolicy


@pytest.fixture(name="profile")
def _profile() -> Profile:
    """A device of alice, whose pool has two servers; the name of the organisation has what XML and shells read."""
    root = Forge(datetime(2026, 12, 1, tzinfo=UTC)).root("Example Root").certificate
    reach = Reach((("fe1.example.test", 5061), ("fe2.example.test", 5061)), ("https://fe1.example.test:8443",))
    names = ("sip:alice@example.test", "alice+desk", "secretsecret", "desk", 'A & B <"$(id)`id`">')
    return Profile(*names, reach, MediaPolicy.REQUIRED, (root,))
