"""A REFER outside a dialog: a phone made for click-to-dial places the call, at the cost of its user, without asking its user."""

from __future__ import annotations

from typing import Final

from sipmesh.routing.outcome import Answer
from sipmesh.sip.message import Request
from sipmesh.trust.code import Code

EARLY_REFERENCE: Final = Answer(403, code=Code.FROM_NOT_ALLOWED, why="a REFER inside a call that still rings")
"""The answer to a REFER in an early dialog: a phone answers with 180 by itself."""


def refused_reference(request: Request, aor: str, identity: str | None, *, is_application: bool) -> Answer | None:
    """Refuse a REFER for the phones of *aor* that is not of a call (RFC 3515 section 2.4.4); None for all else.

    A user may refer its own phones, and an application of ours those that it serves. A transfer is inside its call. A
    Target-Dialog (RFC 4538) makes no difference: the phone would have to check it, and a phone that does not know it
    acts.
    """
    if request.method != "REFER" or request.to.tag is not None or identity == aor or is_application:
        return None
    why = f"{identity} may refer the phones of {aor} inside a call with them only"
    return Answer(403, code=Code.FROM_NOT_ALLOWED, why=why)
