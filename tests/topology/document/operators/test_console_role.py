"""What the roles of operators may do."""

from __future__ import annotations

from sipmesh.topology.document.operators.console_role import ConsoleRole


def test_each_role_may_do_what_the_roles_before_it_may_do() -> None:
    roles = list(ConsoleRole)
    for n, role in enumerate(roles):
        assert [role.may(needed) for needed in roles] == [m <= n for m in range(len(roles))]
