"""The records of calls and messages: for how long they are kept."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from sipmesh.topology.document.names import OurAnchorFile
from sipmesh.topology.document.parts.part import Part

SyslogAddress = Annotated[
    str, StringConstraints(pattern=r"^(local|[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?(:[0-9]{1,5})?)$")
]
HookUrl = Annotated[
    str, StringConstraints(pattern=r"^https://[A-Za-z0-9.-]{1,253}(:[0-9]{1,5})?(/[!-~]*)?$", max_length=1_024)
]


class CallRecords(Part):
    """Records of calls, and of messages outside calls; front ends and edges make them."""

    days: int = Field(default=30, ge=1, le=3_660, description="days after which a record is removed")
    megabytes: int = Field(
        default=256, ge=8, le=65_536, description="MB of records on each server; beyond, its oldest file is removed"
    )
    syslog: SyslogAddress | None = Field(
        default=None, description="syslog server that management sends records to: HOST:PORT over TLS, or `local`"
    )
    hook: HookUrl | None = Field(default=None, description="https URL that management sends records to, by POST")
    otlp: HookUrl | None = Field(
        default=None,
        description="https URL of an OpenTelemetry collector that gets a span for each record: OTLP over HTTP",
    )
    anchors: tuple[OurAnchorFile, ...] = Field(
        default=(), description="PEM files of the CAs of their certificates; by default those of the machine"
    )
