"""What a user has typed, as a whole number; and which users may call a number."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from sipmesh.routing.numbers.call_bounds import NO_BOUNDS, Bounds, Hours
from sipmesh.routing.numbers.countries import NumberMeaning, meaning_of
from sipmesh.routing.numbers.e164 import dialled_number, is_global
from sipmesh.routing.numbers.trunk_table import longest
from sipmesh.sip.service_urn import SOS, service_in
from sipmesh.sip.tel import LONGEST_NUMBER, number_in
from sipmesh.sip.text import is_digits
from sipmesh.topology.document.parts.number_kind import NumberKind

if TYPE_CHECKING:
    from sipmesh.sip.uri import SipUri
    from sipmesh.topology.document.parts.dialling import EmergencyService, Extension
    from sipmesh.topology.document.parts.numbers import Numbers, PerUser

MORE_THAN_ITS_CODE: Final = 1.5
"""Added to the length of its code: a country is a better match than + with its code, and a worse one than one more digit."""
_CONTEXT: Final = "phone-context"


@dataclass(frozen=True, slots=True)
class NumberClass:
    """Numbers with the first digits *numbers*, which *users* may call, or *everyone*. *users* are ``sip:user@domain``.

    *per_user* bounds the calls of each user, *hours* says when they may begin. The numbers of *countries* and those of *kinds*
    are in the class too. *by_group* tells whether groups of the
    directory may give the class.
    """

    name: str
    numbers: tuple[str, ...]
    everyone: bool
    users: frozenset[str]
    per_user: Bounds = NO_BOUNDS
    hours: Hours | None = None
    countries: frozenset[str] = frozenset()
    kinds: frozenset[NumberKind] = frozenset()
    by_group: bool = False

    @property
    def needs_meaning(self) -> bool:
        """Whether first digits alone do not say which numbers are in it."""
        return bool(self.countries or self.kinds)

    def match(self, number: str, meaning: NumberMeaning | None) -> float:
        """Tell how well *number* matches, 0 for not at all: a country better than its code, and a kind better than all digits."""
        digits = float(longest(self.numbers, number))
        if meaning is None:
            return digits
        if meaning.kind in self.kinds:
            return float(LONGEST_NUMBER)
        return max(digits, len(meaning.code) + MORE_THAN_ITS_CODE if meaning.country in self.countries else 0.0)


@dataclass(frozen=True, slots=True)
class ExtensionRange:
    """Short numbers of *digits* digits behind *prefix*: the last digits of whole numbers that begin with *numbers*."""

    prefix: str
    digits: int
    numbers: str

    def whole(self, typed: str) -> str:
        """Give the whole number of what was *typed*; "" if it is not in this range."""
        is_in = typed.startswith(self.prefix) and len(typed) == len(self.prefix) + self.digits
        return self.numbers + typed[len(self.prefix) :] if is_in else ""


@dataclass(frozen=True, slots=True)
class DialPlan:
    """How numbers are typed: the *country* code, the prefixes *national* and *international*, and *emergency* numbers.

    Without a country there are no national numbers. A number without a prefix is an extension, and no telephone number, unless
    it is in one of *extensions*: where it leads is never guessed. With an *outside_line*, no prefix counts without it.
    *per_user* bounds the calls of each user to all numbers, *zone* is the time zone of hours. *services* has the emergency number
    of each emergency service that has one of its own, and of ``sos``.
    """

    country: str = ""
    national: str = "0"
    international: str = "00"
    emergency: frozenset[str] = frozenset()
    classes: Sequence[NumberClass] = ()
    per_user: Bounds = NO_BOUNDS
    zone: str = "UTC"
    outside_line: str = ""
    extensions: Sequence[ExtensionRange] = ()
    services: Mapping[str, str] = field(default_factory=dict)

    def whole_number(self, uri: SipUri) -> str:
        """Give the whole number that *uri* calls; "" for an extension, another name, and a number with parameters."""
        number = dialled_number(uri)
        return (number if self.is_whole(number) else "") or self.completed(local_digits(uri))

    def is_whole(self, number: str) -> bool:
        """Tell whether *number* is a whole number without a national prefix behind our country code, as in ``+49(0)900…``.

        Some trunks remove such a 0. Then a number of another class or of another caller was judged. In a country with a national
        prefix that begins with 0, no whole number has it. Other prefixes may be first digits too, such as the 8 of Russia.
        """
        if not (self.country and is_global(number)):
            return is_global(number)
        return not (self.national.startswith("0") and number.startswith(f"+{self.country}{self.national}"))

    def completed(self, digits: str) -> str:
        """Give the whole number that a user means by *digits*; "" if these are no whole number."""
        number = max((one.whole(digits) for one in self.extensions), key=len, default="")
        if self.is_whole(number):
            return number
        number = ""
        if not digits.startswith(self.outside_line):
            return number
        digits = digits[len(self.outside_line) :]
        if digits.startswith(self.international):
            number = f"+{digits[len(self.international) :]}"
        elif self.country and digits.startswith(self.national):
            number = f"+{self.country}{digits[len(self.national) :]}"
        return number if self.is_whole(number) else ""

    def emergency_number(self, uri: SipUri) -> str:
        """Give the emergency number that *uri* calls, with or without an outside line; "" if it is none.

        A service URN calls the number of its service, or else that of the service above it: ``sos.fire`` is ``sos`` here.
        """
        if not self.emergency:
            return ""
        service = service_in(uri)
        while service:
            if service in self.services:
                return self.services[service]
            service = service.rpartition(".")[0]
        digits = local_digits(uri)
        return next((one for one in (digits, digits.removeprefix(self.outside_line)) if one in self.emergency), "")

    def class_of(self, number: str) -> NumberClass | None:
        """Give the class of a whole number: that with the best match; None if it is in no class."""
        if not self.classes:
            return None
        is_needed = any(one.needs_meaning for one in self.classes)
        meaning = meaning_of(number) if is_needed else None
        matches = [(one.match(number, meaning), one) for one in self.classes]
        best, found = max(matches, key=lambda match: match[0], default=(0.0, None))
        return found if best else None

    def is_of_unknown_country(self, number: str) -> bool:
        """Tell whether *number* is in no class, and may be in one by its country, which is not known."""
        return any(one.countries for one in self.classes) and not meaning_of(number).country

    def refusal(self, number: str, user: str | None, given: Collection[str] = ()) -> str:
        """Say why *user* may not call *number*; "" if the user may. *given* are the classes that groups give the user."""
        found = self.class_of(number)
        if found is None and self.is_of_unknown_country(number):
            return f"the country of {number} is not known, and no class has its first digits"
        if found is None or found.everyone or (user is not None and user in found.users):
            return ""
        if user is not None and found.by_group and found.name in given:
            return ""
        return (
            f"{number} is of the class {found.name}, which {(user or 'this caller').removeprefix('sip:')} may not call"
        )


def bounds_of(given: PerUser | None) -> Bounds:
    """Return how much one user may call."""
    return Bounds(given.calls, given.minutes, given.countries) if given is not None else NO_BOUNDS


def hours_of(given: str | None) -> Hours | None:
    """Return the hours of the day that a text such as 08:00-18:00 says."""
    if given is None:
        return None
    begin, end = (60 * int(text[:2]) + int(text[3:]) for text in given.split("-"))
    return Hours(begin, end)


def dial_plan_of(numbers: Numbers) -> DialPlan:
    """Return how users type telephone numbers, and who may call which, as a topology says."""
    classes = tuple(
        NumberClass(
            one.name,
            one.numbers,
            one.everyone,
            frozenset(f"sip:{user}" for user in one.users),
            bounds_of(one.per_user),
            hours_of(one.hours),
            frozenset(one.countries),
            frozenset(one.kinds),
            bool(one.groups),
        )
        for one in numbers.classes
    )
    return DialPlan(
        numbers.country or "",
        numbers.national,
        numbers.international,
        frozenset(numbers.emergency),
        classes,
        bounds_of(numbers.per_user),
        numbers.time_zone,
        numbers.outside_line or "",
        extensions_of(numbers.extensions),
        services_of(numbers.emergency, numbers.emergency_services),
    )


def extensions_of(given: Sequence[Extension]) -> Sequence[ExtensionRange]:
    """Return the short numbers that a topology says."""
    return tuple(ExtensionRange(one.prefix or "", one.digits, one.numbers) for one in given)


def services_of(emergency: Sequence[str], given: Sequence[EmergencyService]) -> Mapping[str, str]:
    """Return the number of each emergency service. ``sos`` is the first of *emergency*, if it is not *given*.

    A service whose number is not in *emergency* is left out: it is one of another site.
    """
    known = {SOS: emergency[0]} if emergency else {}
    return known | {one.service: one.number for one in given if one.number in emergency}


def local_digits(uri: SipUri) -> str:
    """Give the digits of a number without ``+``, in each spelling; "" for another name, and for parameters except a context."""
    if uri.user is None or len(uri.user) > LONGEST_NUMBER:
        return ""
    number = number_in(uri.user, "local.invalid")
    if number is None or not is_digits(number.number) or any(name != _CONTEXT for name, _ in number.params):
        return ""
    return number.number
