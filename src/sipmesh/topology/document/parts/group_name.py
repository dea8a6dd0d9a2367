"""The name of a group of the directory, or of a group of SCIM clients."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import StringConstraints

MOST: Final = 1_024
GroupName = Annotated[str, StringConstraints(min_length=1, max_length=MOST, pattern=r"^[^\x00-\x1f\x7f]+$")]
"""The distinguished name of a group of the directory; of a SCIM client, the `id` or the `externalId`, never the display name."""
