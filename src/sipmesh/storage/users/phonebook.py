"""What the phonebook of desk phones reads of the user database: the password of a device, and the users whom a user finds."""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sipmesh.database.lazy_module import LazyModule, sql
from sipmesh.sip.digest import ha1
from sipmesh.sip.tel import TEL
from sipmesh.sip.text import ascii_lower, octets_of
from sipmesh.storage.users.device_rows import row_with_devices
from sipmesh.storage.users.password_hashes import verifier_of
from sipmesh.topology.document.user_search import is_in
from sipmesh.topology.home_pools import home_by_default

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sipmesh.routing.authentication.verifier import DevicePassword
    from sipmesh.storage.users import user_list
    from sipmesh.storage.users import user_tables as tables
    from sipmesh.storage.users.user import User
    from sipmesh.topology.document.model import Topology
else:
    tables = LazyModule("sipmesh.storage.users.user_tables")
    user_list = LazyModule("sipmesh.storage.users.user_list")

MOST_MATCHES: Final = 500
"""Users whose address or alias matches, of whom those are taken whom the user may find."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One user or group: the *name* before the ``@``, the *address* and the numbers."""

    name: str
    address: str
    numbers: tuple[str, ...]
    is_group: bool


def device_of(db: sql.Connection, aor: str, login: str) -> DevicePassword | None:
    """Return the password of the device of *aor* with the digest user name *login*, None for a disabled or an unknown user."""
    row = row_with_devices(db, aor)
    return verifier_of(row).device(login) if row is not None else None


def has_password(device: DevicePassword, aor: str, login: str, password: str) -> bool:
    """Tell whether *password* is that of *device*, a device of *aor* with the digest user name *login*."""
    algorithm, known = next(iter(device.ha1.items()))
    computed = ha1(login, aor.rpartition("@")[2], password, algorithm)
    return hmac.compare_digest(octets_of(computed), octets_of(known))


def found_by(db: sql.Connection, topology: Topology, searcher: str, word: str, most: int) -> Sequence[Entry]:
    """Return at most *most* users and groups whom *searcher* finds by *word*, as the search over SIP does."""
    default = home_by_default(topology)
    page = user_list.read_page(db, user_list.UsersWanted(MOST_MATCHES, find=word))
    homes = {user.aor: user.pool or default for user in page.users}
    own = db.execute(sql.select(tables.USERS.c.pool).where(tables.USERS.c.aor == searcher)).scalar_one_or_none()
    homes[searcher] = own or default
    found = [
        _entry(user)
        for user in page.users
        if _matches(user, word)
        and not user.calls.unlisted
        and is_in(topology.user_search, searcher, user.aor, homes.get)
    ]
    return found[:most]


def _matches(user: User, word: str) -> bool:
    names = [user.aor.removeprefix("sip:").partition("@")[0]]
    names += [alias.partition(":")[2].partition("@")[0].partition(";")[0] for alias in user.aliases]
    return any(word in ascii_lower(name) for name in names)


def _entry(user: User) -> Entry:
    numbers = tuple([alias.removeprefix(TEL) for alias in user.aliases if alias.startswith(f"{TEL}+")])
    address = user.aor.removeprefix("sip:")
    return Entry(address.partition("@")[0], address, numbers, user.calls.is_group)
