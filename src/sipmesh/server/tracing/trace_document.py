"""What a server has traced, on its way to management: a document with limits, as it comes from another machine."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Final

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from sipmesh.errors import RemoteError
from sipmesh.printable import printable, printable_lines
from sipmesh.server.tracing.shown import LONGEST_BODY, LONGEST_HEAD
from sipmesh.server.tracing.traced_message import TracedMessage

MOST_MESSAGES: Final = 200
"""Messages of one document."""

MOST_OCTETS: Final = 256 << 10
"""Characters of the messages of one document: it is one SIP message."""

RULE: Final = "event package sipmesh-trace"

_Name = Annotated[str, Field(max_length=1_000)]


class _Sent(BaseModel):
    """A message as it travels; the server is that of the document."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)

    at: Annotated[AwareDatetime, Field(strict=False)]
    received: bool
    link: _Name
    kind: _Name
    peer: _Name
    proof: _Name
    code: _Name
    local: _Name
    remote: _Name
    call_id: _Name
    cseq: _Name
    branch: _Name
    head: Annotated[str, Field(max_length=LONGEST_HEAD)]
    octets: Annotated[int, Field(ge=0, le=1 << 31)]
    body: Annotated[str, Field(max_length=LONGEST_BODY)] = ""


class TraceDocument(BaseModel):
    """The messages that *server* has traced under the name *trace* since its last document."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)

    server: _Name
    trace: _Name
    messages: Annotated[list[_Sent], Field(max_length=MOST_MESSAGES)]
    left_out: Annotated[int, Field(ge=0, le=1 << 53)] = 0

    @classmethod
    def read(cls, document: Mapping[str, object]) -> TraceDocument:
        """Read decoded JSON; raises `RemoteError` with the first part that does not fit."""
        try:
            return cls.model_validate(document)
        except ValidationError as wrong:
            first = wrong.errors(include_url=False, include_context=False, include_input=False)[0]
            where = ".".join(map(str, first["loc"])) or "document"
            raise RemoteError(printable(f"{where}: {first['msg']}", 200), rule=RULE) from None

    def traced(self) -> list[TracedMessage]:
        """Return the messages, each with its server; their text is made printable here too."""
        return [_traced(self.server, sent) for sent in self.messages]


def _traced(server: str, sent: _Sent) -> TracedMessage:
    at: datetime = sent.at
    texts = {
        key: printable_lines(value) if key in {"head", "body"} else printable(value)
        for key, value in sent.model_dump(exclude={"at"}).items()
        if isinstance(value, str)
    }
    return TracedMessage(at=at, server=server, received=sent.received, octets=sent.octets, **texts)


def documents(server: str, trace: str, messages: list[TracedMessage], left_out: int) -> list[dict[str, object]]:
    """Split what was traced into documents within the limits."""
    found: list[dict[str, object]] = []
    part: list[dict[str, object]] = []
    size = 0
    for message in messages:
        if part and (len(part) == MOST_MESSAGES or size + len(message.head) + len(message.body) > MOST_OCTETS):
            found.append({"server": server, "trace": trace, "messages": part, "left_out": 0})
            part, size = [], 0
        size += len(message.head) + len(message.body)
        part.append(_sent(message))
    if part or left_out:
        found.append({"server": server, "trace": trace, "messages": part, "left_out": left_out})
    return found


def _sent(message: TracedMessage) -> dict[str, object]:
    values = {name: getattr(message, name) for name in _Sent.model_fields}
    return {**values, "at": message.at.isoformat()}
