"""What all parts of the document have in common."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Part(BaseModel):
    """One mapping of the document. An unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)
