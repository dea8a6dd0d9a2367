"""A telephone trunk: a provider, an SBC or a PBX, whose users are numbers."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, Field, StringConstraints

from sipmesh.topology.document.names import Fqdn, quoted
from sipmesh.topology.document.parts.part import Part

GlobalNumber = Annotated[str, BeforeValidator(quoted), StringConstraints(pattern=r"^\+[1-9][0-9]{6,14}$")]
"""A whole number of E.164, such as +493012345."""
NumberPrefix = Annotated[str, BeforeValidator(quoted), StringConstraints(pattern=r"^\+([1-9][0-9]{0,14})?$")]
"""The first digits of numbers of E.164, such as +4930; + alone stands for all numbers."""

HIGHEST_PRIORITY = 100
HIGHEST_WEIGHT = 100
MOST_PREFIXES = 1000
MOST_CHANNELS = 100_000
MOST_CALLS_PER_SECOND = 1000


class Trunk(Part):
    """What makes a partner a telephone trunk: its users are numbers, and a gateway has the links to it."""

    gateway: Fqdn = Field(description="the gateway pool that has the links to the trunk")
    asserts: tuple[NumberPrefix, ...] = Field(
        default=(),
        max_length=MOST_PREFIXES,
        description="first digits of the numbers that the trunk may assert as callers, such as +4930; + for all numbers",
    )
    carries: tuple[NumberPrefix, ...] = Field(
        default=(),
        max_length=MOST_PREFIXES,
        description="first digits of the numbers that our users call through the trunk; the longest match is tried first",
    )
    priority: Annotated[int, Field(strict=True, ge=0, le=HIGHEST_PRIORITY)] = Field(
        default=0, description="order among trunks that match a number equally: the lowest is tried first"
    )
    weight: Annotated[int, Field(strict=True, ge=1, le=HIGHEST_WEIGHT)] = Field(
        default=1, description="share of the calls among trunks of the same priority"
    )
    channels: Annotated[int, Field(strict=True, ge=1, le=MOST_CHANNELS)] | None = Field(
        default=None,
        description="calls at the same time, in both directions; by default their number is not bounded here",
    )
    calls_per_second: Annotated[int, Field(strict=True, ge=1, le=MOST_CALLS_PER_SECOND)] | None = Field(
        default=None, description="new calls a second in each direction; by default their number is not bounded here"
    )
    emergency: bool = Field(default=False, description="whether it takes calls to the emergency numbers in `numbers`")
    main_number: GlobalNumber | None = Field(
        default=None,
        description="the caller's number for users without a number; by default such users cannot call through the trunk",
    )
