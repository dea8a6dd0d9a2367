"""An order of management to one server: end a call, or erase a user from its records."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Final

from pydantic import Field

from sipmesh.errors import RemoteError
from sipmesh.strict_json import read_json
from sipmesh.typed_json import UnreadableJsonError, read

if TYPE_CHECKING:
    from sipmesh.topology.view import ServerView

CALLS: Final = "sipmesh-calls"
"""The type of the signed document."""

LONGEST_AGE: Final = timedelta(minutes=1)
"""An older order is refused, so that an old order is not carried out again."""

MOST_NAMES: Final = 64
"""Names of a user in one order: the address, and the aliases."""

_Name = Annotated[str, Field(min_length=1, max_length=256)]


class CallAct(StrEnum):
    """What a server has to do."""

    END = "end"
    ERASE = "erase"


@dataclass(frozen=True, slots=True)
class CallOrder:
    """*server* has to *act* on *what*: the id of the record of a call, or the names of a user. *who* is the operator.

    *number* is the time of the order in milliseconds since 1970 (UTC).
    """

    organisation: str
    server: str
    number: int
    act: CallAct
    what: Annotated[list[_Name], Field(min_length=1, max_length=MOST_NAMES)]
    who: Annotated[str, Field(max_length=256)]

    def encode(self) -> bytes:
        """Return the payload that management signs."""
        return json.dumps(asdict(self), separators=(",", ":")).encode()

    @classmethod
    def decode(cls, payload: bytes) -> CallOrder:
        """Read a payload; raises `RemoteError` (488) if it is not an order."""
        try:
            return read(cls, read_json(payload))
        except (ValueError, RecursionError, UnreadableJsonError):
            raise refused("an order about calls that cannot be read") from None

    def must_be_for(self, view: ServerView, now: datetime) -> None:
        """Raise `RemoteError` if it is for another server, older than `LONGEST_AGE`, or as far in the future (*now* in UTC)."""
        if (self.organisation, self.server) != (view.organisation, view.name):
            raise refused(f"an order for {self.server} of {self.organisation}")
        try:
            age = now - datetime.fromtimestamp(self.number / 1000, UTC)
        except (ValueError, OverflowError, OSError):
            raise refused("an order about calls without a time") from None
        if abs(age) > LONGEST_AGE:
            raise refused(f"an order about calls of {abs(age).total_seconds():.0f} s before or after our clock")


def refused(why: str) -> RemoteError:
    """Return the error for an order that this server does not carry out."""
    return RemoteError(f"rejected: {why}", rule="rule R5", status=488)
