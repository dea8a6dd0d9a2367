"""The record of one call, or of one message outside calls."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Final

from pydantic import Field

from sipmesh.storage.call_records.journal_entry import (
    NULL,
    JournalEntry,
    begin_of,
    head_of,
    key_of,
    quoted,
    refusal_of,
    tail_of,
)

LONGEST_TEXT: Final = 256
"""Characters of each text of a record."""

MOST_HOPS: Final = 16
REPORT: Final = "PUBLISH"
"""The method of the record of a report of quality."""

Text = Annotated[str, Field(max_length=LONGEST_TEXT, pattern=r"^[^\x00-\x1f\x7f]*$")]
"""Without control characters: a record of another server must not stop the database, or write a line of its own."""


@dataclass(frozen=True, slots=True)
class CallRecord:
    """One call (*method* INVITE) or message (MESSAGE), as *server* has seen it. Times are UTC, by the clock of that server.

    *id* is unique in the network. *caller* is known by *proof*: the login of the user, or the word of a partner or an
    application. *withheld*: the caller asked for privacy (RFC 3323). *callee* is who was called, *answered_by* who answered, if
    the answer says so. *answer* is the time of the 2xx, *end* that of the BYE; a call without an end is up. *seconds* are those
    from answer to end; None if there was no answer, or if it is not known when the call ended.

    *status* is the final response. *why* says why there was no call, or why it has ended; *code* is the verdict code of a
    refusal, *reference* the reference in its Warning, and *refused_by* the server that the Warning names. *media* are SRTP,
    DTLS-SRTP, TLS or none, by the answer. *hops* are the servers on the way, from the caller on. *forwarded* says who has
    forwarded the call before, and why (RFC 5806, RFC 7044).
    *trunk* has carried the call to its callee; a call that comes from a trunk names its trunk in *proof*.
    *quality* are figures that the phones have reported (RFC 6035). A report itself is a record too, of the *method* PUBLISH: its
    *caller* is the user who reports, and its *why* has the figures.
    """

    id: Text
    server: Text
    method: Text
    call_id: Text
    caller: Text
    proof: Text
    withheld: bool
    callee: Text
    answered_by: Text
    start: datetime
    answer: datetime | None
    end: datetime | None
    seconds: float | None
    status: Annotated[int, Field(ge=0, le=699)]
    why: Text
    code: Text
    reference: Text
    media: Text
    hops: Annotated[tuple[Text, ...], Field(max_length=MOST_HOPS)]
    forwarded: Text
    quality: Text = ""
    trunk: Text = ""
    refused_by: Text = ""

    def entry(self) -> JournalEntry:
        """Give the record as a line, for a journal and for programs."""
        head = head_of(
            begin_of(quoted(self.id)[1:-1], quoted(self.server), quoted(self.method)[1:-1]),
            quoted(self.call_id),
            quoted(self.caller),
            quoted(self.proof),
            quoted(self.callee),
            quoted(self.answered_by),
            _instant(self.start),
            _instant(self.answer),
            int(self.status),
            refusal_of(self.code, self.reference, self.refused_by),
            quoted(self.media),
            ",".join(map(quoted, self.hops)),
            quoted(self.forwarded),
            quoted(self.trunk) if self.trunk else "",
            withheld=self.withheld,
        )
        key = key_of(self.server, self.id)
        if self.is_up:
            return JournalEntry(key, head)
        return JournalEntry(key, head, tail_of(_instant(self.end), json.dumps(self.seconds), quoted(self.why)))

    @property
    def is_up(self) -> bool:
        """Whether the call has not ended, as far as its server knows."""
        return self.end is None

    @property
    def has_failed(self) -> bool:
        """Whether the call was not answered, or the message not accepted."""
        return not 200 <= self.status < 300  # noqa: PLR2004 - the 2xx responses


def _instant(at: datetime | None) -> str:
    return NULL if at is None else f'"{at.isoformat()}"'
