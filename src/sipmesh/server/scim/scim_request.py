"""One request of a SCIM client, and its answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sipmesh.errors import RemoteError


@dataclass(frozen=True, slots=True)
class ScimRequest:
    """One request at the instant *at*: *path* below /scim/v2 in its parts, the *query*, and the *body* of a writing method.

    *base* is the URL of this server, *if_match* the entity tag that the resource must have, "" for any.
    """

    method: str
    path: tuple[str, ...]
    query: Mapping[str, str]
    body: bytes
    if_match: str
    base: str
    at: datetime


@dataclass(frozen=True, slots=True)
class ScimAnswer:
    """The answer; *losses* says why too many users would have lost their access, "" if not."""

    status: int
    text: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    losses: str = ""


class NotAllowedError(RemoteError):
    """The path has no such method; *allowed* are those that it has."""

    def __init__(self, allowed: str) -> None:
        super().__init__(f"this path has {allowed}", rule="RFC 9110 15.5.6", status=405)
        self.allowed = allowed


def must_be_one_of(request: ScimRequest, methods: Sequence[str]) -> None:
    """Raise `NotAllowedError` for another method."""
    if request.method not in methods:
        raise NotAllowedError(", ".join(methods))
