"""One user or group as a SCIM client has written it, as it is stored."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class ScimKind(StrEnum):
    """What a resource is; the value is the name of its resource type (RFC 7643 section 6)."""

    USER = "User"
    GROUP = "Group"


@dataclass(frozen=True, slots=True)
class ScimResource:
    """*id* is ours and never changes, *external_id* that of the client, "" without one. *name* is in lower case.

    *document* is the resource as JSON, without members. *version* rises with each change.
    """

    id: str
    kind: ScimKind
    name: str
    external_id: str
    document: str
    version: int
    created: datetime
    changed: datetime
