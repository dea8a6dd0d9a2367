"""What applications say of the messages that wait for users with them: a voice mail, a fax server."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from typing import TYPE_CHECKING, Final

from sipmesh.errors import RemoteError
from sipmesh.routing.events.message_summary import MessageSummary, read_summary
from sipmesh.routing.outcome import Answer, try_later
from sipmesh.sip.status import Status

if TYPE_CHECKING:
    from sipmesh.sip.message import Request

MOST_PER_USER: Final = 8
"""Applications that say how many messages wait for one user."""

TOO_MANY: Final = try_later("too many applications say how many messages wait for this user", after_s="60")
TAKEN: Final = Answer(Status.OK)


class Summaries:
    """The last summary of each application, in memory. The application sends it again when this server was started.

    *mailboxes* counts the users of whom each address of an application has said something.
    """

    def __init__(self) -> None:
        self._by_user: dict[str, dict[str, MessageSummary]] = {}
        self.mailboxes: Counter[str] = Counter()

    def users(self) -> AbstractSet[str]:
        """Give the users of whom something was said."""
        return self._by_user.keys()

    def of(self, aor: str) -> Sequence[MessageSummary]:
        """Give what the applications say of *aor*."""
        return list(self._by_user.get(aor, {}).values())

    def take(self, request: Request, aor: str, application: str) -> Answer:
        """Take over the summary of *application* for *aor*, in a NOTIFY outside a dialog, and give its answer."""
        try:
            summary = read_summary(request.body)
        except RemoteError as wrong:
            return Answer(wrong.status, why=str(wrong))
        said = self._by_user.get(aor, {})
        if application not in said and len(said) == MOST_PER_USER:
            return TOO_MANY
        self.mailboxes[application] += application not in said
        self._by_user[aor] = said | {application: summary}
        return TAKEN

    def forget(self, aor: str) -> None:
        """Forget what was said of *aor*, who is no user of this server any more."""
        self.mailboxes.subtract(self._by_user.pop(aor, {}).keys())
