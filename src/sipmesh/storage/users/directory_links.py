"""The users who come from a directory: what is stored about them, and the steps of a sync, many in one transaction."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Final

from sipmesh.database.lazy_module import LazyModule, sql
from sipmesh.routing.identity.alias import folded
from sipmesh.storage.users.added_users import add_users
from sipmesh.storage.users.alias_rows import add_alias, remove_alias
from sipmesh.storage.users.call_rule_rows import call_rules_in, change_in_others
from sipmesh.storage.users.contact_rows import rename_contacts
from sipmesh.storage.users.device_rows import remove_devices
from sipmesh.storage.users.directory_entry import ACTIVE, DAY, DirectoryEntry, DirectoryLink, DirectoryStep, StepKind
from sipmesh.storage.users.directory_rows import link_of, links_in, links_to_revoke, put_links
from sipmesh.storage.users.disabled_rows import disable_rows, enable_rows
from sipmesh.storage.users.password_hashes import unknown_hashes
from sipmesh.storage.users.user_columns import COLUMN_OF
from sipmesh.storage.users.user_rows import (
    alias_index,
    aliases_of,
    disabled_since,
    owner_of,
    row_of,
    rows_of,
    user_like,
    wrong,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sipmesh.storage.users import directory_tables
    from sipmesh.storage.users import user_tables as tables
    from sipmesh.storage.users.user_database import Users
else:
    directory_tables = LazyModule("sipmesh.storage.users.directory_tables")
    tables = LazyModule("sipmesh.storage.users.user_tables")


@dataclass(frozen=True, slots=True)
class HeldUser:
    """What a sync compares of one user: home *pool*, *aliases*, and whether the user *is_disabled*."""

    aor: str
    pool: str | None
    aliases: tuple[str, ...]
    is_disabled: bool


@dataclass(frozen=True, slots=True)
class HeldUsers:
    """All users of the database, by address in lower case, and the *links* of those from the directory, by id of the entry."""

    users: Mapping[str, HeldUser]
    links: Mapping[str, DirectoryLink]


class DirectoryLinks:
    """The users of *users* who come from a directory. Each method raises `OperatorError` if the database cannot be used."""

    __slots__ = ("_users",)

    def __init__(self, users: Users) -> None:
        self._users = users

    def held(self) -> HeldUsers:
        """Return all users and links, as the database has them now."""
        with self._users.reading() as db:
            aliases = alias_index(db, sql.select(tables.ALIASES))
            off = set(db.execute(sql.select(tables.DISABLED.c.aor)).scalars())
            rows = rows_of(db, sql.select(tables.USERS.c.aor, tables.USERS.c.pool))
            found = (
                HeldUser(row["aor"], row["pool"], tuple(aliases.of(row["aor"])), row["aor"] in off) for row in rows
            )
            return HeldUsers({folded(user.aor): user for user in found}, links_in(db))

    def held_for(self, entry_id: str, entry: DirectoryEntry | None) -> HeldUsers:
        """Return what a comparison of one entry needs: its link and user, and the users who have one of its names."""
        with self._users.reading() as db:
            links = links_in(db, [entry_id])
            names = {link.aor for link in links.values()}
            if entry is not None:
                names |= {entry.aor, *entry.aliases}
            owners = {
                found for name in names for found in (user_like(db, name), owner_of(db, (folded(name),))) if found
            }
            users = [_held(db, aor) for aor in sorted(owners)]
            linked = [link_of(db, user.aor) for user in users if user.is_disabled]
            ended = {link.id: link for link in linked if link is not None and link.ended_by}
        return HeldUsers({folded(user.aor): user for user in users}, {**ended, **links})

    def has_other_entry(self, entry: DirectoryEntry) -> bool:
        """Tell whether the user who has the address of *entry* comes from another entry, which gives access."""
        with self._users.reading() as db:
            link = link_of(db, user_like(db, entry.aor))
        return link is not None and link.id != entry.id and not link.ended_by

    def access_counts(self, since: datetime, lost: Sequence[str], *, of_old: bool) -> tuple[int, int]:
        """Return how many users have access by the directory, and how many others than *lost* have lost it since an instant.

        With *of_old*, only users count who were there at that instant: none if none of *lost* was.
        """
        links = directory_tables.LINKS.c
        count = sql.select(sql.func.count()).select_from(directory_tables.LINKS)
        with self._users.reading() as db:
            if of_old:
                old = sql.select(tables.USERS.c.aor).where(tables.USERS.c.created <= since)
                if not db.execute(old.where(tables.USERS.c.aor.in_(lost)).limit(1)).first():
                    return 0, 0
                count = count.where(links.aor.in_(old))
            users = db.execute(count.where(links.ended_by == ACTIVE)).scalar_one()
            before = count.where(links.is_loss, links.since > since, links.aor.not_in(lost))
            return int(users), int(db.execute(before).scalar_one())

    def counts(self) -> tuple[int, int]:
        """Return how many users come from the directory, and how many of them have lost their access by it."""
        count = sql.select(sql.func.count()).select_from(directory_tables.LINKS)
        with self._users.reading() as db:
            ended = count.where(directory_tables.LINKS.c.ended_by != ACTIVE)
            return int(db.execute(count).scalar_one()), int(db.execute(ended).scalar_one())

    def to_revoke(self) -> Sequence[DirectoryLink]:
        """Return the links of users whose device certificates are still to be revoked."""
        with self._users.reading() as db:
            return links_to_revoke(db)

    def link_of(self, aor: str) -> DirectoryLink | None:
        """Return the link of a user, None for a user who comes from no directory."""
        uri = self._users.known_address(aor)
        with self._users.reading() as db:
            return link_of(db, uri.aor)

    def take(
        self,
        steps: Sequence[DirectoryStep],
        at: datetime,
        *,
        is_loss: bool = True,
        also: Callable[[sql.Connection], None] | None = None,
        note: Callable[[], object] = lambda: None,
    ) -> None:
        """Take *steps* in one transaction, at the instant *at*; *is_loss* tells whether they count among the losses of the day.

        *also* stores the entry itself in the same transaction, which may have no step. *note* is called last: if it
        raises, nothing is changed.

        Raises `OperatorError`, and has changed nothing then, if a user is not what the steps have been made for.
        """
        with self._users.changing(*(aor for step in steps for aor in step.changed)) as (db, version):
            before = links_in(db, [_id_of(step) for step in steps])
            for step in steps:
                if before.get(_id_of(step)) != step.link:
                    remedy = "the next sync compares again; to do it now: sipmesh directory apply"
                    raise wrong(f"{step.aor} was changed while the sync ran", remedy)
                if step.kind is not StepKind.ADD:
                    _TAKE[step.kind](db, step, at, version)
                    _change_aliases(db, step)
            if added := [step for step in steps if step.kind is StepKind.ADD]:
                add_users(db, added, at, version)
            if steps:
                put_links(db, [_after(step, at, is_loss=is_loss) for step in steps])
            if also is not None:
                also(db)
            note()

    def revoked(self, links: Sequence[DirectoryLink]) -> None:
        """Record that the device certificates of all addresses of *links* that were to be revoked are."""
        done = {link.id: link.to_revoke for link in links}
        with self._users.locked() as db:
            held = links_in(db, done).values()
            left = {one.id: tuple(aor for aor in one.to_revoke if aor not in done[one.id]) for one in held}
            put_links(db, [replace(one, to_revoke=left[one.id]) for one in held])

    def local_users(self) -> Sequence[str]:
        """Return the addresses of users who come from no entry; a group is none."""
        linked = sql.select(directory_tables.LINKS.c.aor)
        with self._users.reading() as db:
            rows = rows_of(
                db, sql.select(tables.USERS).where(tables.USERS.c.aor.not_in(linked)).order_by(tables.USERS.c.aor)
            )
        return [row["aor"] for row in rows if not call_rules_in(row).is_group]

    def adopt(self, entry: DirectoryEntry, at: datetime, also: Callable[[sql.Connection], None] | None = None) -> None:
        """Let the user who has the address of *entry* come from *entry* from now on; no device notices it.

        An earlier link of this user is replaced, so that an entry with a new id is adopted too. *also* stores the
        entry in the same transaction. Raises `OperatorError` for an
        unknown user, and if the entry is linked with another user.
        """
        uri = self._users.known_address(entry.aor)
        with self._users.locked() as db:
            row_of(db, uri.aor)
            held = links_in(db, [entry.id]).get(entry.id)
            if held is not None and held.aor != uri.aor:
                raise wrong(
                    f"the entry of {uri.aor} is that of {held.aor}", f"to see it: sipmesh explain {held.aor[4:]}"
                )
            before = held or link_of(db, uri.aor) or DirectoryLink(entry.id, uri.aor, at)
            put_links(db, [replace(before, id=entry.id, dn=entry.dn, name=entry.name, mail=entry.mail)])
            if also is not None:
                also(db)


def _held(db: sql.Connection, aor: str) -> HeldUser:
    return HeldUser(aor, row_of(db, aor)["pool"], tuple(aliases_of(db, aor)), disabled_since(db, aor) is not None)


def _id_of(step: DirectoryStep) -> str:
    return step.entry.id if step.entry is not None else step.link.id if step.link is not None else ""


def _rename(db: sql.Connection, step: DirectoryStep, at: datetime, version: int) -> None:  # noqa: ARG001 - as its siblings
    """Give a user another address; the old one becomes an alias.

    The hashes of passwords have the old name in them, so no password counts any more. Groups and delegates have the new address:
    a later user of the old name must not be one of them.
    """
    old, new = step.changed
    if found := user_like(db, new):
        raise wrong(
            f"{new} is already {found}", f"rename one of them in the directory: {old} keeps this name until then"
        )
    row = row_of(db, old)
    if folded(new) in aliases_of(db, old):
        remove_alias(db, old, folded(new))
    if found := owner_of(db, (folded(new),)):
        raise wrong(f"{new} is an alias of {found}", f"to remove it: sipmesh user alias remove {found[4:]} {new[4:]}")
    for table in (tables.USERS, tables.ALIASES, tables.WATCHERS, tables.DISABLED):
        db.execute(table.update().where(table.c.aor == old).values(aor=new))
    hashes = unknown_hashes({column: row[column] for column in COLUMN_OF.values()})
    for table in (tables.USERS, tables.DISABLED):
        db.execute(table.update().where(table.c.aor == new).values(hashes))
    db.execute(tables.USERS.update().where(tables.USERS.c.aor == new).values(generation=version))
    remove_devices(db, old)
    change_in_others(db, old, new)
    rename_contacts(db, old, new)
    if folded(old) != folded(new):
        add_alias(db, new, folded(old))


def _disable(db: sql.Connection, step: DirectoryStep, at: datetime, version: int) -> None:
    """Disable a user, and remove the passwords of the devices."""
    if disabled_since(db, step.aor) is None:
        disable_rows(db, step.aor, at, version)
    remove_devices(db, step.aor)


def _enable(db: sql.Connection, step: DirectoryStep, at: datetime, version: int) -> None:  # noqa: ARG001 - as its siblings
    if disabled_since(db, step.aor) is not None:
        enable_rows(db, step.aor, version)


def _update(db: sql.Connection, step: DirectoryStep, at: datetime, version: int) -> None:  # noqa: ARG001 - as its siblings
    if step.pool is not None:
        values = {"pool": step.pool, "generation": version}
        db.execute(tables.USERS.update().where(tables.USERS.c.aor == step.aor).values(values))


_TAKE: Final = {
    StepKind.RENAME: _rename,
    StepKind.UPDATE: _update,
    StepKind.DISABLE: _disable,
    StepKind.ENABLE: _enable,
}


def _change_aliases(db: sql.Connection, step: DirectoryStep) -> None:
    held = set(aliases_of(db, step.aor))
    for alias in step.drops:
        if alias in held:
            remove_alias(db, step.aor, alias)
    for alias in step.adds:
        if alias not in held:
            add_alias(db, step.aor, alias)


def _after(step: DirectoryStep, at: datetime, *, is_loss: bool) -> DirectoryLink:
    link = step.link or DirectoryLink(_id_of(step), step.aor, at)
    if step.entry is not None:
        kept = tuple(alias for alias in link.aliases if alias not in step.drops)
        aliases = tuple(dict.fromkeys((*kept, *step.adds)))
        entry = step.entry
        link = replace(link, aor=step.aor, dn=entry.dn, name=entry.name, mail=entry.mail)
        link = replace(link, aliases=aliases, classes=entry.classes)
    if step.kind is StepKind.RENAME:  # the phones are logged out: it counts among the losses of its day
        to_revoke = tuple(dict.fromkeys((*link.to_revoke, step.changed[0])))
        renamed = replace(link, to_revoke=to_revoke)
        return replace(renamed, since=at, is_loss=True) if is_loss and not link.ended_by else renamed
    if step.kind is StepKind.ENABLE:
        return replace(link, ended_by=ACTIVE, since=at, is_loss=link.is_loss and at - link.since < DAY)
    if step.kind is StepKind.DISABLE:
        to_revoke = tuple(dict.fromkeys((*link.to_revoke, step.aor)))
        return replace(link, ended_by=step.ended_by, since=at, is_loss=is_loss, to_revoke=to_revoke)
    return link
