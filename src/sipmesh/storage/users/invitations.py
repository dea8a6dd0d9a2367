"""The invitations in the user database, and the devices that have taken one, by a password or a certificate.

A secret counts once. Each use deletes or replaces its hash in the transaction that gives the device its password, and these
transactions wait for each other in SQLite and in PostgreSQL: of two servers that use it at the same instant, one finds nothing.
"""

from __future__ import annotations

import re
import secrets
from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

from sipmesh.database.lazy_module import LazyModule, sql
from sipmesh.routing.authentication.verifier import user_of, user_of_device
from sipmesh.sip.uri import SipUri
from sipmesh.storage.users import device_rows
from sipmesh.storage.users.call_rule_rows import must_be_no_group
from sipmesh.storage.users.device import Device
from sipmesh.storage.users.invitation import Invitation
from sipmesh.storage.users.password_hashes import DEFAULT_ALGORITHMS, device_hashes
from sipmesh.storage.users.user_rows import disabled_since, row_of, rows_of, wrong

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from sipmesh.pki.issued import IssuedToPerson
    from sipmesh.storage.users import device_tables
    from sipmesh.storage.users.user_database import Users

    Certify = Callable[[Device], IssuedToPerson]
else:
    device_tables = LazyModule("sipmesh.storage.users.device_tables")

MOST_OPEN: Final = 16
"""Open invitations of one user."""

TICKET_LIFETIME: Final = timedelta(minutes=15)
"""How long the software of a phone has after a person has opened the invitation."""

TOKEN_OCTETS: Final = 24
SECRET: Final = re.compile("[A-Za-z0-9_-]{32}")
"""A token or a ticket. No other text needs to be looked up."""

_ALPHABET: Final = "abcdefghijkmnopqrstuvwxyz23456789"
_PASSWORD_CHARACTERS: Final = 28
"""Of 33 characters: 141 bits. No character has to be quoted in any file of a phone."""


class NotOpenError(Exception):
    """The secret is of no open invitation: it was used, revoked or has expired, or it never was one."""


@dataclass(frozen=True, slots=True)
class Taken:
    """What a device has got: the digest user name *login* and the *password*, which is not stored, or *issued* with its key."""

    device: Device
    login: str
    password: str
    issued: IssuedToPerson | None = None

    def __repr__(self) -> str:
        return f"<Taken {self.device!r}>"


