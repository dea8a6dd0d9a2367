"""What users may type for a telephone number, emergency numbers, and numbers that not all users may call."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from sipmesh.topology.document.names import Label
from sipmesh.topology.document.parts.dialling import (
    MOST_EMERGENCY_NUMBERS,
    MOST_EXTENSIONS,
    MOST_SERVICES,
    MOST_USERS,
    CountryCode,
    EmergencyNumber,
    EmergencyService,
    Extension,
    HoursOfDay,
    NumberRoute,
    Prefix,
    SiteNumbers,
    TimeZone,
    UserAddress,
)
from sipmesh.topology.document.parts.group_name import GroupName
from sipmesh.topology.document.parts.number_kind import NumberKind
from sipmesh.topology.document.parts.part import Part
from sipmesh.topology.document.parts.trunk import MOST_PREFIXES, NumberPrefix
from sipmesh.trust.formatting import tell_list

Country = Annotated[str, StringConstraints(pattern="^([A-Z]{2}|001)$")]
"""A country as in ISO 3166, or the networks of no country, such as satellites."""
MOST_COUNTRIES = 300
MOST_CLASSES = 32
MOST_GROUPS_OF_CLASS = 32
MOST_SITES = 1000
MOST_ROUTES = 1000


class PerUser(Part):
    """How much one user may call through trunks. Emergency calls are not counted."""

    calls: Annotated[int, Field(strict=True, ge=1, le=1000)] | None = Field(
        default=None, description="calls at the same time; by default not bounded"
    )
    minutes: Annotated[int, Field(strict=True, ge=1, le=100_000)] | None = Field(
        default=None, description="minutes in 24 hours; by default not bounded"
    )
    countries: Annotated[int, Field(strict=True, ge=1, le=MOST_COUNTRIES)] | None = Field(
        default=None, description="different countries in 24 hours; by default not bounded"
    )

    def __str__(self) -> str:
        """Say the bounds that are set, as in ``4 calls, 600 minutes``."""
        return tell_list([f"{value} {key}" for key, value in self if value is not None])


class NumberClass(Part):
    """Numbers that some users may call, such as premium or foreign numbers."""

    name: Label = Field(description="the name of the class, such as premium")
    numbers: tuple[NumberPrefix, ...] = Field(
        default=(),
        max_length=MOST_PREFIXES,
        description="first digits of its numbers; a number belongs to the class with the longest match",
    )
    countries: tuple[Country, ...] = Field(
        default=(),
        max_length=MOST_COUNTRIES,
        description="countries whose numbers are in it, as in ISO 3166, such as AT; 001 for networks of no country",
    )
    kinds: tuple[NumberKind, ...] = Field(
        default=(),
        description="premium or shared-cost: such numbers of all countries are in it, before all other classes",
    )
    everyone: bool = Field(default=False, description="whether all users may call its numbers")
    users: tuple[UserAddress, ...] = Field(
        default=(), max_length=MOST_USERS, description="users who may call its numbers; by default no user may"
    )
    groups: tuple[GroupName, ...] = Field(
        default=(),
        max_length=MOST_GROUPS_OF_CLASS,
        description="groups of `directory` or `scim` whose members may call its numbers; members of groups in them count too",
    )
    per_user: PerUser | None = Field(default=None, description="how much each user may call its numbers")
    hours: HoursOfDay | None = Field(
        default=None, description="when calls to its numbers may begin, such as '08:00-18:00'; by default at each time"
    )

    def __str__(self) -> str:
        """Say in one line what the class is, as in ``premium (+49900 for alice@example.com, 10 minutes for each user)``."""
        who = "everyone" if self.everyone else tell_list([*self.users, *self.groups]) or "nobody"
        bounds = [f"{self.per_user} for each user"] if self.per_user is not None else []
        these = tell_list([*self.numbers, *self.countries, *map(str, self.kinds)])
        told = ", ".join([f"{these} for {who}", *bounds, *([self.hours] if self.hours else [])])
        return f"{self.name} ({told})"


class Numbers(Part):
    """How users call telephone numbers."""

    country: CountryCode | None = Field(
        default=None, description="country code of national numbers, such as '49'; by default no number is national"
    )
    national: Prefix = Field(default="0", description="what users type before a national number")
    international: Prefix = Field(default="00", description="what users type before a country code, in place of +")
    outside_line: Prefix | None = Field(
        default=None,
        description="what users type before each number with the prefix `national` or `international`; by default nothing",
    )
    extensions: tuple[Extension, ...] = Field(
        default=(), max_length=MOST_EXTENSIONS, description="short numbers that are the last digits of whole numbers"
    )
    emergency: tuple[EmergencyNumber, ...] = Field(
        default=(), max_length=MOST_EMERGENCY_NUMBERS, description="emergency numbers, such as '112'"
    )
    emergency_services: tuple[EmergencyService, ...] = Field(
        default=(),
        max_length=MOST_SERVICES,
        description="the numbers of emergency services, such as sos.police; each other one has the first of `emergency`",
    )
    classes: tuple[NumberClass, ...] = Field(
        default=(), max_length=MOST_CLASSES, description="numbers that not all users may call"
    )
    per_user: PerUser | None = Field(default=None, description="how much each user may call all numbers together")
    time_zone: TimeZone = Field(default="UTC", description="the time zone of `hours`, such as Europe/Berlin")
    sites: tuple[SiteNumbers, ...] = Field(
        default=(), max_length=MOST_SITES, description="sites at which users type numbers in another way"
    )
    routes: tuple[NumberRoute, ...] = Field(
        default=(),
        max_length=MOST_ROUTES,
        description="which trunks carry calls, by number, site, user and time; by default each trunk whose `carries` match",
    )
