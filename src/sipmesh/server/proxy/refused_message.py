"""One message that was refused, as this server keeps it and as `sipmesh links --refused` reads it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

REFERENCE: Final = re.compile(r"[csp][0-9]{1,20}-[0-9]{1,20}", re.ASCII | re.IGNORECASE)
"""A reference of `MessageRefusals`: the id of the link, and a number of its own. An operator may type capital letters."""


@dataclass(frozen=True, slots=True)
class RefusedMessage:
    """One message that was refused; its texts are printable and cut.

    *code* is None where no check of ours failed: a rule of the callee, or the callee is absent.
    *status* is the SIP status of the answer, *reference* the text by which its sender can ask for the reason.
    """

    link: str
    peer: str
    method: str
    status: int
    code: str | None
    why: str
    reference: str
