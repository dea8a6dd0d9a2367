"""What binds a change of the draft to the plan that an operator has read: the digest of all that the plan depends on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Final

from sipmesh.errors import OperatorError
from sipmesh.server.control_socket import ROLE, WHO

NOT_PLANNED: Final = frozenset({"dry_run", "planned", WHO, ROLE})
"""Parameters on which a plan does not depend."""


class PlanChangedError(OperatorError):
    """A change would do something else than its plan said."""


def planned_digest(operation: str, asked: Mapping[str, Any], base: int, draft: str) -> str:
    """Return the digest of a plan, in hexadecimal: of *operation*, its parameters, version *base* and the text of the *draft*."""
    given = {name: value for name, value in asked.items() if name not in NOT_PLANNED}
    return hashlib.sha256(json.dumps([operation, given, base, draft], sort_keys=True).encode()).hexdigest()


def must_be_as_planned(operation: str, asked: Mapping[str, Any], base: int, draft: str) -> None:
    """Raise `PlanChangedError` if *asked* has the digest of a plan, and that plan was another one."""
    planned = asked.get("planned")
    if planned and planned != planned_digest(operation, asked, base, draft):
        what = "the values, the draft or the version in force have changed since this was planned"
        raise PlanChangedError(f"{what}; read the new plan, then do this again")
