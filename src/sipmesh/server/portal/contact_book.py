"""The contacts of one user in the user database: read and changed by phones, the web phone and the portal."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sipmesh.errors import OperatorError
from sipmesh.server.console.access.account import opened
from sipmesh.server.contacts.vcard import write_vcard
from sipmesh.storage.users.contact_rows import changes_of, contact_of, contacts_of, put_contact, remove_contact

if TYPE_CHECKING:
    from sipmesh.storage.users.contact import Contact
    from sipmesh.topology.document.load import Loaded

NO_CONDITIONS: Final[Mapping[str, str]] = {}


class UnmetError(OperatorError):
    """A condition of the request does not hold: another device may have changed the contact meanwhile."""


@dataclass(frozen=True, slots=True)
class ContactBook:
    """All contacts of a user, and how many changes they have had."""

    contacts: Sequence[Contact]
    changes: int


def read_book(loaded: Loaded, aor: str) -> ContactBook:
    """Return the contacts of *aor*."""
    with opened(loaded) as users, users.reading() as db:
        return ContactBook(contacts_of(db, aor), changes_of(db, aor))


def read_contact(loaded: Loaded, aor: str, contact_id: str) -> Contact | None:
    """Return one contact of *aor*, None if there is none."""
    with opened(loaded) as users, users.reading() as db:
        return contact_of(db, aor, contact_id)


def keep_contact(loaded: Loaded, aor: str, contact: Contact, fields: Mapping[str, str] = NO_CONDITIONS) -> bool:
    """Keep a contact, and tell whether it is a new one; *fields* are the header fields with conditions.

    Raises `UnmetError`, `FullError`, and `OperatorError` for a user who is gone.
    """
    with opened(loaded) as users, users.locked() as db:
        held = contact_of(db, aor, contact.id)
        _must_be_met(fields, held)
        put_contact(db, aor, contact)
        return held is None


def drop_contact(loaded: Loaded, aor: str, contact_id: str, fields: Mapping[str, str] = NO_CONDITIONS) -> bool:
    """Remove a contact, and tell whether there was one; raises `UnmetError`."""
    with opened(loaded) as users, users.locked() as db:
        _must_be_met(fields, contact_of(db, aor, contact_id))
        return remove_contact(db, aor, contact_id)


def etag_of(contact: Contact) -> str:
    """Return the entity tag of a contact (RFC 9110 section 8.8.3)."""
    return f'"{hashlib.sha256(write_vcard(contact).encode()).hexdigest()[:32]}"'


def _must_be_met(fields: Mapping[str, str], held: Contact | None) -> None:
    """Judge If-Match and If-None-Match (RFC 9110 section 13.1)."""
    wanted, unwanted = fields.get("If-Match"), fields.get("If-None-Match")
    if wanted is not None and (held is None or wanted not in ("*", etag_of(held))):
        raise UnmetError("the contact has changed meanwhile")
    if unwanted == "*" and held is not None:
        raise UnmetError("there is such a contact")
