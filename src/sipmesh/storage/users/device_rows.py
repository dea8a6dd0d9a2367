"""The passwords of single devices, as rows of the user database."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from sipmesh.database.lazy_module import LazyModule, sql
from sipmesh.routing.authentication.verifier import NO_LOGOUTS, DevicePassword
from sipmesh.storage.users.device import Device
from sipmesh.storage.users.logout_rows import logouts_in
from sipmesh.storage.users.user_columns import COLUMN_OF
from sipmesh.storage.users.user_rows import rows_of, wrong

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sipmesh.storage.users import contact_tables, device_tables, directory_tables, logout_tables, scim_tables
    from sipmesh.storage.users import user_tables as tables
else:
    contact_tables = LazyModule("sipmesh.storage.users.contact_tables")
    device_tables = LazyModule("sipmesh.storage.users.device_tables")
    scim_tables = LazyModule("sipmesh.storage.users.scim_tables")
    directory_tables = LazyModule("sipmesh.storage.users.directory_tables")
    logout_tables = LazyModule("sipmesh.storage.users.logout_tables")
    tables = LazyModule("sipmesh.storage.users.user_tables")

MOST_DEVICES: Final = 16
"""Devices of one user with a password of their own: every server of the home pool has them in memory."""

DEVICE_NAME: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?")
"""The name of a device: it is a part of a digest user name, and of the name of a file."""

_HASH: Final = {"ha1_sha256": re.compile("[0-9a-f]{64}"), "ha1_md5": re.compile("[0-9a-f]{32}")}


def must_be_a_device_name(name: str) -> str:
    """Return *name*; raises `OperatorError` if no device can have it."""
    if not DEVICE_NAME.fullmatch(name):
        raise wrong(f"{name!r} is no name of a device", "use 1 to 32 of the characters a-z, 0-9 and -")
    return name


def with_devices(
    db: sql.Connection, users: Sequence[dict[str, Any]], among: sql.Select[Any] | None = None
) -> Sequence[dict[str, Any]]:
    """Add to the row of each user the passwords of the devices, as ``devices``; *among* selects the addresses, None means all.

    The devices of a disabled user cannot log in, nor those of an earlier user of the same name. ``is_disabled`` says who that is,
    and ``logouts`` which access tokens have ended, and ``classes`` which classes of numbers groups give the user.
    """
    disabled = sql.select(tables.DISABLED.c.aor)
    off = set(db.execute(disabled if among is None else disabled.where(tables.DISABLED.c.aor.in_(among))).scalars())
    query = sql.select(device_tables.DEVICES).where(
        device_tables.DEVICES.c.aor.not_in(sql.select(tables.DISABLED.c.aor))
    )
    query = query if among is None else query.where(device_tables.DEVICES.c.aor.in_(among))
    since = {user["aor"]: user["created"] for user in users}
    found: dict[str, dict[str, DevicePassword]] = {}
    for row in rows_of(db, query.order_by(device_tables.DEVICES.c.aor, device_tables.DEVICES.c.device)):
        of_user = found.setdefault(row["aor"], {})
        if len(of_user) < MOST_DEVICES and _is_usable(row) and row["created"] >= since.get(row["aor"], row["created"]):
            hashes = {algorithm: row[column] for algorithm, column in COLUMN_OF.items() if row[column]}
            of_user[row["device"]] = DevicePassword(row["generation"], hashes)
    logouts, classes = logouts_in(db, among), _classes(db, among)
    for user in users:
        user["devices"], user["is_disabled"] = found.get(user["aor"], {}), user["aor"] in off
        user["logouts"], user["classes"] = logouts.get(user["aor"], NO_LOGOUTS), classes.get(user["aor"], ())
    return users


def row_with_devices(db: sql.Connection, aor: str) -> Mapping[str, Any] | None:
    """Return the row of *aor* with what `with_devices` adds, None for an unknown user."""
    asked = sql.select(tables.USERS).where(tables.USERS.c.aor == aor)
    rows = with_devices(db, rows_of(db, asked), sql.select(tables.USERS.c.aor).where(tables.USERS.c.aor == aor))
    return rows[0] if rows else None


def _classes(db: sql.Connection, among: sql.Select[Any] | None) -> Mapping[str, tuple[str, ...]]:
    """Return the classes of numbers that groups of the directory give, by user; most users have none."""
    links, classes = directory_tables.LINKS.c, scim_tables.CLASSES.c
    query = sql.select(links.aor, classes.classes).where(links.id == classes.id)
    rows = rows_of(db, query if among is None else query.where(links.aor.in_(among)))
    return {row["aor"]: tuple(str(row["classes"]).split()) for row in rows}


def _is_usable(row: Mapping[str, Any]) -> bool:
    """Tell whether servers can read a row: a client that can write to the database can write any value."""
    hashes = {column: row[column] for column in _HASH if row[column] is not None}
    return (
        isinstance(row["device"], str)
        and DEVICE_NAME.fullmatch(row["device"]) is not None
        and isinstance(row["generation"], int)
        and row["generation"] >= 0
        and bool(hashes)
        and all(isinstance(one, str) and _HASH[column].fullmatch(one) for column, one in hashes.items())
    )


def devices_of(db: sql.Connection, aor: str) -> Sequence[Device]:
    """Return the devices of a user, the oldest first."""
    query = sql.select(device_tables.DEVICES).where(device_tables.DEVICES.c.aor == aor)
    rows = rows_of(db, query.order_by(device_tables.DEVICES.c.created, device_tables.DEVICES.c.device))
    return [
        Device(
            row["aor"],
            row["device"],
            row["client"],
            row["created"],
            row["address"],
            row["invitation"],
            certificate=not any(row[column] for column in _HASH),
        )
        for row in rows
    ]


def free_name(wanted: str, taken: Sequence[Device]) -> str:
    """Return *wanted*, or the same with the first number that makes it a name of no device of the user."""
    names = {device.name for device in taken}
    numbered = (f"{wanted[:28].rstrip('-')}-{n}" for n in range(2, len(names) + 3))
    return next(name for name in (wanted, *numbered) if name not in names)


def must_have_room(aor: str, devices: Sequence[Device]) -> None:
    """Raise `OperatorError` if a user has as many devices as a user may have."""
    if len(devices) >= MOST_DEVICES:
        remedy = f"to revoke one: sipmesh user devices {aor[4:]} --revoke DEVICE"
        raise wrong(f"{aor} has {MOST_DEVICES} devices, which is the limit", remedy)


def must_be_free(aor: str, name: str, devices: Sequence[Device]) -> None:
    """Raise `OperatorError` if a user has a device *name* already."""
    if any(device.name == name for device in devices):
        remedy = f"choose another name, or revoke it: sipmesh user devices {aor[4:]} --revoke {name}"
        raise wrong(f"{aor} has a device {name!r} already", remedy)


def remove_device(db: sql.Connection, aor: str, device: str) -> None:
    """Remove the password of a device; raises `OperatorError` if the user has no such device."""
    table = device_tables.DEVICES
    if not db.execute(table.delete().where(table.c.aor == aor, table.c.device == device)).rowcount:
        raise wrong(f"{aor} has no device {device!r}", f"to list them: sipmesh user devices {aor[4:]}")


def remove_devices(db: sql.Connection, *aors: str) -> None:
    """Remove the passwords of all devices of users, and revoke the open invitations."""
    db.execute(device_tables.DEVICES.delete().where(device_tables.DEVICES.c.aor.in_(aors)))
    remove_invitations(db, *aors)


def remove_invitations(db: sql.Connection, *aors: str) -> None:
    """Revoke the open invitations of users."""
    db.execute(device_tables.INVITATIONS.delete().where(device_tables.INVITATIONS.c.aor.in_(aors)))


def copied_tables() -> Sequence[sql.Table]:
    """Return the tables that a copy of the users has: no invitation, since the copy may be older than its use."""
    return (
        *tables.SCHEMA.tables.values(),
        device_tables.DEVICES,
        directory_tables.LINKS,
        logout_tables.LOGOUTS,
        *contact_tables.SCHEMA.tables.values(),
        *scim_tables.SCHEMA.tables.values(),
    )
