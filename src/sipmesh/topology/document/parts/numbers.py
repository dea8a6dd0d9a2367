"""What users may type for a telephone number, emergency numbers, and numbers that not all users may call."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, Field, StringConstraints

from sipmesh.topology.document.names import Label, quoted
from sipmesh.topology.document.parts.part import Part
from sipmesh.topology.document.parts.trunk import MOST_PREFIXES, NumberPrefix

CountryCode = Annotated[str, BeforeValidator(quoted), StringConstraints(pattern=r"^[1-9][0-9]{0,2}$")]
Prefix = Annotated[str, BeforeValidator(quoted), StringConstraints(pattern=r"^[0-9]{1,4}$")]
EmergencyNumber = Annotated[str, BeforeValidator(quoted), StringConstraints(pattern=r"^[0-9]{2,6}$")]
UserAddress = Annotated[str, StringConstraints(pattern=r"^[^@\s:]{1,128}@[a-z0-9.-]{1,253}$")]

MOST_EMERGENCY_NUMBERS = 32
MOST_CLASSES = 32
MOST_USERS_OF_CLASS = 10_000


class NumberClass(Part):
    """Numbers that some users may call, such as premium or foreign numbers."""

    name: Label = Field(description="the name of the class, such as premium")
    numbers: tuple[NumberPrefix, ...] = Field(
        min_length=1,
        max_length=MOST_PREFIXES,
        description="first digits of its numbers; a number belongs to the class with the longest match",
    )
    everyone: bool = Field(default=False, description="whether all users may call its numbers")
    users: tuple[UserAddress, ...] = Field(
        default=(), max_length=MOST_USERS_OF_CLASS, description="users who may call its numbers; by default no user may"
    )


class Numbers(Part):
    """How users call telephone numbers."""

    country: CountryCode | None = Field(
        default=None, description="country code of national numbers, such as '49'; by default no number is national"
    )
    national: Prefix = Field(default="0", description="what users type before a national number")
    international: Prefix = Field(default="00", description="what users type before a country code, in place of +")
    emergency: tuple[EmergencyNumber, ...] = Field(
        default=(), max_length=MOST_EMERGENCY_NUMBERS, description="emergency numbers, such as '112'"
    )
    classes: tuple[NumberClass, ...] = Field(
        default=(), max_length=MOST_CLASSES, description="numbers that not all users may call"
    )