class Invitations:
    """The invitations of *users*. Each method raises `OperatorError` if the database cannot be used."""

    __slots__ = ("_users",)

    def __init__(self, users: Users) -> None:
        self._users = users

    def invite(self, wanted: Invitation) -> tuple[Invitation, str]:
        """Store an invitation, and return it with its token.

        The id of *wanted* is replaced. Raises `OperatorError` for an unknown or disabled user, for the name of a device
        that the user has, and above `MOST_OPEN` and `device_rows.MOST_DEVICES`.
        """
        uri, token = self._users.known_address(wanted.aor), secrets.token_urlsafe(TOKEN_OCTETS)
        made = replace(wanted, aor=uri.aor, id=secrets.token_hex(4))
        with self._users.locked() as db:
            must_be_no_group(row_of(db, uri.aor))
            self._must_be_possible(db, made)
            db.execute(device_tables.INVITATIONS.insert().values(**asdict(made), secret_sha256=hash_of(token)))
        return made, token

    def _must_be_possible(self, db: sql.Connection, made: Invitation) -> None:
        bare = made.aor[4:]
        _must_be_enabled(db, made.aor)
        if not made.opens_portal:
            devices = device_rows.devices_of(db, made.aor)
            device_rows.must_have_room(made.aor, devices)
            device_rows.must_be_free(made.aor, made.device, devices)
        table = device_tables.INVITATIONS
        db.execute(table.delete().where(table.c.aor == made.aor, table.c.expires <= made.created))
        if len(_read(db, table.c.aor == made.aor)) >= MOST_OPEN:
            remedy = f"to revoke them: sipmesh user invitations {bare} --revoke ID"
            raise wrong(f"{made.aor} has {MOST_OPEN} open invitations, which is the limit", remedy)

    def exchange(self, token: str, client: str, address: str, at: datetime) -> tuple[Invitation, str]:
        """Exchange the *token* of an open invitation for a ticket, which is valid for minutes; returns both.

        Raises `NotOpenError`.
        """
        ticket = secrets.token_urlsafe(TOKEN_OCTETS)
        with self._users.locked() as db:
            found = _open(db, token, address, at)
            if found.is_ticket:
                raise NotOpenError
            exchanged = replace(found, client=client, is_ticket=True, expires=at + TICKET_LIFETIME)
            values = {**asdict(exchanged), "secret_sha256": hash_of(ticket)}
            db.execute(
                device_tables.INVITATIONS.update().where(device_tables.INVITATIONS.c.id == found.id).values(values)
            )
        return exchanged, ticket

    def sign_in(self, secret: str, address: str, at: datetime) -> Invitation:
        """Use up the *secret* of a link to the portal, and return its invitation; raises `NotOpenError`."""
        with self._users.locked() as db:
            found = _open(db, secret, address, at, opens_portal=True)
            if disabled_since(db, found.aor) is not None:
                raise NotOpenError
            db.execute(device_tables.INVITATIONS.delete().where(device_tables.INVITATIONS.c.id == found.id))
        return found

    def look(self, secret: str, address: str, at: datetime) -> Invitation:
        """Return the invitation of an open *secret*, and change nothing; raises `NotOpenError`."""
        with self._users.reading() as db:
            return _open(db, secret, address, at)

    def take(self, secret: str, client: str, address: str, at: datetime, certify: Certify | None = None) -> Taken:
        """Give the device that has *secret* a password of its own, or the certificate that *certify* issues.

        The secret is used up. Raises `NotOpenError`, and `OperatorError` if the user has too many devices. If *certify* raises,
        or there is none for an invitation with a certificate, nothing is changed.
        """
        invitation = self.look(secret, address, at)
        with self._users.changing(invitation.aor) as (db, version):
            found = _open(db, secret, address, at)  # again: another server may have used it meanwhile
            devices = device_rows.devices_of(db, found.aor)
            device_rows.must_have_room(found.aor, devices)
            name, is_by_certificate = device_rows.free_name(found.device or client, devices), found.certificate
            device = Device(found.aor, name, client, at, address, found.id, is_by_certificate)
            taken = _with_password(db, device, version) if not is_by_certificate else None
            if taken is None:
                _insert(db, device, version, {})
                taken = Taken(device, user_of(found.aor), "", _must_issue(certify, device))
            db.execute(device_tables.INVITATIONS.delete().where(device_tables.INVITATIONS.c.id == found.id))
        return taken

    def give_password(self, aor: str, name: str, client: str, address: str, at: datetime) -> Taken:
        """Give a new device *name* of a user a password of its own, without an invitation.

        Raises `OperatorError` for an unknown or disabled user, for the name of a device that the user has, and above
        `device_rows.MOST_DEVICES`.
        """
        uri = self._users.known_address(aor)
        with self._users.changing(uri.aor) as (db, version):
            must_be_no_group(row_of(db, uri.aor))
            _must_be_enabled(db, uri.aor)
            devices = device_rows.devices_of(db, uri.aor)
            device_rows.must_have_room(uri.aor, devices)
            device_rows.must_be_free(uri.aor, name, devices)
            return _with_password(db, Device(uri.aor, name, client, at, address, ""), version)

    def home_of(self, aor: str) -> str | None:
        """Return the home pool of a user, None for the default; raises `OperatorError` for an unknown user."""
        return self._users.get(aor).pool

    def open_ones(self, aor: str, at: datetime) -> Sequence[Invitation]:
        """Return the invitations of a user that can still be used, "" for those of all users, the oldest first."""
        table = device_tables.INVITATIONS
        condition = table.c.aor == self._users.known_address(aor).aor if aor else sql.true()
        with self._users.reading() as db:
            return [found for found in _read(db, condition) if at < found.expires]

    def revoke(self, number: str) -> Invitation:
        """Revoke the invitation with the id *number*; raises `OperatorError` if there is none."""
        with self._users.locked() as db:
            found = _read(db, device_tables.INVITATIONS.c.id == number)
            if not found:
                raise wrong(f"there is no open invitation {number!r}", "to list them: sipmesh user invitations")
            db.execute(device_tables.INVITATIONS.delete().where(device_tables.INVITATIONS.c.id == number))
        return found[0]

    def devices(self, aor: str) -> Sequence[Device]:
        """Return the devices of a user; raises `OperatorError` for an unknown user."""
        uri = self._users.known_address(aor)
        with self._users.reading() as db:
            row_of(db, uri.aor)
            return device_rows.devices_of(db, uri.aor)

    def revoke_device(self, aor: str, device: str, note: Callable[[], object] = lambda: None) -> None:
        """Remove the password of a device, which makes its logins invalid; raises `OperatorError` if there is no such device.

        If *note* raises, nothing is changed.
        """
        uri = self._users.known_address(aor)
        with self._users.changing(uri.aor) as (db, _):
            device_rows.remove_device(db, uri.aor, device)
            note()


def _must_be_enabled(db: sql.Connection, aor: str) -> None:
    if disabled_since(db, aor) is not None:
        raise wrong(f"{aor} is disabled", f"to enable the user first: sipmesh user enable {aor[4:]}")


def _with_password(db: sql.Connection, device: Device, version: int) -> Taken:
    """Store *device* with a new password, of which only the hashes are stored."""
    login, realm = user_of_device(device.aor, device.name), SipUri.parse(device.aor).domain
    password = "".join(secrets.choice(_ALPHABET) for _ in range(_PASSWORD_CHARACTERS))
    _insert(db, device, version, device_hashes(login, realm, password, DEFAULT_ALGORITHMS))
    return Taken(device, login, password)


def _insert(db: sql.Connection, device: Device, version: int, hashes: Mapping[str, str | None]) -> None:
    made = asdict(device)
    made["device"] = made.pop("name")
    del made["certificate"]  # a device without a hash has one
    db.execute(device_tables.DEVICES.insert().values({**made, "generation": version, **hashes}))


def _must_issue(certify: Certify | None, device: Device) -> IssuedToPerson:
    if certify is None:
        raise wrong(
            f"the device {device.name} of {device.aor} needs a certificate", "take the invitation at management"
        )
    return certify(device)


def hash_of(secret: str) -> str:
    """Return what the database has of a token or ticket: 192 random bits need no salt and no slow hash."""
    return sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def _open(db: sql.Connection, secret: str, address: str, at: datetime, *, opens_portal: bool = False) -> Invitation:
    for found in _read(db, device_tables.INVITATIONS.c.secret_sha256 == hash_of(secret)):
        if found.admits(address, at) and found.opens_portal == opens_portal:
            return found
    raise NotOpenError


def _read(db: sql.Connection, condition: sql.ColumnElement[bool]) -> list[Invitation]:
    names = ("id", "aor", "device", "client", "mac", "network", "created", "expires", "remote", "is_ticket")
    keys = (*names, "certificate")
    query: sql.Select[Any] = (
        sql.select(device_tables.INVITATIONS).where(condition).order_by(device_tables.INVITATIONS.c.created)
    )
    return [Invitation(*[row[key] for key in keys]) for row in rows_of(db, query)]
