"""The message history of users: for how long it is kept."""

from __future__ import annotations

from pydantic import Field

from sipmesh.topology.document.parts.part import Part


class History(Part):
    """What users have sent and received as messages; each user reads the own history alone."""

    days: int = Field(ge=0, le=3_660, description="days after which a message is removed; 0 keeps none")
