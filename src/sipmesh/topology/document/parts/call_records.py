"""The records of calls and messages: for how long they are kept."""

from __future__ import annotations

from pydantic import Field

from sipmesh.topology.document.parts.part import Part


class CallRecords(Part):
    """Records of calls, and of messages outside calls; front ends and edges make them."""

    days: int = Field(default=30, ge=1, le=3_660, description="days after which a record is removed")
    megabytes: int = Field(
        default=256, ge=8, le=65_536, description="MB of records on each server; beyond, its oldest file is removed"
    )
