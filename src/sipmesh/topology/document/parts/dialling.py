"""How the users of a site type numbers, and by which trunks their calls leave."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints

from sipmesh.topology.document.names import Fqdn, Label, quoted
from sipmesh.topology.document.parts.part import Part
from sipmesh.topology.document.parts.trunk import MOST_PREFIXES, GlobalNumber, NumberPrefix
from sipmesh.trust.formatting import tell_list

CountryCode = Annotated[str, BeforeValidator(quoted), StringConstraints(pattern=r"^[1-9][0-9]{0,2}$")]
Prefix = Annotated[str, BeforeValidator(quoted), StringConstraints(pattern=r"^[0-9]{1,4}$")]
EmergencyNumber = Annotated[str, BeforeValidator(quoted), StringConstraints(pattern=r"^[0-9]{2,6}$")]
ServiceName = Annotated[str, StringConstraints(pattern=r"^sos(\.[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?){0,3}$")]
UserAddress = Annotated[str, StringConstraints(pattern=r"^[^@\s:]{1,128}@[a-z0-9.-]{1,253}$")]

MOST_EMERGENCY_NUMBERS = 32
MOST_SERVICES = 32
MOST_USERS = 10_000
MOST_EXTENSIONS = 32
MOST_TRUNKS_OF_ROUTE = 8


def _zone(name: str) -> str:
    """Check the name of a time zone, such as Europe/Berlin."""
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"{name!r} is no time zone of this system: write one such as Europe/Berlin") from None
    return name


TimeZone = Annotated[str, StringConstraints(min_length=1, max_length=64), AfterValidator(_zone)]
HoursOfDay = Annotated[
    str,
    BeforeValidator(quoted),
    StringConstraints(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]-([01][0-9]|2[0-3]):[0-5][0-9]$"),
]

LocationUri = Annotated[str, StringConstraints(pattern=r"^(https|sips):[!#-;=?-\[\]_a-z~]{1,500}$")]
"""A location by reference (RFC 6442 section 4.3): a URI without spaces, quotes and angle brackets."""


class Day(StrEnum):
    """A day of the week."""

    MONDAY = "mon"
    TUESDAY = "tue"
    WEDNESDAY = "wed"
    THURSDAY = "thu"
    FRIDAY = "fri"
    SATURDAY = "sat"
    SUNDAY = "sun"


class Extension(Part):
    """Short numbers of one length. What is typed behind `prefix` are the last digits of a whole number."""

    prefix: Prefix | None = Field(
        default=None, description="what is typed before the digits, and is no part of the number; by default nothing"
    )
    digits: Annotated[int, Field(strict=True, ge=1, le=8)] = Field(description="how many digits are typed behind it")
    numbers: NumberPrefix = Field(description="the first digits of the whole numbers, such as +49301234")

    def __str__(self) -> str:
        """Say what is typed and what it is, as in ``7 and 3 digits for +49301234``."""
        typed = f"{self.prefix} and {self.digits} digits" if self.prefix else f"{self.digits} digits"
        return f"{typed} for {self.numbers}"


class EmergencyService(Part):
    """The emergency number of one service, for phones that call the service by its URN (RFC 5031)."""

    service: ServiceName = Field(description="the service without `urn:service:`, such as sos.police")
    number: EmergencyNumber = Field(description="the number that is called, one of `emergency`")

    def __str__(self) -> str:
        """Say the service and its number, as in ``sos.police 110``."""
        return f"{self.service} {self.number}"


class SiteNumbers(Part):
    """How users at one site type numbers. What is left out is as in `numbers`."""

    site: Label = Field(
        description="the site, as in `sites`: it is that of the home pool of a user, or the user is named"
    )
    users: tuple[UserAddress, ...] = Field(
        default=(),
        max_length=MOST_USERS,
        description="users who are at this site; their home pool may be at another one",
    )
    country: CountryCode | None = Field(default=None, description="country code of national numbers there")
    national: Prefix | None = Field(default=None, description="what users type there before a national number")
    international: Prefix | None = Field(default=None, description="what users type there before a country code")
    outside_line: Prefix | None = Field(default=None, description="what users type there before each outside number")
    extensions: tuple[Extension, ...] | None = Field(
        default=None, max_length=MOST_EXTENSIONS, description="short numbers of the site"
    )
    emergency: tuple[EmergencyNumber, ...] | None = Field(
        default=None, max_length=MOST_EMERGENCY_NUMBERS, description="emergency numbers there, such as '999'"
    )
    emergency_services: tuple[EmergencyService, ...] | None = Field(
        default=None,
        max_length=MOST_SERVICES,
        description="the emergency numbers of services there, such as sos.police",
    )
    emergency_trunks: tuple[Fqdn, ...] = Field(
        default=(),
        max_length=MOST_TRUNKS_OF_ROUTE,
        description="trunks that are tried first for emergency calls from there; the others follow",
    )
    location: LocationUri | None = Field(
        default=None, description="URI of the location of the site, which emergency calls carry (Geolocation, RFC 6442)"
    )
    callback: GlobalNumber | None = Field(
        default=None, description="the caller of emergency calls of users without a number; by default `main_number`"
    )

    def __str__(self) -> str:
        """Say in one line what the site is, as in ``paris (country 33, emergency 15 and 112)``."""
        keys = {"country", "national", "international", "outside_line", "location", "callback"}
        told = [f"{key} {value}" for key, value in self if key in keys and value is not None]
        lists = (
            ("users", self.users),
            ("extensions", self.extensions),
            ("emergency", self.emergency),
            ("emergency services", self.emergency_services),
        )
        told += [f"{key} {tell_list([str(one) for one in value])}" for key, value in lists if value]
        told += [f"emergency trunks {tell_list(self.emergency_trunks)}"] if self.emergency_trunks else []
        return f"{self.site} ({', '.join(told)})"


class NumberRoute(Part):
    """By which trunks calls to some numbers leave, for some callers and at some times."""

    name: Label = Field(description="the name of the route, such as night")
    numbers: tuple[NumberPrefix, ...] = Field(
        min_length=1,
        max_length=MOST_PREFIXES,
        description="first digits of its numbers; of several routes that fit, the longest match counts, then the first one",
    )
    trunks: tuple[Fqdn, ...] = Field(
        min_length=1,
        max_length=MOST_TRUNKS_OF_ROUTE,
        description="the only trunks that carry these calls, in the order in which they are tried",
    )
    sites: tuple[Label, ...] = Field(default=(), max_length=1000, description="sites of its callers; by default all")
    users: tuple[UserAddress, ...] = Field(
        default=(), max_length=MOST_USERS, description="its callers; by default all users"
    )
    hours: HoursOfDay | None = Field(default=None, description="when its calls begin, such as '18:00-08:00'")
    days: tuple[Day, ...] = Field(
        default=(), max_length=7, description="days on which its calls begin; by default each"
    )
    time_zone: TimeZone | None = Field(
        default=None, description="the time zone of its hours and days; by default that of `numbers`"
    )

    def __str__(self) -> str:
        """Say in one line what the route is, as in ``night (+49 by sbc.example, 18:00-08:00)``."""
        lists = (("from", self.sites), ("for", self.users), ("on", tuple(map(str, self.days))))
        told = [f"{word} {tell_list(value)}" for word, value in lists if value]
        told += [self.hours] if self.hours else []
        return f"{self.name} ({', '.join([f'{tell_list(self.numbers)} by {tell_list(self.trunks)}', *told])})"
