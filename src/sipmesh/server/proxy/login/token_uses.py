"""On which link each access token has logged in: a token counts on that link alone, so a copy of it is worth nothing."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from typing import Final

MOST_OF_USER: Final = 64
"""Tokens of one user that are remembered; the oldest is forgotten. Only who has more tokens of that user can cause this."""

MOST_USERS: Final = 100_000


class TokenUses:
    """The tokens by their SHA-256, of each user, with the number of the link and the end of the token, in epoch seconds."""

    def __init__(self) -> None:
        self._users: OrderedDict[str, OrderedDict[str, tuple[int, float]]] = OrderedDict()

    def link_of(self, user: str, digest: str) -> int | None:
        """Return the number of the link on which a token of *user* was used, None if it was not."""
        of_user = self._users.get(user)
        used = of_user.get(digest) if of_user is not None else None
        return used[0] if used is not None else None

    def use(self, user: str, digest: str, link: int, ends_at: float, now: float) -> None:
        """Remember the link of a token until the token ends."""
        of_user = self._users.setdefault(user, OrderedDict())
        self._users.move_to_end(user)
        for ended in [one for one, (_, ends) in of_user.items() if ends <= now]:
            del of_user[ended]
        of_user.setdefault(digest, (link, ends_at))
        if len(of_user) > MOST_OF_USER:
            of_user.popitem(last=False)
        if len(self._users) > MOST_USERS:
            self._users.popitem(last=False)

    def entries(self) -> Iterator[tuple[str, str, int, float]]:
        """Give all uses, for a process of this server that has just started."""
        for user, of_user in self._users.items():
            for digest, (link, ends_at) in of_user.items():
                yield user, digest, link, ends_at
