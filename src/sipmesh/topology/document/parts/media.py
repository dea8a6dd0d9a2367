"""The media that calls may have."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, Field

from sipmesh.topology.document.media_policy import MediaPolicy
from sipmesh.topology.document.names import (
    Fqdn,
)
from sipmesh.topology.document.parts.part import Part


class Media(Part):
    """The media that calls of our users may have. `media: any` is short for `media: {default: any}`."""

    default: MediaPolicy = Field(
        default=MediaPolicy.REQUIRED,
        description="any, encrypted, or encrypted-required: session descriptions must have keys",
    )
    domains: dict[Fqdn, MediaPolicy] = Field(default={}, description="SIP domains of ours with another policy")


def _by_default(given: object) -> object:
    """Give the mapping for a media policy that is written as one word."""
    return {"default": given} if isinstance(given, str) else given


AnyMedia = Annotated[Media, BeforeValidator(_by_default, json_schema_input_type=MediaPolicy | Media)]
