"""Rules of calls for users who have no rules of their own."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, Field, StringConstraints

from sipmesh.topology.document.names import Fqdn, quoted
from sipmesh.topology.document.parts.part import Part

MOST_BLOCKED = 100
Target = Annotated[
    str,
    BeforeValidator(quoted),
    StringConstraints(pattern=r"^([A-Za-z0-9._~+-]{1,128}@[a-z0-9.-]{1,253}|\+[1-9][0-9]{2,14})$"),
]
"""An address without its scheme, or a whole number."""

Caller = Annotated[
    str,
    BeforeValidator(quoted),
    StringConstraints(pattern=r"^([a-z0-9._~+-]{0,128}@[a-z0-9.-]{1,253}|\+[1-9][0-9]{2,14}|anonymous)$"),
]
"""An address in lower case, all users of a domain (``@example.com``), a whole number, or ``anonymous``."""


class CallDefaults(Part):
    """Rules of the calls of all users, or of the users of one pool. A rule of a user counts before them."""

    pool: Fqdn | None = Field(
        default=None, description="the home pool of the users; without it, the rules are for the users of all pools"
    )
    ring_s: Annotated[int, Field(ge=5, le=180)] | None = Field(
        default=None, description="seconds for which phones ring; by default 185"
    )
    busy: Target | None = Field(default=None, description="where calls of busy users go; by default nowhere")
    no_answer: Target | None = Field(default=None, description="where unanswered calls go; by default nowhere")
    away: Target | None = Field(default=None, description="where calls of users without a phone go; by default nowhere")
    block: tuple[Caller, ...] = Field(
        default=(),
        max_length=MOST_BLOCKED,
        description="callers who are declined: an address, @domain, a number such as +4930123, or anonymous",
    )
