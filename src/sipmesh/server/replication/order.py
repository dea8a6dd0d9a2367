"""An order of management to one server: a signed document, which counts for minutes only."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, ClassVar, Self

from sipmesh.errors import RemoteError
from sipmesh.typed_json import UnreadableJsonError, read_document

if TYPE_CHECKING:
    from sipmesh.topology.view import ServerView


@dataclass(frozen=True, slots=True)
class Order:
    """*server* of *organisation* has to do something. *number* is the time of the order in milliseconds since 1970 (UTC).

    *ABOUT* says in errors what it is about. A server refuses an order that is older than *LONGEST_AGE*, so that an old order is
    not carried out again.
    """

    ABOUT: ClassVar[str]
    LONGEST_AGE: ClassVar[timedelta] = timedelta(minutes=1)

    organisation: str
    server: str
    number: int

    def encode(self) -> bytes:
        """Return the payload that management signs."""
        return json.dumps(asdict(self), separators=(",", ":")).encode()

    @classmethod
    def decode(cls, payload: bytes) -> Self:
        """Read a payload; raises `RemoteError` (488) if it is not an order."""
        try:
            return read_document(cls, payload)
        except UnreadableJsonError as wrong:
            raise refused(f"an order {cls.ABOUT} that cannot be read ({wrong})") from None

    def must_be_for(self, view: ServerView, now: datetime) -> None:
        """Raise `RemoteError` if it is for another server, older than `LONGEST_AGE`, or as far in the future (*now* in UTC)."""
        if (self.organisation, self.server) != (view.organisation, view.name):
            raise refused(f"an order for {self.server} of {self.organisation}")
        try:
            age = now - datetime.fromtimestamp(self.number / 1000, UTC)
        except (ValueError, OverflowError, OSError):
            raise refused(f"an order {self.ABOUT} without a time") from None
        if abs(age) > self.LONGEST_AGE:
            raise refused(f"an order {self.ABOUT} of {abs(age).total_seconds():.0f} s before or after our clock")


def refused(why: str) -> RemoteError:
    """Return the error for an order that this server does not carry out."""
    return RemoteError(f"rejected: {why}", rule="rule R5", status=488)
