"""The documents that no watcher but the user itself gets, and that do not come from registrations or publications."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sipmesh.routing.events.packages import MESSAGE_HISTORY, UA_PROFILE, USER_SEARCH

if TYPE_CHECKING:
    from collections.abc import Callable

    from sipmesh.routing.events.login_proof import LoginProof
    from sipmesh.routing.events.packages import Package
    from sipmesh.routing.outcome import Answer
    from sipmesh.server.proxy.events.message_history import MessageHistory
    from sipmesh.server.proxy.events.user_profile import UserProfile
    from sipmesh.server.proxy.events.user_search import UserSearches


class OwnDocuments:
    """What the phones of a user need beside SIP (*profile*), the users whom a user finds (*searches*), and its *history*."""

    def __init__(self, profile: UserProfile, searches: UserSearches, history: MessageHistory) -> None:
        self._profile, self._searches, self._history = profile, searches, history

    def refused(self, package: Package, user: str, event: str) -> Answer | None:
        """Return why a subscription of *user* to itself is refused; *event* is its Event. It is counted."""
        if package is MESSAGE_HISTORY:
            return self._history.refused(user, event)
        return self._searches.refused(user, event) if package is USER_SEARCH else None

    def read(self, user: str, event: str, done: Callable[[bytes], None]) -> None:
        """Read what *event* asks for from the history of *user*; *done* gets the document."""
        self._history.read(user, event, done)

    def document(self, package: Package, user: str, event: str, login: LoginProof | None) -> bytes | None:
        """Return the document of *user*, who has subscribed by this *login*; None if *package* has others."""
        if package is UA_PROFILE:
            return self._profile.document(user, login)
        return self._searches.document(user, event) if package is USER_SEARCH else None
