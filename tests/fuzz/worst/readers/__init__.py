"""The readers and judges that the search knows, each with the grammar of what it reads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from fuzz.worst.readers import bodies, fields, octets
from fuzz.worst.search import Reader

READERS: Final[Mapping[str, Reader]] = {
    reader.name: reader for module in (octets, fields, bodies) for reader in module.READERS
}
