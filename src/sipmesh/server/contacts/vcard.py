"""Contacts as vCards (RFC 6350), as far as a phone needs them: name, SIP address, numbers and groups.

All else of a vCard is passed over, so a picture or a note is not kept. vCard 3.0 (RFC 2426) is read too.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from sipmesh.errors import OperatorError
from sipmesh.sip.text import LWS, ascii_lower
from sipmesh.storage.users.contact import Contact, made_contact

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

LARGEST_CARD: Final = 64 << 10
"""Octets of a vCard: most of a larger one is a picture."""

MOST_LINES: Final = 500
"""Lines of a vCard, after those that belong together are joined."""

_FOLD: Final = re.compile(r"\r?\n[ \t]")
_LINE: Final = re.compile(r'(?:[A-Za-z0-9-]+\.)?([A-Za-z0-9-]+)((?:;(?:"[^"]*"|[^":;])*)*):(.*)')
_SPACES: Final = re.compile(r"[ \t]+")
_ESCAPED: Final = re.compile(r"\\(.)")
_SIP: Final = ("sip:", "sips:")
_SPECIAL: Final = re.compile(r"([\\,;])")


def read_vcard(text: str, contact_id: str) -> Contact:
    """Read one vCard as the contact *contact_id*; raises `OperatorError` if it is none, or if no contact can have its values."""
    lines = list(_properties(text))
    marks = [(name, ascii_lower(value)) for name, value in lines if name in ("begin", "end")]
    if marks != [("begin", "vcard"), ("end", "vcard")] or [lines[0][0], lines[-1][0]] != ["begin", "end"]:
        raise _wrong("it is not one vCard")
    found: dict[str, list[str]] = {}
    for name, value in lines:
        found.setdefault(name, []).append(value)
    targets = [_plain(one) for one in (*found.get("impp", ()), *found.get("x-sip", ()), *found.get("tel", ()))]
    addresses = [one for one in targets if ascii_lower(one).startswith(_SIP)]
    bare = [_plain(one) for one in found.get("x-sip", ()) if "@" in one]
    numbers = [_number(_plain(one)) for one in found.get("tel", ())]
    groups = [_plain(one) for line in found.get("categories", ()) for one in _parts(line)]
    name = _plain(found.get("fn", [""])[0]) or _name(found.get("n", [""])[0])
    address = next(iter([*addresses, *bare]), "").partition(";")[0].partition("?")[0]
    uid = _plain(found.get("uid", [""])[0])
    return made_contact(contact_id, _SPACES.sub(" ", name), address, numbers, groups, uid)


def write_vcard(contact: Contact) -> str:
    """Write a contact as vCard 4.0, with lines of any length, as each reader has to take them (RFC 6350 section 3.2)."""
    lines = ["BEGIN:VCARD", "VERSION:4.0", f"UID:{_escaped(contact.uid)}"]
    shown = contact.name or contact.address or contact.numbers[0]
    lines.append(f"FN:{_escaped(shown)}")
    lines += [f"IMPP:sip:{_escaped(contact.address)}"] if contact.address else []
    lines += [f"TEL;VALUE=uri:tel:{number}" for number in contact.numbers]
    lines += [f"CATEGORIES:{','.join(map(_escaped, contact.groups))}"] if contact.groups else []
    return "\r\n".join([*lines, "END:VCARD", ""])


def _properties(text: str) -> Iterator[tuple[str, str]]:
    """Give the name and the value of each line, without parameters; raises `OperatorError`."""
    lines = [line for line in _FOLD.sub("", text).split("\n") if line.strip(LWS)]
    if len(lines) > MOST_LINES:
        raise _wrong(f"it has more than {MOST_LINES} lines")
    for line in lines:
        found = _LINE.fullmatch(line.rstrip("\r"))
        if found is None:
            raise _wrong("a line is not NAME:VALUE")
        yield ascii_lower(found[1]), found[3].strip(LWS)


def _plain(value: str) -> str:
    return _ESCAPED.sub(lambda found: " " if found[1] in "nN" else found[1], value).strip(LWS)


def _parts(value: str) -> Sequence[str]:
    """Return the values of a list: commas divide them, but for escaped commas."""
    parts, rest = list[str](), ""
    for one in re.split(r"(\\.|,)", value):
        if one == ",":
            parts.append(rest)
            rest = ""
        else:
            rest += one
    return [*parts, rest]


def _name(structured: str) -> str:
    """Return the given and the family name of an N, which are the first two parts of it."""
    family, _, rest = structured.partition(";")
    return f"{_plain(rest.partition(';')[0])} {_plain(family)}".strip(LWS)


def _number(value: str) -> str:
    return value[4:].partition(";")[0] if ascii_lower(value).startswith("tel:") else value


def _escaped(text: str) -> str:
    return _SPECIAL.sub(r"\\\1", text)


def _wrong(why: str) -> OperatorError:
    return OperatorError(f"this vCard cannot be read: {why}")
