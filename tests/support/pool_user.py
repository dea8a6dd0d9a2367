"""The ACL user of a pool in Valkey, with the rights that docs/howto/more-than-one-host.md gives it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import quote

from support.checkout import DOCS

if TYPE_CHECKING:
    from support.valkey_server import ValkeyServer

PAGE = (DOCS / "howto" / "more-than-one-host.md").read_text()
USER, WORD = "pool1", "PASSWORD"
"""The user and the password of the page."""


def rules_of_page(organisation: str, pool: str, user: str, password: str) -> list[str]:
    """The words of the ACL command of the page, for one pool."""
    [line] = re.findall(r"^ACL SETUSER .*<<>>$|^ACL SETUSER .*$", PAGE, re.MULTILINE)
    place = f"{quote(organisation, safe='')}/{quote(pool, safe='')}"
    words: list[str] = line.replace("ORGANISATION/POOL", place).replace(WORD, password).split()
    words[words.index(USER)] = user
    return words


def add_pool_user(store: ValkeyServer, organisation: str, pool: str, user: str, password: str) -> None:
    """Make the user in *store*."""
    store.ask(*rules_of_page(organisation, pool, user, password))
