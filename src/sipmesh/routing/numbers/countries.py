"""Finds the country and the kind of a whole number in the numbering plans of all countries (ITU-T E.164).

The library phonenumbers has these plans. A number that fits no plan has no country.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from sipmesh.topology.document.parts.number_kind import NumberKind

SHORTEST: Final = 6
KNOWN: Final = 4096
"""Numbers whose meaning is kept: the first one of a country costs some milliseconds, each further one 0.1 ms."""

KINDS: Final = {4: NumberKind.PREMIUM, 5: NumberKind.SHARED_COST}
"""The kinds by the values of the library's PhoneNumberType."""
UNKNOWN: Final = 99


@dataclass(frozen=True, slots=True)
class NumberMeaning:
    """The *country* of a number as in ISO 3166, 001 for networks of no country, "" if it is not known; and its country *code*."""

    country: str = ""
    code: str = ""
    kind: NumberKind | None = None

    def __str__(self) -> str:
        """Say in words what the number is."""
        where = {"": "of a country that is not known", "001": "of a network of no country"}
        return f"{f'a {self.kind} number' if self.kind else 'a number'} {where.get(self.country, f'of {self.country}')}"


def country_of(number: str) -> str:
    """Return what counts as one country: it and its code. Networks of no country have a code each."""
    meaning = meaning_of(number)
    return f"{meaning.country}{meaning.code}"


@lru_cache(KNOWN)
def meaning_of(number: str) -> NumberMeaning:
    """Return the meaning of the whole *number*.

    Networks ignore surplus digits. So a number that fits no plan has the meaning of its longest prefix that fits one.
    """
    found = NumberMeaning()
    for length in range(len(number), SHORTEST, -1):
        one, is_known = _meaning(number[:length])
        found = one if is_known or not found.country else found
        if is_known:
            break
    return found


def _meaning(number: str) -> tuple[NumberMeaning, bool]:
    """Return the meaning of *number*, and whether its length and digits fit the plan of its country."""
    import phonenumbers

    try:
        parsed = phonenumbers.parse(number)
    except phonenumbers.NumberParseException:
        return NumberMeaning(), False
    kind = phonenumbers.number_type(parsed)
    country = phonenumbers.region_code_for_number(parsed) or ""
    return NumberMeaning(country, str(parsed.country_code), KINDS.get(kind)), kind != UNKNOWN
