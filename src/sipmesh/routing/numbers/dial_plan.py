"""What a user has typed, as a whole number; and which users may call a number."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sipmesh.routing.numbers.e164 import dialled_number, is_global
from sipmesh.routing.numbers.trunk_table import longest
from sipmesh.sip.tel import LONGEST_NUMBER, number_in
from sipmesh.sip.text import is_digits

if TYPE_CHECKING:
    from sipmesh.sip.uri import SipUri

_CONTEXT: Final = "phone-context"


@dataclass(frozen=True, slots=True)
class NumberClass:
    """Numbers with the first digits *numbers*, which *users* may call, or *everyone*. *users* are ``sip:user@domain``."""

    name: str
    numbers: tuple[str, ...]
    everyone: bool
    users: frozenset[str]


@dataclass(frozen=True, slots=True)
class DialPlan:
    """How numbers are typed: the *country* code, the prefixes *national* and *international*, and *emergency* numbers.

    Without a country there are no national numbers. A number without a prefix is an extension, and no telephone number: where
    it leads is never guessed.
    """

    country: str = ""
    national: str = "0"
    international: str = "00"
    emergency: frozenset[str] = frozenset()
    classes: Sequence[NumberClass] = ()

    def whole_number(self, uri: SipUri) -> str:
        """Give the whole number that *uri* calls; "" for an extension, another name, and a number with parameters."""
        number = dialled_number(uri)
        return (number if self.is_whole(number) else "") or self.completed(local_digits(uri))

    def is_whole(self, number: str) -> bool:
        """Tell whether *number* is a whole number without a national prefix behind our country code, as in ``+49(0)900…``.

        Some trunks remove such a 0. Then a number of another class or of another caller was judged. In a country with a national
        prefix that begins with 0, no whole number has it. Other prefixes may be first digits too, such as the 8 of Russia.
        """
        is_twice = self.national.startswith("0") and number.startswith(f"+{self.country}{self.national}")
        return is_global(number) and not (self.country and is_twice)

    def completed(self, digits: str) -> str:
        """Give the whole number that a user means by *digits*; "" if these are no whole number."""
        number = ""
        if digits.startswith(self.international):
            number = f"+{digits[len(self.international) :]}"
        elif self.country and digits.startswith(self.national):
            number = f"+{self.country}{digits[len(self.national) :]}"
        return number if self.is_whole(number) else ""

    def emergency_number(self, uri: SipUri) -> str:
        """Give the emergency number that *uri* calls, "" if it is none."""
        digits = local_digits(uri)
        return digits if digits in self.emergency else ""

    def class_of(self, number: str) -> NumberClass | None:
        """Give the class of a whole number: the one with the longest match; None if it is in no class."""
        matches = [(longest(one.numbers, number), one) for one in self.classes]
        length, found = max(matches, key=lambda match: match[0], default=(0, None))
        return found if length else None

    def refusal(self, number: str, user: str | None) -> str:
        """Say why *user* may not call *number*; "" if the user may."""
        found = self.class_of(number)
        if found is None or found.everyone or (user is not None and user in found.users):
            return ""
        return (
            f"{number} is of the class {found.name}, which {(user or 'this caller').removeprefix('sip:')} may not call"
        )


def local_digits(uri: SipUri) -> str:
    """Give the digits of a number without ``+``, in each spelling; "" for another name, and for parameters except a context."""
    if uri.user is None or len(uri.user) > LONGEST_NUMBER:
        return ""
    number = number_in(uri.user, "local.invalid")
    if number is None or not is_digits(number.number) or any(name != _CONTEXT for name, _ in number.params):
        return ""
    return number.number
