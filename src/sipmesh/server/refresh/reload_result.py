"""The result of reading the files of a server again: the reply to ``reload`` and ``files-changed``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sipmesh.typed_json import Json


@dataclass(frozen=True, slots=True)
class ReloadResult:
    """Whether the document was *taken*, and the ids of the links that were *closed*.

    *digest* is that of the document in force. *why* and *problems* say why the document was not taken. *kept* says why
    certificates on disk are not in use.
    """

    taken: bool
    closed: Sequence[str]
    digest: str = ""
    why: str = ""
    problems: Sequence[str] = ()
    kept: Sequence[str] = ()

    def to_json(self) -> Json:
        """Return the members of the JSON object; an empty one is left out, except *taken* and *closed*."""
        return {name: value for name, value in asdict(self).items() if value or name in ("taken", "closed")}
