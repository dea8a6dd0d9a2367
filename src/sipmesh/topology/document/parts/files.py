"""The files that users send beside messages: how large they are, and for how long management keeps them."""

from __future__ import annotations

from typing import Final

from pydantic import Field

from sipmesh.topology.document.parts.part import Part

FILES: Final = "/files"
"""The path of the files, on the port of the invitations."""

MEGABYTE: Final = 1_000_000


class Files(Part):
    """Files of our users at management: who has the link of a file can fetch it."""

    days: int = Field(default=7, ge=1, le=90, description="days after which a file is removed")
    largest_mb: int = Field(default=20, ge=1, le=1_000, description="MB of the largest file")
    user_mb: int = Field(default=200, ge=1, le=100_000, description="MB of all files of one user")
    pool_mb: int = Field(default=2_000, ge=1, le=10_000_000, description="MB of all files of the users of one pool")
    total_mb: int = Field(default=5_000, ge=1, le=10_000_000, description="MB of all files")
