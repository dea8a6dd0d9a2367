"""The users who come from a directory: what is stored about them, and the steps of a sync, many in one transaction."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from sipmesh.database.lazy_module import LazyModule, sql
from sipmesh.routing.identity.alias import folded
from sipmesh.storage.users.added_users import add_users
from sipmesh.storage.users.alias_rows import add_alias, remove_alias
from sipmesh.storage.users.call_rule_rows import call_rules_in
from sipmesh.storage.users.device_rows import remove_devices
from sipmesh.storage.users.directory_entry import ACTIVE, DAY, DirectoryEntry, DirectoryLink, DirectoryStep, StepKind
from sipmesh.storage.users.directory_rows import link_of, links_in, links_to_revoke, put_links
from sipmesh.storage.users.disabled_rows import disable_rows, enable_rows
from sipmesh.storage.users.password_hashes import unknown_hashes
from sipmesh.storage.users.user_columns import COLUMN_OF
from sipmesh.storage.users.user_names import rename_user
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
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    from sipmesh.storage.users import directory_tables
    from sipmesh.storage.users import user_tables as tables
    from sipmesh.storage.users.user_database import Users
else:
    directory_tables = LazyModule("sipmesh.storage.users.directory_tables")
    tables = LazyModule("sipmesh.storage.users.user_tables")

FRESH: Final = timedelta(hours=1)
"""Users of this age have no phone to lose yet."""


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

    def access_counts(self, at: datetime, lost: Collection[str]) -> Sequence[tuple[int, int, int]]:
        """Count the users with access by the directory, those of *lost*, and the others who have lost it in the day before *at*.

        The first counts are of all users. Each of the others is of the users who were there at an earlier instant (`_by_then`):
        users who are added to make the losses of the others a small part do not count there.
        """
        links, users, since = directory_tables.LINKS.c, tables.USERS.c, at - DAY
        leaves, is_loss = links.aor.in_(lost), links.is_loss & (links.since > since) & links.aor.not_in(lost)
        columns = [sql.case((one, 1), else_=0) for one in (links.ended_by == ACTIVE, leaves, is_loss)]
        joined = sql.select(*map(sql.func.sum, columns)).where(links.aor == users.aor)
        with self._users.reading() as db:
            total = _numbers(db.execute(joined).one())
            of_old = _numbers(db.execute(joined.where(users.created <= since)).one())
            if of_old[1:] == total[1:]:  # no user of this day is or was lost
                return [total, of_old]
            later = sql.select(users.created, *columns).where(links.aor == users.aor, users.created > since)
            rows = [(created, _numbers(counts)) for created, *counts in db.execute(later)]
        instants = {since, *(_by_then(created, at) for created, counts in rows if counts[1:] != (0, 0))}
        leaving = [_by_then(created, at) for created, (_, leaves_now, _) in rows if leaves_now]
        first = since if of_old[1] else min(leaving, default=since)
        asked = sorted(instant for instant in instants if first <= instant < at)
        return [total, *(_sums(of_old, [counts for created, counts in rows if created <= then]) for then in asked)]

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


def _by_then(created: datetime, at: datetime) -> datetime:
    """Return when a user must have been there to count with one who was added at *created*, and is lost at *at*.

    It is the middle of that time, and a day before *at* at least. A user of the last hour, such as one of a first try, counts
    with all users.
    """
    return at if at - created < FRESH else max(created + (at - created) / 2, at - DAY)


def _numbers(found: Iterable[Any]) -> tuple[int, int, int]:
    """Read sums: those of no row are None."""
    first, second, third = (int(one or 0) for one in found)
    return first, second, third


def _sums(first: tuple[int, int, int], further: Iterable[tuple[int, int, int]]) -> tuple[int, int, int]:
    return _numbers(map(sum, zip(first, *further, strict=True)))


def _held(db: sql.Connection, aor: str) -> HeldUser:
    return HeldUser(aor, row_of(db, aor)["pool"], tuple(aliases_of(db, aor)), disabled_since(db, aor) is not None)


def _id_of(step: DirectoryStep) -> str:
    return step.entry.id if step.entry is not None else step.link.id if step.link is not None else ""


def _rename(db: sql.Connection, step: DirectoryStep, at: datetime, version: int) -> None:  # noqa: ARG001 - as its siblings
    """Give a user another address; the old one becomes an alias.

    The hashes of passwords have the old name in them, so no password counts any more. What names the user has the new address
    (`rename_user`): a later user of the old name must get nothing of it.
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
    rename_user(db, old, new)
    hashes = unknown_hashes({column: row[column] for column in COLUMN_OF.values()})
    for table in (tables.USERS, tables.DISABLED):
        db.execute(table.update().where(table.c.aor == new).values(hashes))
    db.execute(tables.USERS.update().where(tables.USERS.c.aor == new).values(generation=version))
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
