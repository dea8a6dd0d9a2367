"""One contact of a user: a person or a number that the user has written down, within bounds."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from sipmesh.errors import OperatorError
from sipmesh.printable import is_printable
from sipmesh.routing.identity.alias import folded
from sipmesh.routing.registrar.address_of_record import read_address

LONGEST_NAME: Final = 120
"""Characters of a name."""

LONGEST_UID: Final = 200
"""Characters of the identifier that a phone has given."""

LONGEST_ADDRESS: Final = 255
MOST_NUMBERS: Final = 4
"""Numbers of one contact."""

MOST_GROUPS: Final = 8
"""Groups of one contact."""

LONGEST_GROUP: Final = 60
"""Characters of the name of a group."""

CONTACT_ID: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._~@+-]{0,99}")
"""The name of a contact in a URL, without its ending."""

_NUMBER: Final = re.compile(r"\+?[0-9*#]{1,32}")
_VISUAL: Final = str.maketrans("", "", " -.()/\u00a0")


@dataclass(frozen=True, slots=True)
class Contact:
    """*id* names the contact among those of its user, *uid* is what phones call it.

    *address* is ``user@domain``, "" for a contact with numbers only.
    """

    id: str
    name: str = ""
    address: str = ""
    numbers: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    uid: str = ""

    def as_json(self) -> dict[str, object]:
        """Return what the web phone gets."""
        return {
            "id": self.id,
            "name": self.name,
            "address": self.address,
            "numbers": list(self.numbers),
            "groups": list(self.groups),
        }


def made_contact(
    given_id: str, name: str, address: str, numbers: Iterable[str], groups: Iterable[str], uid: str = ""
) -> Contact:
    """Make a contact of what a phone has sent; raises `OperatorError` for what no contact can have.

    Numbers lose the characters that only separate digits; what is no number then is left out, as are further numbers and groups.
    """
    if not CONTACT_ID.fullmatch(given_id):
        raise _wrong("its name in the URL is not made of 1 to 100 of the characters A-Z, a-z, 0-9 and ._~@+-")
    dialled = (number for one in numbers if (number := one.translate(_VISUAL)) and _NUMBER.fullmatch(number))
    grouped = (_text(one, LONGEST_GROUP, "a group") for one in groups if one.strip())
    made = Contact(
        given_id,
        _text(name, LONGEST_NAME, "the name"),
        _address(address) if address else "",
        _first(dialled, MOST_NUMBERS),
        _first(grouped, MOST_GROUPS),
        _text(uid or given_id, LONGEST_UID, "the UID"),
    )
    if not (made.name or made.address or made.numbers):
        raise _wrong("it has neither a name nor an address nor a number")
    return made


def contact_of_json(given_id: str, found: Mapping[str, object]) -> Contact:
    """Make a contact of what the web phone has sent; raises `OperatorError`."""
    texts = {one: found.get(one, "") for one in ("name", "address")}
    lists = {one: found.get(one, []) for one in ("numbers", "groups")}
    if unknown := found.keys() - {*texts, *lists, "id"}:
        raise _wrong(f"{min(unknown)!a} is not known")
    if not all(isinstance(one, str) for one in texts.values()):
        raise _wrong("name and address are texts")
    if not all(isinstance(those, list) and all(isinstance(one, str) for one in those) for those in lists.values()):
        raise _wrong("numbers and groups are lists of texts")
    numbers, groups = (those if isinstance(those, list) else [] for those in lists.values())
    return made_contact(given_id, str(texts["name"]), str(texts["address"]), numbers, groups)


def _first(texts: Iterable[str], most: int) -> tuple[str, ...]:
    """Give the first *most* different *texts*, and read no further."""
    found = dict[str, None]()
    for text in texts:
        found[text] = None
        if len(found) == most:
            break
    return tuple(found)


def _address(text: str) -> str:
    address = folded(read_address(text).aor).removeprefix("sip:")
    if len(address) > LONGEST_ADDRESS:
        raise _wrong(f"the address has more than {LONGEST_ADDRESS} characters")
    return address


def _text(text: str, longest: int, what: str) -> str:
    text = text.strip()
    if len(text) > longest:
        raise _wrong(f"{what} has more than {longest} characters")
    if not all(map(is_printable, text)):
        raise _wrong(f"{what} has a character that cannot be shown")
    return text


def _wrong(why: str) -> OperatorError:
    return OperatorError(f"this contact cannot be kept: {why}")
