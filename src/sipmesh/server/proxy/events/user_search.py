"""The search of a user for other users and groups, by a part of their name or number.

The result is the only document of a subscription of the user to itself. So the search is proved as each request is, it reaches
the home pool from each server, and users of partners have none.
"""

from __future__ import annotations

import json
from itertools import islice
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, unquote

from sipmesh.routing.outcome import Answer, try_later
from sipmesh.server.quotas.search_rates import SearchRates
from sipmesh.sip.fields import param_of, parse_params
from sipmesh.sip.tel import TEL
from sipmesh.sip.text import LWS, ascii_lower
from sipmesh.sip.uri import SipUri
from sipmesh.topology.document.user_search import UserSearch

if TYPE_CHECKING:
    from collections.abc import Callable

    from sipmesh.server.in_force.home_pools import HomePools
    from sipmesh.server.in_force.in_force import Current

SHORTEST: Final = 3
"""Characters of what is searched for: fewer of them would find a part of all users."""

MOST_FOUND: Final = 20
"""Users in one result."""

MOST_LOOKED_AT: Final = 500
"""Matches of which the best are taken."""

MOST_NUMBERS: Final = 4
"""Numbers of one user in a result."""

NOT_UTF_8: Final = "surrogateescape"
"""How octets that are not UTF-8 are decoded, as in each text of a message (`sipmesh.sip.text`)."""

_OWN_CHARACTERS: Final = "!$&'()*+,;=?/-._~"
_DIGITS: Final = frozenset("+0123456789 .()-/")

IS_OFF: Final = Answer(403, why="the topology allows no search of users")
TOO_SHORT: Final = Answer(400, f"The Query Needs {SHORTEST} Characters")
TOO_MANY: Final = try_later("too many searches", after_s="60")


class UserSearches:
    """Searches among the users in force; *clock* returns seconds that never go back."""

    def __init__(self, current: Current, clock: Callable[[], float]) -> None:
        self._current = current
        self._rates = SearchRates(clock)

    def refused(self, user: str, event: str) -> Answer | None:
        """Count a search of *user*, and return why it is refused; *event* is the Event of its SUBSCRIBE."""
        if self._current.value.view.loaded.topology.user_search is UserSearch.OFF:
            return IS_OFF
        if len(word_of(event)) < SHORTEST:
            return TOO_SHORT
        return None if self._rates.admits(user) else TOO_MANY

    def document(self, user: str, event: str) -> bytes:
        """Return as JSON the `users` whom *user* finds, with `address`, `numbers` and `group`, and whether there are `more`."""
        homes, word = self._current.value.homes, word_of(event)
        found = list(islice(dict.fromkeys(homes.found_by(user, word)), MOST_LOOKED_AT))
        found.sort(key=lambda aor: (not ascii_lower(aor).startswith(f"sip:{word}"), ascii_lower(aor)))
        users = [_entry(homes, user, aor) for aor in found[:MOST_FOUND]]
        return json.dumps({"users": users, "more": len(found) > MOST_FOUND}).encode()


def word_of(event: str) -> str:
    """Return what an Event searches for, as addresses and aliases have it: in lower case and with escapes; "" without a `query`.

    A number has digits only, without the zeros with which a national one begins.
    """
    _, _, params = event.partition(";")
    query = param_of(parse_params(params, "Event"), "query") if params else None
    return word_from(unquote(query or "", errors=NOT_UTF_8))


def word_from(text: str) -> str:
    """Return what a *text* of a user searches for: see `word_of`."""
    given = text.strip(LWS)
    if given and _DIGITS.issuperset(given):
        digits = "".join(filter(str.isdigit, given))
        return f"+{digits}" if given.startswith("+") else digits.lstrip("0")
    return ascii_lower(quote(given, safe=_OWN_CHARACTERS, errors=NOT_UTF_8))


def _entry(homes: HomePools, user: str, aor: str) -> dict[str, object]:
    domain = SipUri.parse(user).host
    numbers = [alias.removeprefix(TEL) for alias in homes.aliases(aor) if alias.startswith(TEL)]
    dialled = [number.removesuffix(f";phone-context={domain}") for number in numbers]
    return {
        "address": aor.removeprefix("sip:"),
        "numbers": [number for number in dialled if ";" not in number][:MOST_NUMBERS],
        "group": homes.group_rules(aor) is not None,
    }
