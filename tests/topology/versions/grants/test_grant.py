"""A grant reads as a sentence with the role that it needs."""

from __future__ import annotations

from sipmesh.topology.document.operators.console_role import ConsoleRole
from sipmesh.topology.versions.grants.grant import Gain, Grant


def test_grant_says_what_it_gives_and_which_role_it_needs() -> None:
    grant = Grant("dns", Gain.DECIDE, "those DNS servers", "other DNS servers decide", ConsoleRole.SECURITY_OFFICER)
    assert str(grant) == "other DNS servers decide (needs the role security-officer)"
