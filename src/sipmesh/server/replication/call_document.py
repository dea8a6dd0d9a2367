"""Records on their way from a server to management: a document with limits, as it comes from another machine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Final

from pydantic import Field

from sipmesh.errors import RemoteError
from sipmesh.printable import printable
from sipmesh.storage.call_records.call_record import CallRecord
from sipmesh.storage.call_records.journal_reader import MOST_IN_BATCH
from sipmesh.strict_json import read_json
from sipmesh.typed_json import UnreadableJsonError, members, plain, read

if TYPE_CHECKING:
    from collections.abc import Collection

RULE: Final = "event package sipmesh-calls"
LONGEST: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class CallDocument:
    """Records that *server* delivers: its own, and those of the edges behind it."""

    server: str
    records: Annotated[Sequence[CallRecord], Field(max_length=MOST_IN_BATCH)]

    def to_json(self) -> Mapping[str, object]:
        """Return plain values."""
        return {"server": self.server, "records": [_plain(record) for record in self.records]}

    @classmethod
    def read(cls, body: bytes, peer: str, behind: Collection[str]) -> CallDocument:
        """Read the body of a PUBLISH of *peer*, which has the servers *behind* it; raises `RemoteError`."""
        if len(body) > LONGEST:
            raise RemoteError(f"records of {len(body)} octets", rule=RULE, status=413)
        try:
            document = read(cls, read_json(body))
        except (ValueError, RecursionError, UnreadableJsonError) as wrong:
            raise RemoteError(printable(f"records that cannot be read: {wrong}", 200), rule=RULE) from None
        strangers = {record.server for record in document.records} - {peer, *behind}
        if document.server != peer or strangers:
            named = min(strangers, default=document.server)
            raise RemoteError(printable(f"records of {named} from {peer}", 200), rule=RULE, status=403)
        return document


def _plain(record: CallRecord) -> dict[str, object]:
    return {
        key: value if value is None or isinstance(value, str | bool | int | float) else _value(value)
        for key, value in members(record).items()
    }


def _value(value: object) -> object:
    return list(value) if isinstance(value, tuple) else plain(value)
